"""The agreement of the sources on the same region and time: tables, equality, kappa."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from skymill.aligned.join import Windows
from skymill.engine.randomness import key, keyed_hash
from skymill.sdo.goes import LABELS as SDO_LABELS
from skymill.sdo.goes import QUIET

HOUR = 3600
SHIFTS = (0, 6, 12, 24, 48, 72)
"""Hours between the end of a series and the later window of SWAN-SF that is compared with it."""
WITHIN = HOUR
"""The largest distance in seconds of such a window. Windows begin every hour."""


@dataclass(frozen=True)
class Agreement:
    """How often two sources agree.

    Attributes
    ----------
    what
        The name of the comparison.
    pairs
        The number of pairs that were compared.
    equal
        The share of pairs with the same GOES class and digit. Classes below B1.0 count as quiet.
    flares, equal_flares
        The pairs of C1.0 or above in SDOBenchmark, and the share of these pairs with the same
        class.
    kappa
        Cohen's kappa of the labels X, M, C, Q; NaN if the two sources have only one label.
    """

    what: str
    pairs: int
    equal: float
    flares: int
    equal_flares: float
    kappa: float


def as_sdo_label(label: object) -> str | None:
    """Return SWAN-SF's label in the classes of SDOBenchmark, where a B flare is quiet."""
    return label if label in SDO_LABELS else "Q" if isinstance(label, str) else None


def cross_table(one: list, other: list) -> dict[tuple[str, str], int]:
    """Count pairs of labels. Pairs with a missing label are left out."""
    found: dict[tuple[str, str], int] = {}
    for pair in zip(one, other, strict=True):
        if all(isinstance(label, str) for label in pair):
            found[pair] = found.get(pair, 0) + 1
    return found


def kappa(one: np.ndarray, other: np.ndarray) -> float:
    """Return Cohen's kappa of two labelings; NaN if the agreement by chance is 1."""
    if not len(one):
        return np.nan
    names = np.unique(np.concatenate([one, other]))
    observed = np.mean(one == other)
    expected = sum(np.mean(one == name) * np.mean(other == name) for name in names)
    return float((observed - expected) / (1 - expected)) if expected < 1 else np.nan


def curve(pairs: pd.DataFrame, windows: Windows, seed: int) -> list[Agreement]:
    """Return the agreement of SDOBenchmark and SWAN-SF at each shift, and with permuted regions.

    Regions stay active for days, so the agreement falls slowly.

    Parameters
    ----------
    pairs
        The pairs with a single region: harp, end (TAI seconds), label_sdo, goes_sdo, group.
    windows
        The windows of SWAN-SF.
    seed
        The seed of the permutation.
    """
    harp, end = pairs["harp"].to_numpy(np.int64), pairs["end"].to_numpy(np.int64)
    found = []
    for hours in SHIFTS:
        at = windows.nearest(harp, end + hours * HOUR, WITHIN)
        what = f"{hours} h later" if hours else "the same time"
        found.append(_agreement(what, pairs, windows, np.arange(len(pairs)), at))
    # Each sample gets the window of another pair, never of the same group.
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
    """Compare pairs with their windows; a window of -1 means that the pair has no window."""
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
    """Return a GOES class; A counts as quiet, because no source lists A flares reliably."""
    return QUIET if goes is None or goes == QUIET or goes.startswith("A") else goes
