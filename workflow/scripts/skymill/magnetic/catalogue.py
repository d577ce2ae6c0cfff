"""Ingest: read one raw file, and write its values, its catalogue and its quarantine.

The file is cut into blocks of bytes. A line is in the block in which it begins, and each block
becomes one Parquet file. Blocks are independent, so any number of workers writes the same bytes.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skymill.engine.arrays import to_arrow
from skymill.engine.gzipped import is_gzipped, unpack
from skymill.engine.parallel import map_pieces
from skymill.engine.products import new_directory, new_file
from skymill.engine.tables import write_parquet, write_table
from skymill.magnetic.catalogue_table import CATALOGUE_SCHEMA, count_lines
from skymill.magnetic.fingerprints import fingerprint
from skymill.magnetic.parse import (
    BYTE_ORDER_MARK,
    RejectedLine,
    parse_line,
    reject_unusable,
)
from skymill.magnetic.schema import PARAMETERS, STEPS
from skymill.magnetic.store import step_table

BLOCK_BYTES = 16 * 2**20
"""Raw bytes that become one Parquet file: about 320 records."""

READ_BYTES = 2**20
"""Raw bytes read at a time."""

MAX_LINE_BYTES = 16 * 2**20
"""A longer line is rejected unread. Real lines have about 50 kB."""

MAX_RECORDS = 2 + BLOCK_BYTES // (len(PARAMETERS) * STEPS * len('"0":1,'))
"""An upper limit of the valid records in a block. The part of the memory that is not filled is not
used."""

MOST_LISTED = 1_000
"""The first so many lines of a block that are no records have a row each; later ones are counted
together. A block has some 320 records, and memory must not grow with lines of one byte."""

SHORTEST_RECORD = len(PARAMETERS) * (STEPS * len('"0":1,') - 1)
"""The fewest bytes of a record."""

BEGINNING_BYTES = 160
"""The quarantine shows so many bytes of a rejected line."""

VALUES_SCHEMA = pa.schema(
    [
        pa.field("seq_id", pa.int8(), nullable=False),
        pa.field("fingerprint", pa.uint64(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in PARAMETERS),
    ]
)
"""One row per step of each valid record; `fingerprint` is the fingerprint of the step's magnetic
parameters."""

LINES_SCHEMA = pa.schema(
    [
        pa.field(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type)
        for field in CATALOGUE_SCHEMA
        if field.name != "partition"
    ]
)
"""A block's part of the catalogue."""


@dataclass(frozen=True)
class Block:
    """One block of work: the lines of `raw` that begin in block `number` of BLOCK_BYTES."""

    raw: Path
    number: int
    labelled: bool
    values: Path


@dataclass
class BlockResult:
    """The lines of a block. The block has `count` lines; line numbers count from 0 within it."""

    count: int
    lines: pa.Table
    rejected: list[dict]
    file: dict | None


