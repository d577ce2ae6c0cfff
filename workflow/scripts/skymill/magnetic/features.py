"""Features: fill missing steps, compute logarithms and rolling statistics, select columns.

Every computation stays inside a record. Arrays have the shape (records, 60).
"""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from skymill.engine.parallel import map_pieces
from skymill.engine.products import Product, new_directory
from skymill.engine.tables import categorical, read_table, write_parquet
from skymill.magnetic.columns import Columns
from skymill.magnetic.missing import missing_steps
from skymill.magnetic.output_checks import require_counts, require_finite, require_records
from skymill.magnetic.plan_table import planned_records, read_plan
from skymill.magnetic.schema import CLASSES, STEPS, UNKNOWN
from skymill.magnetic.store import (
    NO_RECORDS,
    RECORDS_PER_ROW_GROUP,
    RecordStore,
    pieces,
    step_table,
)

logger = logging.getLogger(__name__)


def rolling_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean over the last `window` steps; the first steps have shorter windows."""
    total, count = _window_sum(values, window), _window_count(window)
    return total / count


def rolling_std(values: np.ndarray, window: int) -> np.ndarray:
    """Return the standard deviation (ddof 1) over the last `window` steps; NaN at the first step.

    The squared deviations from each window's own mean are summed: a running sum of squares would
    lose digits.
    """
    mean, count = rolling_mean(values, window), _window_count(window)
    squares = np.zeros_like(values)
    for back in range(window):
        squares[:, back:] += (values[:, : STEPS - back] - mean[:, back:]) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(squares / (count - 1))


def difference(values: np.ndarray, window: int) -> np.ndarray:
    """Return each step minus the one `window` steps before; NaN at the first `window` steps."""
    return values - lag(values, window)


def lag(values: np.ndarray, window: int) -> np.ndarray:
    """Return the value `window` steps before; NaN at the first `window` steps."""
    out = np.full_like(values, np.nan)
    out[:, window:] = values[:, : STEPS - window]
    return out


def _window_sum(values: np.ndarray, window: int) -> np.ndarray:
    total = np.zeros_like(values)
    for back in range(window):
        total[:, back:] += values[:, : STEPS - back]
    return total


def _window_count(window: int) -> np.ndarray:
    return np.minimum(np.arange(STEPS) + 1, window).astype(np.float64)


FUNCTIONS = {
    "rolling_mean": rolling_mean,
    "rolling_std": rolling_std,
    "diff": difference,
    "lag": lag,
}


class FeatureSet(Columns):
    """The columns that a configuration selects, and their computation."""

    def schema(self) -> pa.Schema:
        """Return the schema of a split: keys, then float64 columns in the configured order."""
        return pa.schema(
            [
                pa.field("record_id", pa.int64(), nullable=False),
                pa.field("seq_id", pa.int8(), nullable=False),
                categorical("label", CLASSES, nullable=False),
                *(pa.field(name, pa.float64(), nullable=False) for name in self.names),
            ]
        )

    def compute(self, values: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        """Compute the columns of some records.

        Parameters
        ----------
        values
            float64, shape (len(self.parameters), records, 60), raw; overwritten.

        Returns
        -------
        columns
            A float64 array of shape (records, 60) per column, finite where the input is finite.
        never_measured
            Per raw parameter, how many records have no value at any step.
        """
        bases, never_measured = {}, {}
        for name, series in zip(self.parameters, values, strict=True):
            never_measured[name] = fill_missing(series, name, self.fill)
            bases[name] = series
        for log, name in self.logs.items():
            if name in bases:
                bases[log] = np.log1p(np.maximum(bases[name], 0.0))
        columns = {}
        for name in self.names:
            if name in self.derived:
                column = self.derived[name]
                function = FUNCTIONS[column.operation]
                columns[name] = np.nan_to_num(
                    function(bases[column.parameter], column.window), posinf=np.inf, neginf=-np.inf
                )
            else:
                columns[name] = bases[name]
        return columns, never_measured


def fill_missing(series: np.ndarray, name: str, fill: str) -> int:
    """Fill the missing steps of one parameter in place; return how many records had no value.

    Parameters
    ----------
    series
        float64, shape (records, 60), raw values.
    fill
        `zero`: NaN becomes 0. `interpolate`: NaN, exact zeros of an extensive parameter and the
        sentinel of XR_MAX are interpolated linearly inside the record. Missing steps at the edges
        get the nearest value. A record without any value becomes 0.
    """
    if fill == "zero":
        missing = np.isnan(series)
        series[missing] = 0.0
        return int(missing.all(axis=1).sum())
    missing = missing_steps(series, name)
    never = missing.all(axis=1)
    series[never] = 0.0
    rows = np.flatnonzero(missing.any(axis=1) & ~never)
    if len(rows):
        series[rows] = _interpolate(series[rows], missing[rows])
    return int(never.sum())


def _interpolate(series: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return rows with their missing steps interpolated. Each row needs at least one value."""
    at = np.arange(STEPS)
    before = np.maximum.accumulate(np.where(missing, -1, at), axis=1)
    after = np.minimum.accumulate(np.where(missing, STEPS, at)[:, ::-1], axis=1)[:, ::-1]
    before, after = np.where(before < 0, after, before), np.where(after == STEPS, before, after)
    left = np.take_along_axis(series, before, axis=1)
    right = np.take_along_axis(series, after, axis=1)
    share = (at - before) / np.maximum(after - before, 1)
    return np.where(missing, left + (right - left) * share, series)


