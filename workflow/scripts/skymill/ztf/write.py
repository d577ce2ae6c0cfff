"""Gather the cross-matched stamps: Parquet, a memory-mappable array, and a list of labels.

All three files have the same alerts in the same rows, in the order of the plan. Each night is read
once, a few thousand stamps at a time, and its stamps are written to their places in the plan. So
the bytes do not depend on the order of nights or on the workers, and memory does not grow with the
number of stamps.
"""

import itertools
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skymill.engine.digests import ordered_digest
from skymill.engine.errors import SkymillError
from skymill.engine.parallel import map_pieces
from skymill.engine.products import describe_file, new_file, require_content
from skymill.engine.tables import ParquetFile, parquet_settings, read_table
from skymill.ztf.schema import CUTOUTS, STAMPS, stamps_field

logger = logging.getLogger(__name__)

PLAN_COLUMNS = ("alerce_class", "label", "probability", "split", "sampled", "group")
"""Columns that the plan adds to the columns of a night."""
LIST_COLUMNS = (
    *("object_id", "candid", "label", "alerce_class", "probability", "split", "sampled"),
    *("isdiffpos", "fid", "rb", "group"),
)
"""Columns of `labels.csv` after `row`."""

BATCH_BYTES = 2**23
"""Bytes of stamps that are read at a time: 8 MB."""
GROUP_BYTES = 2**24
"""Bytes of stamps in a row group of the product: 16 MB."""


@dataclass(frozen=True)
class NightPiece:
    """The rows of one night that one worker copies.

    Attributes
    ----------
    path, sha256
        The night's Parquet, and the digest in its manifest.
    rows
        int64, ascending and distinct: rows of the night to copy.
    places
        int64: row of the product for each row of the night.
    array, start
        The `.npy` file for the stamps, and the byte where the stamps begin.
    """

    path: Path
    sha256: str
    rows: np.ndarray
    places: np.ndarray
    array: Path
    start: int


def gather(
    plan: Path,
    nights: dict[Path, str],
    *,
    table: Path,
    array: Path,
    listing: Path,
    workers: int,
) -> tuple[list[dict], dict, str]:
    """Write the alerts of the plan with their stamps.

    Returns entries and counts for a manifest, and the identity of the rows.

    Parameters
    ----------
    plan
        The plan, see `skymill.ztf.plan.PLAN_SCHEMA`.
    nights
        Parquet of each night, in any order, with the SHA-256 in its manifest.
    table
        The Parquet to write: columns of the nights, PLAN_COLUMNS, and stamps.
    array
        The array to write: float32 of shape (alerts, 3, crop, crop).
    listing
        The CSV to write: `row` and LIST_COLUMNS.
    workers
        Processes that read nights.

    Raises
    ------
    SkymillError
        When a night is missing, damaged or changed since the plan, or stamps of different nights
        have different shapes.
    """
    planned = read_table(plan)
    paths = {path.stem: path for path in nights}
    schema, crop = _common_schema(sorted(paths.values()))
    pieces = _cut(planned, paths)
    with (
        new_file(Path(table)) as new_table,
        new_file(Path(array)) as new_array,
        new_file(Path(listing)) as new_listing,
    ):
        begin = allocate(new_array, (planned.num_rows, len(CUTOUTS), crop, crop))
        tables = map_pieces(
            take_night,
            [
                NightPiece(path, nights[path], rows, places, new_array, begin)
                for path, rows, places in pieces
            ],
            workers=workers,
            what="gather stamps",
        )
        metadata = _in_order(tables, pieces, schema, planned)
        with open(new_array, "rb") as stamps:
            stamps.seek(begin)
            _write_table(new_table, metadata, stamps, crop)
        write_listing(new_listing, metadata)
        entries = [
            {**describe_file(written, planned.num_rows), "name": Path(final).name}
            for written, final in ((new_table, table), (new_array, array), (new_listing, listing))
        ]
    labels = planned["label"].value_counts().to_pylist()
    counts = {
        "rows": planned.num_rows,
        "crop": crop,
        "nights": len(pieces),
        "records_by_label": {found["values"]: found["counts"] for found in labels},
    }
    logger.info("%d alerts of %d nights gathered", planned.num_rows, len(pieces))
    return entries, counts, identity(planned)


def identity(alerts: pa.Table) -> str:
    """Return a digest of the rows. Files with one digest have the same alerts in the same rows.

    The digest is the SHA-256 of the lines `object_id,candid` of all alerts.
    """
    keys = zip(alerts["object_id"].to_pylist(), alerts["candid"].to_pylist(), strict=True)
    return ordered_digest(f"{object_id},{candid}" for object_id, candid in keys)


