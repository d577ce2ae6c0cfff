"""How far the sources agree on the same region at the same time: tables, equality, kappa."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from skymill.aligned.join import Windows
from skymill.engine.randomness import key, keyed_hash
from skymill.sdo.goes import LABELS as SDO_LABELS
from skymill.sdo.goes import QUIET

HOUR = 3600
SHIFTS = (0, 6, 12, 24, 48, 72)
"""Hours by which the windows of SWAN-SF are taken later than the series end."""
WITHIN = HOUR
"""Seconds that such a window may be away: they begin every hour."""


@dataclass(frozen=True)
class Agreement:
    """How often two sources say the same.

    Attributes
    ----------
    what
        What was compared.
    pairs
        Pairs that were compared.
    equal
        Share with the same GOES class to the digit; below B1.0 and quiet are the same.
    flares, equal_flares
        Pairs of C1.0 or above in SDOBenchmark, and the share of these with the same class.
    kappa
        Cohen's kappa of the labels X, M, C, Q; NaN where both have one label alone.
    """

    what: str
    pairs: int
    equal: float
    flares: int
    equal_flares: float
    kappa: float


def as_sdo_label(label: object) -> str | None:
    """Return SWAN-SF's label as SDOBenchmark has it, which calls a B flare quiet."""
    return label if label in SDO_LABELS else "Q" if isinstance(label, str) else None


def cross_table(one: list, other: list) -> dict[tuple[str, str], int]:
    """Count pairs of labels, those with a missing one left out."""
    found: dict[tuple[str, str], int] = {}
    for pair in zip(one, other, strict=True):
        if all(isinstance(label, str) for label in pair):
            found[pair] = found.get(pair, 0) + 1
    return found


def kappa(one: np.ndarray, other: np.ndarray) -> float:
    """Return Cohen's kappa of two labelings of the same things; NaN where chance explains all."""
    if not len(one):
        return np.nan
    names = np.unique(np.concatenate([one, other]))
    observed = np.mean(one == other)
    expected = sum(np.mean(one == name) * np.mean(other == name) for name in names)
    return float((observed - expected) / (1 - expected)) if expected < 1 else np.nan


def curve(pairs: pd.DataFrame, windows: Windows, seed: int) -> list[Agreement]:
    """Return how far SDOBenchmark and SWAN-SF agree at each shift, and with permuted regions.

    Regions stay active for days, so the agreement falls slowly.

    Parameters
    ----------
    pairs
        Those of a single region: harp, end (TAI seconds), label_sdo, goes_sdo, group.
    windows
        Those of SWAN-SF.
    seed
        Of the permutation.
    """
    harp, end = pairs["harp"].to_numpy(np.int64), pairs["end"].to_numpy(np.int64)
    found = []
    for hours in SHIFTS:
        at = windows.nearest(harp, end + hours * HOUR, WITHIN)
        what = f"{hours} h later" if hours else "the same time"
        found.append(_agreement(what, pairs, windows, np.arange(len(pairs)), at))
    # A pair's window for another pair's sample: never of the same group.
    at = windows.nearest(harp, end, WITHIN)
    order = np.argsort(keyed_hash(np.arange(len(pairs)), key(seed, "aligned", "permuted")))
    shuffled = np.empty(len(pairs), dtype=np.int64)
    shuffled[order] = np.roll(order, 1)
    group = pairs["group"].to_numpy()
    rows = np.flatnonzero(group != group[shuffled])
    found.append(_agreement("permuted regions", pairs, windows, rows, at[shuffled[rows]]))
    return found


def _agreement(
    what: str, pairs: pd.DataFrame, windows: Windows, rows: np.ndarray, at: np.ndarray
) -> Agreement:
    """Compare some pairs with windows, -1 where there is none."""
    rows, at = rows[at >= 0], at[at >= 0]
    label = pairs["label_sdo"].to_numpy(object)[rows].astype(str)
    goes = [_class(name) for name in pairs["goes_sdo"].to_numpy(object)[rows]]
    own = np.array([as_sdo_label(name) for name in windows.label[at]], dtype=str)
    same = np.array(
        [one == _class(other) for one, other in zip(goes, windows.goes[at], strict=True)]
    )
    flare = label != "Q"
    return Agreement(
        what,
        len(rows),
        float(same.mean()) if len(rows) else np.nan,
        int(flare.sum()),
        float(same[flare].mean()) if flare.any() else np.nan,
        kappa(label, own),
    )


def _class(goes: str | None) -> str:
    """Return a GOES class with A and quiet as one: neither source lists A flares for certain."""
    return QUIET if goes is None or goes == QUIET or goes.startswith("A") else goes
