"""The clean data set: every valid record with its final id, sorted, one row per step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from skymill.engine.parallel import map_pieces
from skymill.engine.products import new_directory
from skymill.engine.tables import ParquetFile, categorical, read_table, write_parquet
from skymill.magnetic.inputs import PARTITION_NAMES
from skymill.magnetic.output_checks import require_records
from skymill.magnetic.schema import CLASSES, PARAMETERS, STEPS
from skymill.magnetic.store import (
    RECORDS_PER_ROW_GROUP,
    Records,
    pieces,
    step_table,
)


def clean_schema(parameters: Sequence[str] = PARAMETERS) -> pa.Schema:
    """Return the schema of the clean records, with a column for each of these parameters.

    A table has one row per step, sorted by (record_id, seq_id). safe_index = record_id * 60 +
    seq_id.
    """
    return pa.schema(
        [
            pa.field("record_id", pa.int64(), nullable=False),
            pa.field("seq_id", pa.int8(), nullable=False),
            pa.field("safe_index", pa.int64(), nullable=False),
            categorical("label", CLASSES),
            pa.field("source_id", pa.int64(), nullable=False),
            categorical("partition", PARTITION_NAMES, nullable=False),
            *(pa.field(name, pa.float64(), nullable=False) for name in parameters),
        ]
    )


IDS_COLUMNS = ("record_id", "source_id", "partition", "position", "label")
"""The columns of the ids table that the clean records need."""


@dataclass(frozen=True)
class CleanPiece:
    """One file of the clean data set: rows [first, last) of the ids table."""

    ids: Path
    stores: dict[str, Records]
    parameters: Sequence[str]
    first: int
    last: int
    path: Path
    page_checksums: bool


def write_clean(
    ids: Path,
    stores: dict[str, Records],
    output: Path,
    *,
    parameters: Sequence[str] = PARAMETERS,
    page_checksums: bool = True,
    workers: int = 1,
) -> list[dict]:
    """Write the values of every record in the ids table as one sorted data set.

    Parameters
    ----------
    ids
        Parquet table of ids.IDS_SCHEMA.
    stores
        The values of each partition's records, by position.
    output
        Directory of Parquet files of clean_schema, RECORDS_PER_FILE records each.
    parameters
        The parameters of the records.
    page_checksums
        Whether each page of a file has a checksum, which readers compare.

    Returns
    -------
    The manifest's `files`.
    """
    total = ParquetFile(ids).metadata.num_rows
    with new_directory(output) as directory:
        work = [
            CleanPiece(
                ids,
                stores,
                parameters,
                first,
                last,
                directory / f"part-{number:05d}.parquet",
                page_checksums,
            )
            for number, (first, last) in enumerate(pieces(total))
        ]
        return map_pieces(_write_piece, work, workers=workers, what=f"write {output}")


def _write_piece(piece: CleanPiece) -> dict:
    ids = read_table(piece.ids, IDS_COLUMNS).slice(piece.first, piece.last - piece.first)
    partition = ids["partition"].cast(pa.string()).to_numpy(zero_copy_only=False)
    position = ids["position"].to_numpy()
    values = np.empty((len(piece.parameters), len(ids), STEPS))
    for name, store in piece.stores.items():
        rows = np.flatnonzero(partition == name)
        if len(rows):
            # Positions ascend with ids in the archive, but other files may have another order.
            rows = rows[np.argsort(position[rows])]
            values[:, rows] = store.read(position[rows], piece.parameters)
    record_id = ids["record_id"].to_numpy()
    seq_id = np.tile(np.arange(STEPS, dtype=np.int8), (len(ids), 1))
    columns = {
        "record_id": record_id,
        "seq_id": seq_id,
        "safe_index": record_id[:, None] * STEPS + seq_id,
        "source_id": ids["source_id"].to_numpy(),
        "label": ids["label"].combine_chunks(),
        "partition": ids["partition"].combine_chunks(),
        **dict(zip(piece.parameters, values, strict=True)),
    }
    table = step_table(columns, clean_schema(piece.parameters))
    require_records(table, record_id)
    return write_parquet(
        piece.path,
        table,
        rows_per_group=RECORDS_PER_ROW_GROUP * STEPS,
        page_checksums=piece.page_checksums,
    )
