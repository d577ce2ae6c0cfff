"""The objects that have a label, in a form that takes little memory."""

from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from skymill.alerts.packet import OBJECT_ID_BYTES

_READING = Lock()
"""Workers that start together read the list once."""


class LabelledObjects:
    """Sorted object ids: ten bytes an object where a set of strings takes a hundred."""

    def __init__(self, object_ids: np.ndarray):
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
        if not len(self._sorted):
            return np.zeros(len(object_ids), bool)
        # Of one width, or NumPy would copy the whole list; what is cut off counts below.
        places = np.searchsorted(self._sorted, object_ids.astype(self._sorted.dtype))
        places[places == len(self._sorted)] = 0
        return self._sorted[places] == object_ids


@lru_cache(maxsize=1)
def _read(path: Path, _changed: int) -> LabelledObjects:
    import pyarrow.parquet as pq

    # Not pq.read_table, which imports pandas.
    column = pq.ParquetFile(path).read(["object_id"], use_threads=False)["object_id"]
    ids = column.cast("string").to_pylist()
    return LabelledObjects(np.array([name.encode() for name in ids] or [], f"S{OBJECT_ID_BYTES}"))
