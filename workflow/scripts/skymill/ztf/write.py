"""The cross-matched stamps in one place: Parquet, a memory-mappable array, and a list of labels.

Row by row the three hold the same alerts, in the order of the plan. Each night is read once, a few
thousand stamps at a time, and writes its stamps to where the plan says; so neither the order of
nights nor the workers show in the bytes, and memory does not grow with the stamps.
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
"""What the plan adds to the columns of a night."""
LIST_COLUMNS = (
    *("object_id", "candid", "label", "alerce_class", "probability", "split", "sampled"),
    *("isdiffpos", "fid", "rb", "group"),
)
"""Columns of `labels.csv` after `row`."""

BATCH_BYTES = 2**23
"""Stamps that are read at once: 8 MB."""
GROUP_BYTES = 2**24
"""Stamps of a row group of the product: 16 MB."""


@dataclass(frozen=True)
class NightPiece:
    """What one worker takes from one night.

    Attributes
    ----------
    path, sha256
        The night's Parquet, and what its manifest has of it.
    rows
        int64, ascending and distinct: rows of it to take.
    places
        int64: row of the product that each goes to.
    array, start
        The `.npy` file to write stamps into, and the byte where they begin.
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
        Parquet of each night, in any order, with the SHA-256 of its manifest.
    table
        Where the Parquet goes: columns of the nights, PLAN_COLUMNS, and stamps.
    array
        Where the array goes: float32 of shape (alerts, 3, crop, crop).
    listing
        Where the CSV goes: `row` and LIST_COLUMNS.
    workers
        Processes that read nights.

    Raises
    ------
    SkymillError
        When a night is missing, damaged or not the one that was planned from, or stamps of
        different nights have different shapes.
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
    """Return the digest that tells whether files have the same alerts in the same rows.

    It is the SHA-256 over a line for each alert, `object_id,candid`.
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
                f"stamps of {path} have {size:,} values, those of {first} {sizes[first]:,}. Delete "
                "the older of the two and run again, with one ztf.crop for both."
            )
    crop = math.isqrt(sizes[first] // len(CUTOUTS))
    fields = [
        pa.field(field.name, _plain(field.type), nullable=field.nullable)
        for field in found[first]
        if field.name != STAMPS
    ]
    return pa.schema(fields), crop


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values when a type is a dictionary of them."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _cut(planned: pa.Table, paths: dict[str, Path]) -> list[tuple[Path, np.ndarray, np.ndarray]]:
    """Return (night, rows, places) of each night that the plan takes something from, by name."""
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
                f"the plan takes alerts from night {name}, but its stamps are not among the "
                "inputs. Delete the plan and run again."
            )
        pieces[name] = (paths[name], rows[places], places)
    return [pieces[name] for name in sorted(pieces)]


def allocate(path: Path, shape: tuple[int, ...]) -> int:
    """Write a `.npy` file of float32 zeros of this shape; return the byte where they begin."""
    with open(path, "wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        begin = stream.tell()
        stream.truncate(begin + 4 * math.prod(shape))
    return begin


def open_array(path: Path) -> np.ndarray:
    """Return a `.npy` file as a map; one without rows, which cannot be mapped, as an array."""
    with open(path, "rb") as stream:
        np.lib.format.read_magic(stream)
        shape, _, _ = np.lib.format.read_array_header_1_0(stream)
    return np.load(path, mmap_mode="r") if math.prod(shape) else np.empty(shape, np.float32)


def take_night(piece: NightPiece) -> pa.Table:
    """Write the stamps of a night to their places; return its other columns, in order of row."""
    # Stamps lie in nearly all row groups, so this brings from the disk what is read next.
    require_content(piece.path, piece.sha256)
    tables, done = [], 0
    # For writing alone: an NFS client that may read writes whole pages back, and with them over
    # what a worker on another machine put beside.
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
            f"the plan takes row {piece.rows[done]} of {piece.path}, which does not have so many. "
            "Delete the plan and run again."
        )
    return pa.concat_tables(tables).combine_chunks()


def _write_rows(
    file: int, start: int, places: np.ndarray, values: np.ndarray, local: np.ndarray
) -> None:
    """Write rows `local` of `values` to their places in the array; neighbours go together.

    Not through a map: that would count as memory, and a full disk would kill the process.
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
    """Yield the batches of a night that hold something to take, each with its first row.

    Row groups without such a row are not read.
    """
    file = ParquetFile(piece.path, memory_map=True)
    width = 4 * file.schema_arrow.field(STAMPS).type.list_size
    begin = 0
    for group in range(file.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        wanted = np.searchsorted(piece.rows, [begin, end])
        if wanted[0] < wanted[1]:
            start = begin
            for batch in file.iter_batches(max(1, BATCH_BYTES // width), row_groups=[group]):
                yield start, batch
                start += batch.num_rows
        begin = end


def _in_order(
    tables: list[pa.Table], pieces: list[tuple], schema: pa.Schema, planned: pa.Table
) -> pa.Table:
    """Return the columns of all nights in the order of the plan, with what the plan adds.

    Raises
    ------
    SkymillError
        When what was read is not what was planned.
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
                f"{name} in the nights is not that of the plan: a night was made anew since. "
                "Delete the plan and run again."
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
    # Not write_table: memory need not hold this table.
    with pq.ParquetWriter(path, schema, **parquet_settings(schema)) as writer:
        for start, stop in ranges(metadata.num_rows, GROUP_BYTES // (4 * size)):
            values = np.fromfile(stamps, "<f4", (stop - start) * size)
            column = pa.FixedSizeListArray.from_arrays(pa.array(values), type=field.type)
            part = metadata.slice(start, stop - start)
            writer.write_table(pa.Table.from_arrays([*part.columns, column], schema=schema))
    rows = ParquetFile(path).metadata.num_rows
    if rows != metadata.num_rows:
        raise SkymillError(
            f"{path} holds {rows:,} rows instead of {metadata.num_rows:,}. The disk may be full or "
            "faulty: check it and run again."
        )


def ranges(total: int, size: int) -> list[tuple[int, int]]:
    """Return the half-open ranges that cut `total` rows into parts of `size`, at least one row."""
    size = max(1, size)
    return [(start, min(start + size, total)) for start in range(0, total, size)]


def write_listing(path: Path, metadata: pa.Table) -> None:
    """Write which row holds what, as CSV."""
    import pyarrow.csv as pa_csv

    rows = pa.array(np.arange(metadata.num_rows))
    names = ["row", *LIST_COLUMNS]
    table = pa.table([rows, *(metadata[name] for name in LIST_COLUMNS)], names=names)
    with open(path, "wb") as stream:
        stream.write((",".join(names) + "\n").encode())
        pa_csv.write_csv(table, stream, pa_csv.WriteOptions(include_header=False))
