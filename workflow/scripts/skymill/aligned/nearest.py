"""The tier of nearest neighbours: records with values near the values of SWAN-SF, but not equal.

Off by default. With 1 % of noise, the nearest of all windows is the right window. With 5 %, it is
mostly a wrong window. So no window above MAX_RMS is accepted, and no window with a rival that is
nearly as near.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skymill.magnetic.schema import STEPS
from skymill.swan_sf.places import harp_and_time, place_of
from skymill.swan_sf.schema import STEP_SECONDS

if TYPE_CHECKING:
    from skymill.aligned.steps import Steps

MAX_RMS = 0.01
"""The largest accepted root mean square of the relative differences of a record's values."""
RIVAL = 1.1
"""The RMS of the rival must be at least so many times the RMS of the nearest window."""
MIN_STEPS = 20
"""The fewest steps that must be comparable."""
CANDIDATES = 4
"""So many windows, those with the most votes, are compared."""

_RECORDS_AT_A_TIME = 2048


@dataclass(frozen=True)
class Values:
    """Values of keys.ROUNDED_PARAMETERS.

    Attributes
    ----------
    records
        A function that returns the values of records by their rows in the ids table: float64,
        (8, rows, 60).
    steps
        The values of each step of SWAN-SF, in the order of Steps: float64, shape (8, steps).
    """

    records: Callable[[np.ndarray], np.ndarray]
    steps: np.ndarray


@dataclass(frozen=True)
class Nearest:
    """The nearest window of each record: arrays of shape (records,). `start` is in TAI seconds."""

    harp: np.ndarray
    start: np.ndarray
    rms: np.ndarray
    accepted: np.ndarray


def nearest_windows(values: Values, rows: np.ndarray, steps: "Steps") -> Nearest:
    """Find the nearest window of each record.

    The steps of a record vote for the windows of their nearest steps. The windows with the most
    votes are compared value by value.

    Parameters
    ----------
    values
        The values of records and steps.
    rows
        int64, shape (records,): the rows of the records in the ids table.
    steps
        The steps of SWAN-SF.
    """
    from scipy.spatial import KDTree

    usable = np.flatnonzero(_usable(values.steps))
    harp, start = np.zeros((2, len(rows)), dtype=np.int64)
    rms, rival = np.full((2, len(rows)), np.inf)
    if len(usable):
        tree = KDTree(np.log(values.steps[:, usable]).T)
        for begin in range(0, len(rows), _RECORDS_AT_A_TIME):
            part = slice(begin, begin + _RECORDS_AT_A_TIME)
            for number, record in enumerate(np.moveaxis(values.records(rows[part]), 1, 0), begin):
                found = _compare(record, tree, usable, values.steps, steps)
                if found:
                    harp[number], start[number], rms[number], rival[number] = found
    return Nearest(harp, start, rms, (rms <= MAX_RMS) & (rival > RIVAL * rms))


def _usable(values: np.ndarray) -> np.ndarray:
    """Return where all parameters are positive and finite. The first axis has the parameters."""
    return (np.isfinite(values) & (values > 0)).all(axis=0)


def _compare(record, tree, usable, values, steps) -> tuple[int, int, float, float] | None:
    """Return HARP, start and RMS of a record's nearest window, and the RMS of the next window."""
    seen = np.flatnonzero(_usable(record))
    if len(seen) < MIN_STEPS:
        return None
    _, nearest = tree.query(np.log(record[:, seen]).T)
    step = usable[nearest]
    voted = place_of(steps.harp[step], steps.time[step] - seen * STEP_SECONDS)
    windows, votes = np.unique(voted, return_counts=True)
    windows = windows[np.argsort(-votes, kind="stable")][:CANDIDATES]
    found = sorted(
        (_rms(record, seen, int(window), values, steps), int(window)) for window in windows
    )
    best, window = found[0]
    harp, start = (int(part) for part in harp_and_time(window))
    return harp, start, best, found[1][0] if len(found) > 1 else np.inf


def _rms(record, seen, window, values, steps) -> float:
    """Return the RMS of the relative differences to a window; infinity with too few steps."""
    place = window + np.arange(STEPS) * STEP_SECONDS
    at = np.minimum(np.searchsorted(steps.place, place), len(steps) - 1)
    there = steps.place[at] == place
    chosen = seen[there[seen] & _usable(values[:, at])[seen]]
    if len(chosen) < MIN_STEPS:
        return np.inf
    away = record[:, chosen] / values[:, at[chosen]] - 1
    return float(np.sqrt(np.mean(away**2)))