def _common_schema(paths: list[Path]) -> tuple[pa.Schema, int]:
    """Return the columns of all nights without the stamps, and the side of a stamp in pixels."""
    found = {path: ParquetFile(path).schema_arrow for path in paths}
    sizes = {path: schema.field(STAMPS).type.list_size for path, schema in found.items()}
    first = paths[0]
    for path, size in sizes.items():
        if size != sizes[first]:
            raise SkymillError(
                f"stamps of {path} have {size:,} values, but stamps of {first} have "
                f"{sizes[first]:,}. Delete the older file and run again, with the same "
                "ztf.crop for both."
            )
    crop = math.isqrt(sizes[first] // len(CUTOUTS))
    fields = [
        pa.field(field.name, _plain(field.type), nullable=field.nullable)
        for field in found[first]
        if field.name != STAMPS
    ]
    return pa.schema(fields), crop


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the value type of a dictionary type; return other types unchanged."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _cut(planned: pa.Table, paths: dict[str, Path]) -> list[tuple[Path, np.ndarray, np.ndarray]]:
    """Return (night, rows, places) of each night with planned alerts, sorted by name."""
    night = planned["night"].combine_chunks()
    names, codes = night.dictionary.to_pylist(), night.indices.to_numpy()
    rows = planned["row"].to_numpy().astype(np.int64)
    order = np.lexsort((rows, codes))
    borders = np.flatnonzero(np.diff(codes[order])) + 1
    pieces = {}
    for places in np.split(order, borders) if len(order) else []:
        name = names[codes[places[0]]]
        if name not in paths:
            raise SkymillError(
                f"the plan has alerts of night {name}, but the stamps of this night are not among "
                "the inputs. Delete the plan and run again."
            )
        pieces[name] = (paths[name], rows[places], places)
    return [pieces[name] for name in sorted(pieces)]


def allocate(path: Path, shape: tuple[int, ...]) -> int:
    """Write a `.npy` file of float32 zeros; return the byte where the zeros begin."""
    with open(path, "wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        begin = stream.tell()
        stream.truncate(begin + 4 * math.prod(shape))
    return begin


def open_array(path: Path) -> np.ndarray:
    """Return a `.npy` file as a memory map; an empty file cannot be mapped and is an array."""
    with open(path, "rb") as stream:
        np.lib.format.read_magic(stream)
        shape, _, _ = np.lib.format.read_array_header_1_0(stream)
    return np.load(path, mmap_mode="r") if math.prod(shape) else np.empty(shape, np.float32)


def require_aligned(table: Path, stamps: np.ndarray) -> None:
    """Raise SkymillError unless the table has a row for each stamp."""
    rows = ParquetFile(table).metadata.num_rows
    if rows != len(stamps):
        raise SkymillError(
            f"{table} has {rows:,} rows, but the array in the same folder has {len(stamps):,}. "
            "Delete both and run again."
        )


def take_night(piece: NightPiece) -> pa.Table:
    """Write the stamps of a night to their places; return its other columns, in order of row."""
    # Nearly all row groups have planned stamps, so the check reads bytes that are needed next.
    require_content(piece.path, piece.sha256)
    tables, done = [], 0
    # Open for writing only: an NFS client that may also read writes whole pages back, and could
    # overwrite nearby bytes of a worker on another machine.
    with os.fdopen(os.open(piece.array, os.O_WRONLY), "wb", buffering=0) as stream:
        for first, batch in _batches(piece):
            last = int(np.searchsorted(piece.rows, first + batch.num_rows))
            if last == done:
                continue
            local = piece.rows[done:last] - first
            column = batch.column(STAMPS)
            if column.null_count or column.flatten().null_count:
                raise SkymillError(
                    f"{piece.path} has alerts without stamps from row {first} on. Delete it and "
                    "run again."
                )
            values = column.flatten().to_numpy().reshape(batch.num_rows, -1)
            _write_rows(stream.fileno(), piece.start, piece.places[done:last], values, local)
            others = pa.Table.from_batches([batch]).drop([STAMPS]).take(pa.array(local))
            tables.append(_without_dictionaries(others))
            done = last
    if done < len(piece.rows):
        raise SkymillError(
            f"the plan has row {piece.rows[done]} of {piece.path}, but the file has fewer rows. "
            "Delete the plan and run again."
        )
    return pa.concat_tables(tables).combine_chunks()


def _write_rows(
    file: int, start: int, places: np.ndarray, values: np.ndarray, local: np.ndarray
) -> None:
    """Write rows `local` of `values` to their places in the array; adjacent rows in one step.

    A memory map is not used: it would count as memory, and a full disk would kill the process.
    """
    order = np.argsort(places)
    places, rows = places[order], values[local[order]]
    width = rows.itemsize * rows.shape[1]
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    for begin, end in itertools.pairwise([0, *breaks.tolist(), len(places)]):
        content = memoryview(rows[begin:end]).cast("B")
        offset = start + int(places[begin]) * width
        while content:
            written = os.pwrite(file, content, offset)
            content, offset = content[written:], offset + written


def _without_dictionaries(table: pa.Table) -> pa.Table:
    fields = [field.with_type(_plain(field.type)).remove_metadata() for field in table.schema]
    return table.cast(pa.schema(fields))


def _batches(piece: NightPiece) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the first row and the batch, for the batches of row groups with planned rows.

    Row groups without planned rows are not read.
    """
    file = ParquetFile(piece.path, memory_map=True)
    width = 4 * file.schema_arrow.field(STAMPS).type.list_size
    begin = 0
    for group in range(file.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        planned = np.searchsorted(piece.rows, [begin, end])
        if planned[0] < planned[1]:
            start = begin
            for batch in file.iter_batches(max(1, BATCH_BYTES // width), row_groups=[group]):
                yield start, batch
                start += batch.num_rows
        begin = end


def _in_order(
    tables: list[pa.Table], pieces: list[tuple], schema: pa.Schema, planned: pa.Table
) -> pa.Table:
    """Return the columns of all nights in the order of the plan, with PLAN_COLUMNS.

    Raises
    ------
    SkymillError
        When the alerts that were read do not match the plan.
    """
    for (path, _, _), table in zip(pieces, tables, strict=True):
        if table.schema.names != schema.names or table.schema.types != schema.types:
            raise SkymillError(
                f"{path} has other columns than the other nights. Delete it and run again."
            )
    read = pa.concat_tables(
        [pa.Table.from_arrays(table.columns, schema=schema) for table in tables]
        or [schema.empty_table()]
    )
    places = np.concatenate([np.empty(0, np.int64), *(places for _, _, places in pieces)])
    if len(places) != planned.num_rows or read.num_rows != planned.num_rows:
        raise SkymillError(
            f"{read.num_rows:,} alerts were read, but the plan has {planned.num_rows:,}. Delete "
            "the plan and run again."
        )
    inverse = np.empty(len(places), dtype=np.int64)
    inverse[places] = np.arange(len(places))
    ordered = read.take(pa.array(inverse)).combine_chunks()
    for name in ("object_id", "candid"):
        if not ordered[name].equals(planned[name]):
            raise SkymillError(
                f"{name} differs between the nights and the plan: a night was made again after the "
                "plan. Delete the plan and run again."
            )
    for name in PLAN_COLUMNS:
        column = planned[name]
        field = pa.field(name, _plain(column.type), nullable=planned.schema.field(name).nullable)
        ordered = ordered.append_column(field, column.cast(field.type))
    return ordered


def _write_table(path: Path, metadata: pa.Table, stamps: BinaryIO, crop: int) -> None:
    """Write metadata and stamps, read from a stream of float32, as one Parquet."""
    size = len(CUTOUTS) * crop**2
    field = stamps_field(crop)
    schema = metadata.schema.append(field)
    # Written in parts, because the whole table may not fit into memory.
    with pq.ParquetWriter(path, schema, **parquet_settings(schema)) as writer:
        for start, stop in ranges(metadata.num_rows, GROUP_BYTES // (4 * size)):
            values = np.fromfile(stamps, "<f4", (stop - start) * size)
            column = pa.FixedSizeListArray.from_arrays(pa.array(values), type=field.type)
            part = metadata.slice(start, stop - start)
            writer.write_table(pa.Table.from_arrays([*part.columns, column], schema=schema))
    rows = ParquetFile(path).metadata.num_rows
    if rows != metadata.num_rows:
        raise SkymillError(
            f"{path} has {rows:,} rows instead of {metadata.num_rows:,}. The disk may be full or "
            "faulty: check it and run again."
        )


def ranges(total: int, size: int) -> list[tuple[int, int]]:
    """Return half-open ranges that cut `total` rows into parts of `size` rows (at least one)."""
    size = max(1, size)
    return [(start, min(start + size, total)) for start in range(0, total, size)]


def write_listing(path: Path, metadata: pa.Table) -> None:
    """Write the list of alerts, by row, as CSV."""
    import pyarrow.csv as pa_csv

    rows = pa.array(np.arange(metadata.num_rows))
    names = ["row", *LIST_COLUMNS]
    table = pa.table([rows, *(metadata[name] for name in LIST_COLUMNS)], names=names)
    with open(path, "wb") as stream:
        stream.write((",".join(names) + "\n").encode())
        pa_csv.write_csv(table, stream, pa_csv.WriteOptions(include_header=False))
