"""Statistics of the stamps of the training alerts, by kind, and of the alerts' classes."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skymill.engine.parallel import map_pieces
from skymill.engine.statistics import (
    Counts,
    Moments,
    Selection,
    add_counts,
    class_weights,
    lower_halves,
    upper_halves,
)
from skymill.engine.tables import describe_columns, read_table
from skymill.ztf.schema import CUTOUTS, STAMPS
from skymill.ztf.write import open_array

TRAIN = "train"
SPLITS = (TRAIN, "validation", "test")
PIECE_BYTES = 2**26
"""Bytes of stamps in memory at a time. Pieces do not depend on the workers."""


@dataclass(frozen=True)
class StampsPiece:
    """Some training alerts: their rows, and their number of pixels without a value, by kind."""

    array: Path
    rows: np.ndarray
    missing: np.ndarray
    halves: tuple[tuple[int, ...], ...] = ()


def measure(table: Path, array: Path, *, workers: int = 1) -> dict:
    """Return the content of `statistics.json`: see the data dictionary.

    Parameters
    ----------
    table, array
        `stamps.parquet` and `stamps.npy`, which have the same rows.
    workers
        Processes.
    """
    missing_of = [f"nan_{kind}" for kind in CUTOUTS]
    alerts = read_table(table, ["label", "split", *missing_of])
    rows = np.flatnonzero(pc.equal(alerts["split"].cast(pa.string()), TRAIN).to_numpy())
    missing = np.stack([alerts[name].to_numpy()[rows] for name in missing_of], axis=1)
    labels = np.array(alerts["label"].cast(pa.string()).to_pylist(), dtype=object)
    found = Counter(labels[rows].tolist())
    shape = open_array(array).shape
    return {
        "split": TRAIN,
        "records": len(rows),
        "kinds": _kinds(array, rows, missing, 4 * math.prod(shape[1:]), workers),
        "classes": class_weights({label: found[label] for label in sorted({*labels})}),
    }


def describe_alerts(table: Path, array: Path) -> list[dict]:
    """Return the columns of the cross-match, see engine.tables.describe_columns."""
    shape = list(open_array(array).shape[1:])
    return describe_columns(pq.read_schema(table), {STAMPS: shape})


def count_splits(table: Path) -> dict[str, dict]:
    """Count the alerts of each split, also by label. All alerts count, exported or not."""
    alerts = read_table(table, ["label", "split"])
    labels, splits = (alerts[name].cast(pa.string()).to_pylist() for name in ("label", "split"))
    found = Counter(zip(splits, labels, strict=True))
    names = sorted({*labels})
    by_label = {split: {label: found[split, label] for label in names} for split in SPLITS}
    return {
        split: {"alerts": sum(counts.values()), "by_label": counts}
        for split, counts in by_label.items()
    }


def _kinds(
    array: Path, rows: np.ndarray, missing: np.ndarray, row_bytes: int, workers: int
) -> dict:
    length = max(1, PIECE_BYTES // row_bytes)
    pieces = [
        StampsPiece(array, rows[first : first + length], missing[first : first + length])
        for first in range(0, max(1, len(rows)), length)
    ]
    passed = map_pieces(first_pass, pieces, workers=workers, what="measure stamps")
    moments = [sum((part[kind][0] for part in passed), Moments(0, 0.0, 0.0)) for kind in (0, 1, 2)]
    selections = [Selection(add_counts(part[kind][1] for part in passed)) for kind in (0, 1, 2)]
    halves = tuple(tuple(selection.halves) for selection in selections)
    again = [StampsPiece(piece.array, piece.rows, piece.missing, halves) for piece in pieces]
    lower = map_pieces(second_pass, again, workers=workers, what="measure stamps again")
    return {
        name: selections[kind].summary(
            moments[kind],
            int(missing[:, kind].sum()),
            {half: add_counts(part[kind][half] for part in lower) for half in halves[kind]},
        )
        for kind, name in enumerate(CUTOUTS)
    }


def first_pass(piece: StampsPiece) -> list[tuple[Moments, Counts]]:
    """Return moments and upper halves of the values, for each kind of stamp."""
    return [(Moments.of(values), upper_halves(values)) for values in _values(piece)]


def second_pass(piece: StampsPiece) -> list[dict[int, Counts]]:
    """Return the lower halves of the values near quantiles, for each kind of stamp."""
    return [
        lower_halves(values, halves)
        for values, halves in zip(_values(piece), piece.halves, strict=True)
    ]


def _values(piece: StampsPiece) -> list[np.ndarray]:
    """Return the pixels with a value from the survey, by kind, float32, shape (n,).

    Pixels without a value are 0 in the stamps. They cannot be distinguished from other zeros, but
    this does not matter: the same number of the alert's zeros is left out.
    """
    stamps = open_array(piece.array)[piece.rows]
    stamps = stamps.reshape(*stamps.shape[:2], math.prod(stamps.shape[2:]))
    kinds = []
    for kind in range(len(CUTOUTS)):
        values = np.ascontiguousarray(stamps[:, kind])
        is_value = np.ones(values.shape, dtype=bool)
        for row in np.flatnonzero(piece.missing[:, kind]):
            zeros = np.flatnonzero(values[row] == 0)
            is_value[row, zeros[: piece.missing[row, kind]]] = False
        kinds.append(values[is_value])
    return kinds
