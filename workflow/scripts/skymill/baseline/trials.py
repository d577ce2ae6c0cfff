"""Trials: fit models and references to train, choose a threshold on dev, and score test."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skymill.baseline.divisions import CLEAN, Division
from skymill.baseline.models import (
    CLIMATOLOGY,
    MODELS,
    PERSISTENCE,
    Forecast,
    NothingToLearn,
    climatology,
    forecast,
    persistence,
)
from skymill.baseline.scores import best_threshold, evaluate
from skymill.engine.errors import SkymillError
from skymill.engine.parallel import map_pieces
from skymill.engine.tables import ParquetFile

DEFAULT_THRESHOLD = 0.5
"""The threshold if dev has no events or only events, so that dev cannot decide a threshold."""


@dataclass(frozen=True)
class Sample:
    """The records of a data set with their statistics.

    Attributes
    ----------
    statistics
        The table of statistics. All columns of float32 are statistics.
    classes, positive
        All classes, and the classes that are events.
    code, group
        The class of each row, by its place in `classes`, and the group of each row: int64.
    known
        The row whose label was last known, see models.last_known; None if records have no times.
    """

    statistics: Path
    classes: tuple[str, ...]
    positive: tuple[str, ...]
    code: np.ndarray
    group: np.ndarray
    known: np.ndarray | None = None

    def __post_init__(self):
        if unknown := [name for name in self.positive if name not in self.classes]:
            raise SkymillError(
                f"baseline.positive names {', '.join(unknown)}, which is not a class of the data "
                f"set. The classes are {', '.join(self.classes)}."
            )


@dataclass(frozen=True)
class Trial:
    """A model and a division."""

    sample: Sample
    division: Division
    model: str
    seed: int


def run_trials(
    sample: Sample, divisions: Sequence[Division], seed: int, *, workers: int = 1
) -> list[dict]:
    """Run every model and reference on every division.

    Returns
    -------
    A dictionary for each trial: unit, train, model, threshold, threshold_from, train_records, and
    the entries of scores.Evaluation, or `reason` without a score. The trials are in the order of
    the divisions, then of the models.
    """
    trials = [
        Trial(sample, division, model, seed)
        for division in divisions
        for model in (*MODELS, *references(sample, division))
    ]
    # The longest trials first, so that no worker starts a long trial at the end.
    order = sorted(range(len(trials)), key=lambda number: trials[number].model != "trees")
    work = [trials[number] for number in order]
    done = map_pieces(run_trial, work, workers=workers, what="fit and score")
    rows = dict(zip(order, done, strict=True))
    return [rows[number] for number in range(len(trials))]


def references(sample: Sample, division: Division) -> list[str]:
    """Return the references of a division. Only clean train has references: they ignore copies."""
    if division.train_set != CLEAN:
        return []
    return [CLIMATOLOGY, *([PERSISTENCE] if sample.known is not None else [])]


def run_trial(trial: Trial) -> dict:
    """Fit a model and score its forecasts; see run_trials."""
    sample, division = trial.sample, trial.division
    classes = list(sample.classes)
    positive = np.array([classes.index(name) for name in sample.positive], dtype=np.int64)
    row = {
        "unit": division.unit,
        "train": division.train_set,
        "model": trial.model,
        "train_records": len(division.train),
    }
    try:
        dev, test = _forecasts(trial, positive)
    except NothingToLearn:
        events = ", ".join(sample.positive)
        reason = f"train has records of {events} alone, or none of them: there is nothing to learn"
        return {**row, "reason": reason}
    threshold = best_threshold(np.isin(sample.code[division.dev], positive), dev.score)
    chosen = DEFAULT_THRESHOLD if threshold is None else threshold
    evaluation = evaluate(
        sample.code[division.test],
        sample.group[division.test],
        sample.classes,
        sample.positive,
        is_forecast=test.score >= chosen,
        forecast_class=test.code,
        seed=trial.seed,
    )
    return {
        **row,
        "threshold": float(f"{chosen:.6g}"),
        "threshold_from": "default" if threshold is None else "dev",
        **evaluation.described(),
    }


def _forecasts(trial: Trial, positive: np.ndarray) -> list[Forecast]:
    """Return the forecasts of a model for dev and for test."""
    sample, division = trial.sample, trial.division
    code = sample.code[division.train]
    held_out = (division.dev, division.test)
    if trial.model in MODELS:
        values = read_statistics(sample.statistics)
        others = [values[rows] for rows in held_out]
        return forecast(trial.model, values[division.train], code, others, positive, trial.seed)
    shares = [climatology(code, len(rows), positive) for rows in held_out]
    if trial.model == CLIMATOLOGY:
        return shares
    return [
        persistence(sample.known[rows], sample.code, otherwise, positive)
        for rows, otherwise in zip(held_out, shares, strict=True)
    ]


def read_statistics(path: Path) -> np.ndarray:
    """Return the statistics of a table, float32, shape (rows, statistics)."""
    with ParquetFile(path) as file:
        names = [field.name for field in file.schema_arrow if str(field.type) == "float"]
        values = np.empty((file.metadata.num_rows, len(names)), dtype=np.float32)
        first = 0
        for number in range(file.num_row_groups):
            group = file.read_row_group(number, names)
            last = first + group.num_rows
            for place, name in enumerate(names):
                values[first:last, place] = group[name].to_numpy()
            first = last
    return values
