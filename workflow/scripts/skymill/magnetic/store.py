"""Records in Parquet files: one row per step, whole records in a row group, read by position.

A store is a directory of Parquet files. Their rows, file after file, are records of 60 steps. A
record's position counts the records in this order, from 0. The ids table lists the position of each
record.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from skymill.engine.arrays import to_arrow
from skymill.engine.products import Product
from skymill.engine.tables import ParquetFile
from skymill.magnetic.schema import STEPS

RECORDS_PER_FILE = 2048
"""32 MB of float64. A worker has a few files of this size in memory, for any size of the data
set."""

RECORDS_PER_ROW_GROUP = 256
"""Records that are read together when one of them is needed."""


NO_RECORDS = [(0, 0)]
"""The files of a split without records: one file without rows, so that readers find the columns."""


def step_table(columns: dict[str, np.ndarray | pa.Array], schema: pa.Schema) -> pa.Table:
    """Return a table with one row per step.

    `columns` has arrays of shape (records,), which are repeated for each step, or (records, 60).
    """
    arrays = []
    for field in schema:
        values = columns[field.name]
        if isinstance(values, np.ndarray) and values.ndim == 2:
            arrays.append(to_arrow(values.reshape(-1), field.type))
        elif isinstance(values, np.ndarray) and values.dtype != object:
            arrays.append(pa.array(np.repeat(values, STEPS), type=field.type))
        else:
            once = pa.array(values, type=field.type)
            arrays.append(once.take(pa.array(np.repeat(np.arange(len(once)), STEPS))))
    return pa.Table.from_arrays(arrays, schema=schema)


class Records(Protocol):
    """An object that returns values of records by position, also in a worker."""

    def read(self, positions: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Return float64 values, shape (len(names), len(positions), 60); see RecordStore.read."""
        ...


class RecordStore:
    """Reads records of one store by position.

    Parameters
    ----------
    store
        The product. Its manifest lists its files in order, with their rows.
    """

    def __init__(self, store: Product):
        self._files = store.files()
        counts = [entry["rows"] // STEPS for entry in store.entries]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def __len__(self) -> int:
        """Return the number of records."""
        return int(self._starts[-1])

    def read(
        self, positions: np.ndarray, names: Sequence[str], dtype: np.dtype | type = np.float64
    ) -> np.ndarray:
        """Return the values of columns of one type, shape (len(names), len(positions), 60).

        `positions` are int64, ascending; a position may occur more than once. A position that is
        not in the store raises an IndexError.
        """
        if len(positions) and not 0 <= positions[0] <= positions[-1] < len(self):
            raise IndexError(f"positions {positions[0]} to {positions[-1]} of {len(self)} records")
        out = np.empty((len(names), len(positions), STEPS), dtype)
        bounds = np.searchsorted(positions, self._starts)
        for number, path in enumerate(self._files):
            first, last = int(bounds[number]), int(bounds[number + 1])
            if first < last:
                local = positions[first:last] - self._starts[number]
                self._read_file(path, local, names, out[:, first:last])
        return out

    @staticmethod
    def _read_file(path: Path, positions: np.ndarray, names, out: np.ndarray) -> None:
        """Fill `out` from one file, row group by row group; skip row groups that are not needed."""
        file = ParquetFile(path, memory_map=True)
        metadata = file.metadata
        rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(rows)]) // STEPS
        bounds = np.searchsorted(positions, starts)
        for group in range(metadata.num_row_groups):
            first, last = int(bounds[group]), int(bounds[group + 1])
            if first == last:
                continue
            table = file.read_row_group(group, columns=list(names))
            local = positions[first:last] - starts[group]
            for index, name in enumerate(names):
                values = table.column(name).to_numpy().reshape(-1, STEPS)
                np.take(values, local, axis=0, out=out[index, first:last])


def pieces(total: int, size: int = RECORDS_PER_FILE) -> list[tuple[int, int]]:
    """Return the half-open ranges that divide `total` records into files of `size` records."""
    return [(start, min(start + size, total)) for start in range(0, total, size)]
