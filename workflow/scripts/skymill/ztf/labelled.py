"""Look up objects that have a label, with little memory."""

from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from skymill.alerts.packet import OBJECT_ID_BYTES
from skymill.ztf.object_ids import as_bytes, respelt

_READING = Lock()
"""Threads that start at the same time read the list only once."""


class LabelledObjects:
    """Sorted object ids: ten bytes per object instead of a hundred in a set of strings.

    Parameters
    ----------
    object_ids
        The ids in the list of labels, bytes.
    respelt
        ZTF's names of objects that the list spells differently, bytes, sorted.
    """

    def __init__(self, object_ids: np.ndarray, respelt: np.ndarray | None = None):
        self._respelt = as_bytes([]) if respelt is None else respelt
        longest = np.char.str_len(object_ids).max(initial=1)
        self._sorted = object_ids.astype(f"S{longest}")
        # The table of labels is already sorted. Sorting it again takes longer than a small night.
        if not (self._sorted[1:] > self._sorted[:-1]).all():
            self._sorted = np.unique(self._sorted)

    @staticmethod
    def read(path: Path) -> "LabelledObjects":
        """Read the column object_id of a Parquet file; the last file is cached."""
        with _READING:
            # Absolute: a worker of a cluster may serve several projects.
            return _read(path.absolute(), path.stat().st_mtime_ns)

    def contain(self, object_ids: np.ndarray) -> np.ndarray:
        """Return which of these ids (bytes) have a label, boolean."""
        return _among(object_ids, self._sorted)

    def count_respelt(self, object_ids: np.ndarray) -> int:
        """Return how many of these ids (bytes) are in the list with another spelling."""
        return int(_among(object_ids, self._respelt).sum())


def _among(object_ids: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return which ids are among the known ids, boolean; `known` is sorted."""
    if not len(known):
        return np.zeros(len(object_ids), bool)
    # With different widths NumPy would copy the whole list. The comparison below uses the full ids.
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
