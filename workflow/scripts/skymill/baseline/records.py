"""Statistics of magnetic records: nine numbers for each parameter of a record.

A synthetic copy depends only on its record. So each copy is described once, for any split.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.engine.parallel import map_pieces
from skymill.engine.products import Product
from skymill.engine.tables import categorical
from skymill.magnetic.augment import synthesise
from skymill.magnetic.missing import missing_steps
from skymill.magnetic.plan_table import CHANGED, METHODS
from skymill.magnetic.schema import STEPS
from skymill.magnetic.store import RecordStore, pieces

STATISTICS = (
    "mean",
    "deviation",
    "minimum",
    "maximum",
    "median",
    "first",
    "last",
    "slope",
    "missing",
)
"""Statistics of the measured steps of a record. `deviation` has ddof 0, `first` and `last` are
values, `slope` is the slope of the least-squares line per step, and `missing` is the share of steps
without a value."""

KEYS = (
    pa.field("record_id", pa.int64(), nullable=False),
    categorical("method", METHODS, nullable=False),
    pa.field("copy", pa.int16(), nullable=False),
)
"""A row is a record or a copy. The `record_id` of a copy is the id of its original."""

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class RecordsPiece:
    """Some records of a store, and the method and copy number of each row."""

    clean: Product
    parameters: Sequence[str]
    seed: int
    position: np.ndarray
    record_id: np.ndarray
    method: np.ndarray
    copy: np.ndarray


def describe_records(
    ids: pd.DataFrame,
    clean: Product,
    augmentation: dict,
    *,
    seed: int,
    parameters: Sequence[str],
    workers: int = 1,
) -> pa.Table:
    """Describe each training record, and each changed copy that the augmentation may make.

    Parameters
    ----------
    ids
        The records of `clean`, row by row, see ids.read_ids.
    clean
        The clean training records.
    augmentation, seed
        As in the configuration. Duplicates have no row, because they equal their originals.
    workers
        Number of processes. Each process has one batch of values in memory at a time.

    Returns
    -------
    The columns of KEYS, then `{parameter}_{statistic}` in float32. A statistic is NaN if no step
    was measured.
    """
    rows = _rows(ids, augmentation)
    work = [
        RecordsPiece(clean, parameters, seed, *(column[first:last] for column in rows))
        for first, last in pieces(len(rows[0]))
    ]
    parts = map_pieces(_describe_piece, work, workers=workers, what="describe records")
    width = len(parameters) * len(STATISTICS)
    values = np.concatenate(parts) if parts else np.empty((0, width), np.float32)
    _, record_id, method, copy = rows
    arrays = [
        pa.array(column, type=field.type)
        for field, column in zip(KEYS, (record_id, method, copy), strict=True)
    ]
    names = [f"{name}_{statistic}" for name in parameters for statistic in STATISTICS]
    fields = [pa.field(name, pa.float32(), nullable=False) for name in names]
    arrays += [pa.array(np.ascontiguousarray(column)) for column in values.T]
    return pa.Table.from_arrays(arrays, schema=pa.schema([*KEYS, *fields]))


def _rows(ids: pd.DataFrame, augmentation: dict) -> tuple[np.ndarray, ...]:
    """Return position, record_id, method and copy of each row: originals, then copies."""
    position = np.arange(len(ids), dtype=np.int64)
    label = ids["label"].to_numpy(object)
    parts = [(position, "original", 0)]
    for name, settings in augmentation.items():
        members = position[label == name]
        parts += [
            (members, method, copy)
            for method in CHANGED
            for copy in range(1, settings.get(method, 0) + 1)
        ]
    place = np.concatenate([members for members, _, _ in parts])
    method = np.concatenate([np.full(len(members), name, object) for members, name, _ in parts])
    copy = np.concatenate([np.full(len(members), copy, np.int16) for members, _, copy in parts])
    # Copies of neighbours are read together, so a batch reads few row groups.
    rank = np.array([METHODS.index(name) for name in method], dtype=np.int8)
    order = np.lexsort([copy, rank, place, rank > 0])
    place, method, copy = place[order], method[order], copy[order]
    return place, ids["record_id"].to_numpy(np.int64)[place], method, copy


def _describe_piece(piece: RecordsPiece) -> np.ndarray:
    order = np.argsort(piece.position, kind="stable")
    values = np.empty((len(piece.parameters), len(order), STEPS))
    values[:, order] = RecordStore(piece.clean).read(piece.position[order], piece.parameters)
    synthesise(values, piece.record_id, piece.method, piece.copy, piece.seed, piece.parameters)
    described = [
        describe_series(series, missing_steps(series, name))
        for name, series in zip(piece.parameters, values, strict=True)
    ]
    return np.concatenate(described, axis=1)


def describe_series(series: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the STATISTICS of series, float32, shape (records, 9).

    Parameters
    ----------
    series
        float64, shape (records, steps).
    missing
        bool, of the same shape: which steps have no value. Steps that are not finite are missing,
        too.
    """
    missing = missing | ~np.isfinite(series)
    records, steps = series.shape
    row = np.arange(records)
    count = steps - missing.sum(axis=1)
    # Sorting puts missing steps last. A record without any value has only NaN.
    known = np.where(missing, np.nan, series)
    ordered = np.sort(known, axis=1)
    zeroed = np.where(missing, 0.0, series)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = zeroed.sum(axis=1) / count
        away = np.where(missing, 0.0, series - mean[:, None])
        deviation = np.sqrt((away**2).sum(axis=1) / count)
        step = np.where(missing, 0.0, np.arange(steps, dtype=np.float64))
        centred = np.where(missing, 0.0, step - (step.sum(axis=1) / count)[:, None])
        slope = (centred * away).sum(axis=1) / (centred**2).sum(axis=1)
        median = (ordered[row, (count - 1) // 2] + ordered[row, count // 2]) / 2
    found = [
        mean,
        deviation,
        ordered[:, 0],
        ordered[row, count - 1],
        median,
        known[row, np.argmin(missing, axis=1)],
        known[row, steps - 1 - np.argmin(missing[:, ::-1], axis=1)],
        slope,
        1 - count / steps,
    ]
    return np.clip(np.stack(found, axis=1), -_LARGEST, _LARGEST).astype(np.float32)