def ingest(
    raw: Path,
    partition: str,
    *,
    labelled: bool,
    values: Path,
    catalogue: Path,
    quarantine: Path,
    workers: int = 1,
    blocks_per_piece: int = 8,
) -> dict:
    """Parse a raw file and write its three products.

    Parameters
    ----------
    raw, partition
        The JSON-lines file, which may be gzipped, and its name in every table.
    labelled
        Whether the records must have labels (training files).
    values
        Directory of Parquet files of VALUES_SCHEMA, records in file order.
    catalogue
        Parquet file of CATALOGUE_SCHEMA.
    quarantine
        JSON lines, one per rejected line: file, line, reason, detail, beginning, and the number of
        lines that the entry counts, see CATALOGUE_SCHEMA. `file` is the name without `.gz`, and
        `line` counts the lines of the file without compression.
    workers, blocks_per_piece
        How the work is spread. They change no byte of the products. The first batches have
        `blocks_per_piece` blocks, so that workers rarely wait for the next batch. The last batches
        have one block, so that no worker waits long at the end.

    Returns
    -------
    The manifest's `files` and `counts` (lines = valid + rejected + blank).

    Raises
    ------
    SkymillError
        When a gzipped file is damaged or cut short.
    """
    with new_directory(values) as directory:
        with _plain(raw, directory) as plain:
            blocks = range(-(-plain.stat().st_size // BLOCK_BYTES))
            left = [Block(plain, number, labelled, directory) for number in blocks]
            work = []
            while left:
                size = max(1, min(blocks_per_piece, len(left) // (4 * workers)))
                work.append(left[:size])
                left = left[size:]
            done = map_pieces(_ingest_blocks, work, workers=workers, what=f"ingest {partition}")
        results = [result for piece in done for result in piece]
        table = _catalogue(partition, results)
        write_table(catalogue, table)
        _write_quarantine(quarantine, raw.name.removesuffix(".gz"), results)
    return {
        "files": [result.file for result in results if result.file],
        "counts": count_lines(table),
    }


@contextlib.contextmanager
def _plain(raw: Path, directory: Path) -> Iterator[Path]:
    """Yield the path of a raw file without compression.

    A gzipped file is unpacked into the directory until the context ends. Several workers read the
    blocks of one file, and a compressed stream can be read only from its start. If the run is
    killed, the unpacked file is deleted with the directory.
    """
    if not is_gzipped(raw):
        yield raw
        return
    plain = directory / "unpacked.json"
    try:
        unpack(raw, plain)
        yield plain
    finally:
        plain.unlink(missing_ok=True)


def _ingest_blocks(blocks: list[Block]) -> list[BlockResult]:
    return [_ingest_block(block) for block in blocks]


def _ingest_block(block: Block) -> BlockResult:
    """Parse the lines of one block and write the valid records' values."""
    entries, rejected = [], []
    values = np.empty((MAX_RECORDS, len(PARAMETERS), STEPS))
    valid = []  # (line, source_id, label), in the order of the rows of `values`
    others = 0
    alike: dict[tuple, list] = {}

    def reject(number: int, why: RejectedLine, line: bytes) -> list:
        entry = [number, why.source_id, why.label, "rejected", why.reason, None, 1]
        entries.append(entry)
        beginning = line[:BEGINNING_BYTES].decode("utf-8", "replace").rstrip("\r\n")
        rejected.append((entry, why.detail, beginning))
        return entry

    def set_aside(number: int, why: RejectedLine | None, line: bytes) -> None:
        """List a line that is no record: a blank line, or a rejected line with its reason."""
        nonlocal others
        others += 1
        key = why and (why.reason, why.label)
        if others > MOST_LISTED and key in alike:
            alike[key][-1] += 1
            return
        if why:
            entry = reject(number, why, line)
        else:
            entry = [number, None, None, "blank", None, None, 1]
            entries.append(entry)
        if others > MOST_LISTED:
            entry[1] = None
            alike[key] = entry

    beginnings, count = {}, 0
    for number, line in enumerate(read_lines(block.raw, block.number)):
        count += 1
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            detail = f"the line has more than {MAX_LINE_BYTES:,} bytes"
            set_aside(number, RejectedLine("line_too_long", detail), line)
            continue
        line = line.removeprefix(BYTE_ORDER_MARK)
        if not line or line.isspace():
            set_aside(number, None, line)
        elif others >= MOST_LISTED and len(line) < SHORTEST_RECORD:
            # Parsing would take too long: a block may have a line for every two bytes.
            set_aside(number, _TOO_SHORT, line)
        else:
            try:
                source_id, label = parse_line(line, values[len(valid)], labelled=block.labelled)
            except RejectedLine as why:
                set_aside(number, why, line)
            else:
                beginnings[number] = line[:BEGINNING_BYTES]
                valid.append((number, source_id, label))
    values = values[: len(valid)]
    unusable = dict(reject_unusable(values))
    for position, why in unusable.items():
        number, why.source_id, why.label = valid[position]
        reject(number, why, beginnings[number])
    if unusable:
        kept = [position for position in range(len(valid)) if position not in unusable]
        values = values[kept]
        valid = [valid[position] for position in kept]
    steps, contents = fingerprint(values)
    for (number, source_id, label), content in zip(valid, contents, strict=True):
        entries.append((number, source_id, label, "valid", None, content, 1))
    file = None
    if valid:
        path = block.values / f"part-{block.number:05d}.parquet"
        columns = {name: values[:, index] for index, name in enumerate(PARAMETERS)}
        columns["fingerprint"] = steps
        columns["seq_id"] = np.tile(np.arange(STEPS, dtype=np.int8), (len(valid), 1))
        table = step_table(columns, VALUES_SCHEMA)
        file = write_parquet(path, table, rows_per_group=table.num_rows)
    quarantined = [
        {
            "line": entry[0],
            "reason": entry[4],
            "detail": detail if entry[-1] == 1 else f"{detail} (the first of {entry[-1]:,} such)",
            "beginning": beginning,
            "lines": entry[-1],
        }
        for entry, detail, beginning in rejected
    ]
    return BlockResult(
        count=count,
        lines=_lines(sorted(entries, key=itemgetter(0))),
        rejected=sorted(quarantined, key=itemgetter("line")),
        file=file,
    )


_TOO_SHORT = RejectedLine("line_too_short", f"no record has fewer than {SHORTEST_RECORD:,} bytes")


def _lines(entries: list[tuple]) -> pa.Table:
    """Return entries as a table of LINES_SCHEMA."""
    columns = list(zip(*entries, strict=True)) or [()] * len(LINES_SCHEMA)
    arrays = [to_arrow(each, kind) for each, kind in zip(columns, LINES_SCHEMA.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=LINES_SCHEMA)


def read_lines(path: Path, number: int) -> Iterator[bytes]:
    """Yield the lines that begin in block `number`, with their line ends.

    A line of more than MAX_LINE_BYTES is cut one byte after that length, so that memory never
    contains the whole line.
    """
    position, end = number * BLOCK_BYTES, (number + 1) * BLOCK_BYTES
    with open(path, "rb", buffering=READ_BYTES) as stream:
        if position:
            # A line begins after every newline. The byte before the block may be a newline.
            position = stream.seek(position - 1)
            position += _skip_line(stream, end - position)
        while position < end:
            line = stream.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            yield line
            position += len(line)
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                position += _skip_line(stream, end - position)


def _skip_line(stream: BinaryIO, limit: int) -> int:
    """Read to the end of the line, or at least `limit` bytes. Return the number of bytes read."""
    skipped = 0
    while skipped < limit:
        part = stream.readline(READ_BYTES)
        skipped += len(part)
        if not part or part.endswith(b"\n"):
            break
    return skipped


def _catalogue(partition: str, results: list[BlockResult]) -> pa.Table:
    """Return the catalogue of a file: the lines of all its blocks."""
    before, tables = 0, [_lines([])]
    for result in results:
        number = pc.add(result.lines["line"], to_arrow([before + 1], pa.int64())[0])
        tables.append(result.lines.set_column(0, LINES_SCHEMA.field("line"), number))
        before += result.count
    lines = pa.concat_tables(tables)
    lines = lines.combine_chunks()  # the bytes that are written depend on the table's chunks
    columns = {
        **dict(zip(lines.column_names, lines.columns, strict=True)),
        "partition": to_arrow(np.full(lines.num_rows, partition.encode()), pa.string()),
    }
    return pa.table(
        [columns[field.name].cast(field.type) for field in CATALOGUE_SCHEMA],
        schema=CATALOGUE_SCHEMA,
    )


def _write_quarantine(path: Path, name: str, results: list[BlockResult]) -> None:
    before = 0
    with new_file(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for result in results:
            for entry in result.rejected:
                document = {"file": name, **entry, "line": before + entry["line"] + 1}
                stream.write(json.dumps(document, ensure_ascii=False) + "\n")
            before += result.count
