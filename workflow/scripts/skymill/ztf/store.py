"""Alerts wait in a file of fixed-width rows, and leave it sorted, as one Parquet file.

A night may hold a million and a half alerts; only their candids fit into memory. So rows are
appended to a file beside the output as they come, in whatever order, and when all are there each
row group is gathered from it. In the archive's tarballs rows come nearly sorted, so what is read
together lies together.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skymill.products import describe_file, new_file
from skymill.ztf.schema import NULL_FIELD, row_type, stamps_schema

GROUP_BYTES = 2**22
"""Bytes of pixels in a row group, about: what one read for a few alerts costs at least."""


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
        view = memoryview(np.ascontiguousarray(rows).view(np.uint8))
        while len(view):
            view = view[self._file.write(view) :]

    def order(self) -> tuple[np.ndarray, int]:
        """Return the places of the rows in their final order, and how many repeat a candid.

        Of rows with one candid the one whose bytes come first is kept, whichever came first.
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
        """Return the rows at these places; neighbours are read together."""
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


def as_table(rows: np.ndarray, night: str, crop: int) -> pa.Table:
    """Return rows as a table of stamps_schema."""
    schema = stamps_schema(crop)
    columns = {
        "night": pa.repeat(night, len(rows)),
        "object_id": pa.array(rows["object_id"].tolist(), pa.binary()).cast(pa.string()),
        "schema_version": pa.array(rows["schema_version"].tolist(), pa.binary()).cast(pa.string()),
        "field": pa.array(rows["field"], mask=rows["field"] == NULL_FIELD),
        "stamps": pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(rows["stamps"]).reshape(-1)),
            type=schema.field("stamps").type,
        ),
    }
    for place, name in enumerate(("science", "template", "difference")):
        columns[f"nan_{name}"] = pa.array(np.ascontiguousarray(rows["nan"][:, place]))
    for name in ("rb", "drb", "xpos", "ypos"):
        values = np.ascontiguousarray(rows[name])
        columns[name] = pa.array(values, mask=np.isnan(values))
    for name in schema.names:
        if name not in columns:
            columns[name] = pa.array(np.ascontiguousarray(rows[name]))
    return pa.table(
        [columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema
    )


def groups(order: np.ndarray, store: RowStore) -> Iterator[np.ndarray]:
    """Yield the rows of each row group in turn."""
    size = max(1, GROUP_BYTES // store.type.itemsize)
    for begin in range(0, len(order), size):
        yield store.gather(order[begin : begin + size])


def write_stamps(
    path: Path,
    store: RowStore,
    order: np.ndarray,
    night: str,
    crop: int,
    see: Callable[[np.ndarray], None],
) -> dict:
    """Write the rows in their final order as one Parquet file; return its entry for a manifest.

    `see` is called with the rows of each row group.
    """
    schema = stamps_schema(crop)
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    others = [name for name in schema.names if name not in (*floats, "stamps")]
    encoding = dict.fromkeys([*floats, "stamps.list.element"], "BYTE_STREAM_SPLIT")
    with new_file(path) as temporary:
        with pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=-1,
            use_dictionary=others,
            column_encoding=encoding,
            write_statistics=others,
        ) as writer:
            for rows in groups(order, store):
                see(rows)
                writer.write_table(as_table(rows, night, crop), row_group_size=len(rows))
        entry = describe_file(temporary, len(order))
    return {**entry, "name": path.name}
