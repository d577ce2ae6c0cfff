"""The objects that have a label, in a form that takes little memory."""

from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from skymill.alerts.packet import OBJECT_ID_BYTES
from skymill.ztf.object_ids import as_bytes, respelt

_READING = Lock()
"""Workers that start together read the list once."""


class LabelledObjects:
    """Sorted object ids: ten bytes an object where a set of strings takes a hundred.

    Parameters
    ----------
    object_ids
        Those of the list of labels, bytes.
    respelt
        How ZTF spells those that the list spells otherwise, bytes, sorted.
    """

    def __init__(self, object_ids: np.ndarray, respelt: np.ndarray | None = None):
        self._respelt = as_bytes([]) if respelt is None else respelt
        longest = np.char.str_len(object_ids).max(initial=1)
        self._sorted = object_ids.astype(f"S{longest}")
        # The table of labels is sorted, and to sort it again takes longer than a small night.
        if not (self._sorted[1:] > self._sorted[:-1]).all():
            self._sorted = np.unique(self._sorted)

    @staticmethod
    def read(path: Path) -> "LabelledObjects":
        """Read the column object_id of a Parquet file; the last file is remembered."""
        with _READING:
            # Absolute: a worker of a cluster may serve several projects.
            return _read(path.absolute(), path.stat().st_mtime_ns)

    def contain(self, object_ids: np.ndarray) -> np.ndarray:
        """Return which of these ids (bytes) have a label, boolean."""
        return _among(object_ids, self._sorted)

    def count_respelt(self, object_ids: np.ndarray) -> int:
        """Return how many of these ids (bytes) the list has in another spelling."""
        return int(_among(object_ids, self._respelt).sum())


def _among(object_ids: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return which ids are among the known ones, which are sorted, boolean."""
    if not len(known):
        return np.zeros(len(object_ids), bool)
    # Of one width, or NumPy would copy the whole list; what is cut off counts below.
    places = np.searchsorted(known, object_ids.astype(known.dtype))
    places[places == len(known)] = 0
    return known[places] == object_ids


@lru_cache(maxsize=1)
def _read(path: Path, _changed: int) -> LabelledObjects:
    from skymill.engine.tables import ParquetFile

    column = ParquetFile(path).read(["object_id"])["object_id"]
    column = column.cast("string")
    ids = np.array([name.encode() for name in column.to_pylist()] or [], f"S{OBJECT_ID_BYTES}")
    return LabelledObjects(ids, as_bytes([*respelt(column)]))
