"""Write the alerts of a night to one Parquet file, sorted by candid.

A night may have a million and a half alerts; only their candids fit into memory. The archive's
tarballs contain them in order, so row groups are written while the night is still being read. All
rows also go to a temporary file in the folder of the output. If a row comes out of order, the
Parquet file is written again after the night is read, from the rows of the temporary file. In both
cases the Parquet file has the same bytes.
"""

import itertools
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skymill.engine.arrays import to_arrow
from skymill.engine.products import HashedFile
from skymill.engine.tables import parquet_settings
from skymill.ztf.schema import CUTOUTS, NULL_FIELD, row_type, stamps_schema

UNIX_EPOCH = 2_440_587.5
"""1970-01-01 as a Julian date."""

GROUP_BYTES = 2**21
"""Approximate bytes of pixels in a row group: a reader of a few alerts reads at least this much."""


class RowStore:
    """Rows of schema.row_type in an unbuffered file, with their candids in memory."""

    def __init__(self, file: BinaryIO, crop: int):
        self.type = row_type(crop)
        self._file = file
        self._candids: list[np.ndarray] = []

    def append(self, rows: np.ndarray) -> None:
        """Add rows at the end."""
        if not len(rows):
            return
        self._candids.append(rows["candid"].copy())
        view = memoryview(_plain(rows).reshape(-1))
        while len(view):
            view = view[self._file.write(view) :]

    def order(self) -> tuple[np.ndarray, int]:
        """Return the places of the rows in their final order, and how many repeat a candid.

        Of several rows with one candid, the row with the smallest bytes is kept. So the result does
        not depend on the order of the rows.
        """
        candids = np.concatenate([np.empty(0, np.int64), *self._candids])
        order = np.argsort(candids, kind="stable")
        ordered = candids[order]
        repeats = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        if not len(repeats):
            return order, 0
        keep = np.ones(len(order), bool)
        keep[repeats] = False
        for first in np.unique(np.searchsorted(ordered, ordered[repeats])).tolist():
            last = np.searchsorted(ordered, ordered[first], side="right")
            best = min(order[first:last].tolist(), key=lambda place: self.gather([place]).tobytes())
            order[first] = best
        return order[keep], len(repeats)

    def gather(self, places: np.ndarray | list[int]) -> np.ndarray:
        """Return the rows at some places; adjacent rows are read together."""
        places = np.asarray(places)
        rows = np.empty(len(places), self.type)
        target = memoryview(rows.view(np.uint8))
        width = self.type.itemsize
        breaks = np.flatnonzero(np.diff(places) != 1) + 1
        starts = [0, *breaks.tolist(), len(places)]
        for begin, end in itertools.pairwise(starts):
            self._file.seek(int(places[begin]) * width)
            part = target[begin * width : end * width]
            while len(part):
                count = self._file.readinto(part)
                if not count:
                    raise OSError("the file of waiting alerts is shorter than it was written")
                part = part[count:]
        return rows


def _plain(rows: np.ndarray) -> np.ndarray:
    """Return rows as plain bytes: uint8, shape (rows, bytes per row)."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(-1, rows.itemsize)


def as_table(rows: np.ndarray, night: str, crop: int) -> pa.Table:
    """Return rows as a table of stamps_schema."""
    schema = stamps_schema(crop)
    columns = {name: rows[name] for name in rows.dtype.names}
    columns["night"] = np.full(len(rows), night.encode())
    for place, name in enumerate(CUTOUTS):
        columns[f"nan_{name}"] = rows["nan"][:, place]
    missing = {name: np.isnan(rows[name]) for name in ("rb", "drb", "xpos", "ypos")}
    missing["field"] = rows["field"] == NULL_FIELD
    pixels = to_arrow(rows["stamps"].reshape(-1), pa.float32())
    days = np.floor(rows["jd"] - UNIX_EPOCH).astype(np.int32)
    made = {
        "stamps": pa.FixedSizeListArray.from_arrays(pixels, type=schema.field("stamps").type),
        "date": to_arrow(days, pa.int32()).view(pa.date32()),
    }
    arrays = [
        made[name] if name in made else to_arrow(columns[name], kind, missing.get(name))
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


class StampsWriter:
    """Writes rows to a Parquet file of stamps_schema. The rows must come in their final order.

    Attributes
    ----------
    group
        Rows in a row group.
    rows, recovered, alerts_with_nan, nan_pixels
        Number of rows that were written, of rows that were recovered from an edge, of rows with NaN
        pixels, and of NaN pixels in each of the three stamps.
    """

    def __init__(self, path: Path, night: str, crop: int):
        self.rows = self.recovered = self.alerts_with_nan = 0
        self.nan_pixels = np.zeros(3, np.int64)
        self._night, self._crop = night, crop
        self._file = HashedFile(path)
        self.group = max(1, GROUP_BYTES // row_type(crop).itemsize)
        self._rows = np.empty(self.group, row_type(crop))
        self._waiting = 0
        schema = stamps_schema(crop)
        self._writer = pq.ParquetWriter(self._file, schema, **parquet_settings(schema))

    def add(self, rows: np.ndarray) -> None:
        """Write whole row groups; keep the remaining rows for the next group."""
        while len(rows):
            part = rows[: self.group - self._waiting]
            # Plain bytes are copied in one step, not field by field.
            _plain(self._rows)[self._waiting : self._waiting + len(part)] = _plain(part)
            self._waiting += len(part)
            rows = rows[len(part) :]
            if self._waiting == self.group:
                self._write()

    def close(self) -> dict:
        """Write the remaining rows; return the file's entry for a manifest."""
        if self._waiting:
            self._write()
        self._writer.close()
        return self._file.describe(self.rows)

    def abandon(self) -> None:
        """Close the file without its remaining rows. The file is usable only after `close`."""
        self._writer.close()
        self._file.close()

    def _write(self) -> None:
        rows, self._waiting = self._rows[: self._waiting], 0
        table = as_table(rows, self._night, self._crop)
        self._writer.write_table(table, row_group_size=len(rows))
        self.rows += len(rows)
        self.recovered += int(rows["recovered"].sum())
        self.nan_pixels += rows["nan"].sum(axis=0)
        self.alerts_with_nan += int(rows["nan"].any(axis=1).sum())


class SortedStamps:
    """Takes a night's rows in any order, and writes them to a Parquet file sorted by candid."""

    def __init__(self, path: Path, waiting: BinaryIO, night: str, crop: int):
        self._store = RowStore(waiting, crop)
        self._begin = lambda: StampsWriter(path, night, crop)
        self._writer = self._begin()
        self._last = -1
        self._in_order = True

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, complete or not."""
        self._writer.abandon()

    def add(self, rows: np.ndarray) -> None:
        """Add the next rows."""
        if not len(rows):
            return
        self._store.append(rows)
        if self._in_order:
            candids = rows["candid"]
            if candids[0] > self._last and (candids[1:] > candids[:-1]).all():
                self._writer.add(rows)
                self._last = candids[-1]
            else:
                self._writer.abandon()
                self._in_order = False

    def finish(self) -> tuple[StampsWriter, dict, int]:
        """Return the writer with its counts, the file's entry, and the number of duplicates."""
        duplicates = 0
        if not self._in_order:
            order, duplicates = self._store.order()
            self._writer = self._begin()
            size = self._writer.group
            for begin in range(0, len(order), size):
                self._writer.add(self._store.gather(order[begin : begin + size]))
        return self._writer, self._writer.close(), duplicates
