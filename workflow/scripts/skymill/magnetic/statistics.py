"""Statistics of the engineered columns and classes of the original training records."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skymill.engine.errors import SkymillError
from skymill.engine.parallel import map_pieces
from skymill.engine.statistics import class_weights, summarise
from skymill.engine.tables import read_table
from skymill.magnetic.schema import LABELS, STEPS

TRAIN, ORIGINAL = "train", "original"
KEYS = ("record_id", "seq_id", "label")
"""The columns of a split that are not features."""


@dataclass(frozen=True)
class ColumnPiece:
    """One engineered column in the files of the split, and the records that are originals."""

    paths: tuple[Path, ...]
    name: str
    is_original: np.ndarray


def measure(train: list[Path], records: Path, *, workers: int = 1) -> dict:
    """Return the content of `statistics.json`: see the data dictionary.

    Parameters
    ----------
    train
        The files of the engineered training split, in order.
    records
        The table of all records.
    workers
        Processes. Each has one column in memory at a time.

    Raises
    ------
    SkymillError
        When the split and the table have different records.
    """
    listed = read_table(records, ["record_id", "split", "method", "label"])
    listed = listed.filter(pc.equal(listed["split"].cast(pa.string()), TRAIN))
    steps = [read_table(path, ["record_id"])["record_id"].to_numpy() for path in train]
    if not np.array_equal(np.concatenate(steps)[::STEPS], listed["record_id"].to_numpy()):
        raise SkymillError(
            f"{train[0].parent} does not have the records that {records} lists for this split. "
            "Delete both and run again."
        )
    is_original = pc.equal(listed["method"].cast(pa.string()), ORIGINAL).to_numpy(
        zero_copy_only=False
    )
    names = [name for name in pq.read_schema(train[0]).names if name not in KEYS]
    columns = map_pieces(
        describe_column,
        [ColumnPiece(tuple(train), name, is_original) for name in names],
        workers=workers,
        what="measure columns",
    )
    labels = listed["label"].cast(pa.string()).filter(pa.array(is_original))
    found = Counter(labels.to_pylist())
    return {
        "split": TRAIN,
        "records": int(is_original.sum()),
        "columns": dict(zip(names, columns, strict=True)),
        "classes": class_weights({label: found[label] for label in LABELS}),
    }


def describe_column(piece: ColumnPiece) -> dict:
    """Return the summary of a column in the original records, see engine.statistics."""
    chosen, first = [], 0
    for path in piece.paths:
        column = read_table(path, [piece.name])[piece.name]
        values = column.to_numpy().reshape(-1, STEPS)
        chosen.append(values[piece.is_original[first : first + len(values)]].reshape(-1))
        first += len(values)
    return summarise(np.concatenate(chosen))