@dataclass(frozen=True)
class FeaturePiece:
    """One file of a split: records by their positions in a store."""

    store: Product
    position: np.ndarray
    record_id: np.ndarray
    label: np.ndarray
    settings: dict
    path: Path


def write_features(
    store: Product,
    position: np.ndarray,
    record_id: np.ndarray,
    label: np.ndarray,
    settings: dict,
    output: Path,
    *,
    expected: dict[str, int],
    workers: int = 1,
) -> tuple[list[dict], dict[str, int]]:
    """Write one engineered split.

    Parameters
    ----------
    store
        The values of the records.
    position, record_id
        int64, ascending: each record's position in the store, and its id.
    label
        The labels of the records.
    settings
        See columns.Columns.
    output
        Directory of Parquet files.
    expected
        The plan's records per class. The records that were written are compared with these counts
        before the output moves into place.

    Returns
    -------
    The manifest's `files`, and per parameter how many records have no value at any step.
    """
    features = FeatureSet(settings)
    with new_directory(output) as directory:
        work = [
            FeaturePiece(
                store,
                position[first:last],
                record_id[first:last],
                label[first:last],
                settings,
                directory / f"part-{number:05d}.parquet",
            )
            for number, (first, last) in enumerate(pieces(len(record_id)) or NO_RECORDS)
        ]
        done = map_pieces(_write_piece, work, workers=workers, what=f"write {output}")
        require_counts(output, sum((labels for _, _, labels in done), Counter()), expected)
    never = {name: sum(counts[name] for _, counts, _ in done) for name in features.parameters}
    return [file for file, _, _ in done], never


def _write_piece(piece: FeaturePiece) -> tuple[dict, dict[str, int], Counter]:
    features = FeatureSet(piece.settings)
    values = RecordStore(piece.store).read(piece.position, features.parameters)
    columns, never_measured = features.compute(values)
    columns["record_id"] = piece.record_id
    columns["seq_id"] = np.tile(np.arange(STEPS, dtype=np.int8), (len(piece.record_id), 1))
    columns["label"] = pa.array(piece.label.tolist(), type=pa.string())
    table = step_table(columns, features.schema())
    require_records(table, piece.record_id)
    require_finite(table)
    file = write_parquet(piece.path, table, rows_per_group=RECORDS_PER_ROW_GROUP * STEPS)
    return file, never_measured, Counter(table["label"].cast(pa.string()).to_pylist()[::STEPS])


def warn_of_unmeasured(split: str, never_measured: dict[str, int], records: int) -> None:
    """Warn of parameters without any value in more than half of the records of a split."""
    for name, count in never_measured.items():
        if count > records / 2:
            logger.warning(
                "%s has no value in %s of the %s records of %s: the column is 0 in these records",
                name,
                f"{count:,}",
                f"{records:,}",
                split,
            )


def records_of_split(split: str, ids: Path, plan: Path | None, *, everything: bool) -> tuple:
    """Return (position, record_id, label) of a split's records in their store.

    The store of train is the augmented set. If everything was augmented, the augmented set is the
    store of every split. Otherwise the store contains the clean records, which the ids table lists.
    The test file has no plan: all its records are held out, and a missing label is `unknown`.
    """
    known = read_table(ids, columns=["record_id", "label"])
    clean = known["record_id"].to_numpy()
    if plan is None:
        label = known["label"].cast(pa.string()).fill_null(UNKNOWN)
        return np.arange(len(clean)), clean, label.to_numpy(zero_copy_only=False)
    if split == "train" or everything:
        held = planned_records(plan, everything=everything)
        position = np.flatnonzero((held["split"] == split).to_numpy())
        chosen = held.iloc[position]
    else:
        planned = read_plan(plan)
        chosen = planned[planned["split"] == split]
        position = np.searchsorted(clean, chosen["record_id"].to_numpy())
    return position, chosen["record_id"].to_numpy(), chosen["label"].to_numpy(object)


def promised_counts(split: str, ids: Product, plan: Product | None) -> dict[str, int]:
    """Return the records per class that a split must have, from the counts of ids and plan."""
    if plan is None:
        return ids.counts["kept_by_label"]
    return plan.counts["by_split"][split]["by_label"]
