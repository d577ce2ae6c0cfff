"""Moments and quantiles of values of any number, the same for any number of workers.

Quantiles interpolate linearly between the two nearest values, as in NumPy. These two values are
exact, never estimated.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

PERCENTS = (1, 5, 25, 50, 75, 95, 99)
"""The quantiles in a summary."""

_HALF = 16
"""Bits of a float32 that one pass of a selection decides."""


def class_weights(counts: Mapping[str, int]) -> dict[str, dict]:
    """Return count and weight of each class: n / (classes * count), 0 where a class has none."""
    total = sum(counts.values())
    return {
        name: {"count": count, "weight": total / (len(counts) * count) if count else 0.0}
        for name, count in counts.items()
    }


def summarise(values: np.ndarray, missing: int = 0) -> dict:
    """Return a summary of values in memory.

    Parameters
    ----------
    values
        Numbers without NaN, shape (n,).
    missing
        The number of missing values.

    Returns
    -------
    count, missing_share, mean, deviation (ddof 0), minimum, maximum, and quantiles by their share,
    such as "0.05". Without values, all but the first two are None.
    """
    ordered = np.sort(values.astype(np.float64))
    moments = Moments.of(ordered)
    return _summary(moments, missing, {rank: ordered[rank] for rank in ranks(len(ordered))})


def summarise_levels(counts: np.ndarray, missing: int = 0) -> dict:
    """Return an exact summary of whole numbers from 0, from the count of each; see summarise."""
    counts = [int(count) for count in counts]
    total = sum(counts)
    first = sum(level * count for level, count in enumerate(counts))
    second = sum(level**2 * count for level, count in enumerate(counts))
    # Python's integers have no limit, so nothing is rounded before the two divisions.
    squares = (total * second - first**2) / total if total else 0.0
    moments = Moments(total, first / total if total else 0.0, squares)
    until = np.cumsum(counts)
    return _summary(
        moments,
        missing,
        {rank: float(np.searchsorted(until, rank, side="right")) for rank in ranks(total)},
    )


@dataclass(frozen=True)
class Moments:
    """Count, mean, and sum of squared deviations from the mean."""

    count: int
    mean: float
    squares: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Moments":
        """Return the moments of values in memory, in two passes."""
        if not len(values):
            return cls(0, 0.0, 0.0)
        mean = float(np.mean(values, dtype=np.float64))
        return cls(len(values), mean, float(np.sum((values.astype(np.float64) - mean) ** 2)))

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of values together (Chan, Golub and LeVeque 1983)."""
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        apart = other.mean - self.mean
        return Moments(
            count,
            self.mean + apart * other.count / count,
            self.squares + other.squares + apart**2 * self.count * other.count / count,
        )

    @property
    def deviation(self) -> float:
        """The standard deviation, ddof 0."""
        return math.sqrt(self.squares / self.count)


def ranks(count: int) -> list[int]:
    """Return the places, from 0, of the sorted values that a summary of `count` values needs."""
    if not count:
        return []
    lower = {(count - 1) * percent // 100 for percent in PERCENTS}
    upper = {min(rank + 1, count - 1) for rank in lower}
    return sorted({0, count - 1} | lower | upper)


def _summary(moments: Moments, missing: int, values: Mapping[int, float]) -> dict:
    """Return a summary; `values` has the value at each place that `ranks` returns."""
    count = moments.count
    share = missing / (count + missing) if missing else 0.0
    if not count:
        nothing = dict.fromkeys(("mean", "deviation", "minimum", "maximum"))
        quantiles = dict.fromkeys(map(_share, PERCENTS))
        return {"count": 0, "missing_share": share, **nothing, "quantiles": quantiles}
    quantiles = {}
    for percent in PERCENTS:
        rank, rest = divmod((count - 1) * percent, 100)
        low, high = values[rank], values[min(rank + 1, count - 1)]
        quantiles[_share(percent)] = float(low + (high - low) * (rest / 100))
    return {
        "count": count,
        "missing_share": share,
        "mean": moments.mean,
        "deviation": moments.deviation,
        "minimum": float(values[0]),
        "maximum": float(values[count - 1]),
        "quantiles": quantiles,
    }


def _share(percent: int) -> str:
    return f"{percent / 100:g}"


def order_keys(values: np.ndarray) -> np.ndarray:
    """Return integers, uint32, that sort in the order of the float32 values."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _value_of_key(key: int) -> float:
    bits = key ^ (1 << 31) if key >> 31 else ~key & 0xFFFFFFFF
    return float(np.array([bits], np.uint32).view(np.float32)[0])


Counts = tuple[np.ndarray, np.ndarray]
"""Different whole numbers, ascending, and how often each occurs."""


def upper_halves(values: np.ndarray) -> Counts:
    """Count the upper halves of the keys of float32 values: the first pass of a selection."""
    return _counts(order_keys(values) >> _HALF)


def lower_halves(values: np.ndarray, upper: Iterable[int]) -> dict[int, Counts]:
    """Count the lower halves of the keys with these upper halves: the second pass."""
    keys = order_keys(values)
    above = keys >> _HALF
    return {half: _counts(keys[above == half] & ((1 << _HALF) - 1)) for half in upper}


def _counts(numbers: np.ndarray) -> Counts:
    counts = np.bincount(numbers, minlength=1)
    found = np.flatnonzero(counts)
    return found, counts[found]


def add_counts(parts: Iterable[Counts]) -> Counts:
    """Return the counts of several parts together."""
    parts = list(parts)
    numbers, place = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    counts = np.zeros(len(numbers), dtype=np.int64)
    np.add.at(counts, place, np.concatenate([part[1] for part in parts]))
    return numbers, counts


class Selection:
    """Finds the values of a summary among float32 values that do not fit into memory.

    The key of a float32 has 32 bits. The first pass counts the upper halves of the keys. The second
    pass counts the lower halves, but only at the few upper halves where a quantile is.

    Parameters
    ----------
    upper
        The upper halves of all values, see upper_halves.
    """

    def __init__(self, upper: Counts):
        numbers, counts = upper
        until = np.cumsum(counts)
        self._places = {}
        for rank in ranks(int(counts.sum())):
            at = int(np.searchsorted(until, rank, side="right"))
            self._places[rank] = (int(numbers[at]), rank - int(until[at] - counts[at]))

    @property
    def halves(self) -> list[int]:
        """The upper halves whose lower halves must be counted."""
        return sorted({half for half, _ in self._places.values()})

    def summary(self, moments: Moments, missing: int, lower: Mapping[int, Counts]) -> dict:
        """Return the summary, see summarise; `lower` has the lower halves of all values."""
        values = {}
        for rank, (half, within) in self._places.items():
            numbers, counts = lower[half]
            at = int(np.searchsorted(np.cumsum(counts), within, side="right"))
            values[rank] = _value_of_key(half << _HALF | int(numbers[at]))
        return _summary(moments, missing, values)
