"""Distinct steps: a step is in up to twelve windows, but is kept once.

Steps are sorted by HARP and time, then by a digest of their content, so equal steps are neighbours.
Steps with the same HARP and time, but different digests, contradict each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from skymill.swan_sf.schema import PARAMETERS

_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_START = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)

MERGED_FROM = 2**17
"""The fewest new steps that are merged with the earlier steps at a time."""


@dataclass(frozen=True)
class Steps:
    """Distinct steps, sorted by (key, digest). All arrays have the same length.

    Attributes
    ----------
    key
        HARP times 2^32 plus the time in seconds since 1970 (TAI), int64.
    digest
        uint64: a hash of values, noaa, quality and is_tmfi; equal for equal content.
    values
        float64, shape (steps, 24), see schema.PARAMETERS; NaN is missing.
    noaa
        Index into `numbers`, int32.
    quality
        Quality bits, int64, -1 if unknown.
    is_tmfi
        int8, -1 if unknown.
    first
        Number of the first window with this step, int64.
    windows
        The number of windows with this step, int32.
    numbers
        Sets of NOAA numbers.
    """

    key: np.ndarray
    digest: np.ndarray
    values: np.ndarray
    noaa: np.ndarray
    quality: np.ndarray
    is_tmfi: np.ndarray
    first: np.ndarray
    windows: np.ndarray
    numbers: list[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.key)

    @classmethod
    def none(cls) -> "Steps":
        """Return an empty set of steps."""
        kinds = {"key": "i8", "digest": "u8", "noaa": "i4", "quality": "i8", "is_tmfi": "i1"}
        kinds |= {"first": "i8", "windows": "i4"}
        empty = {name: np.empty(0, kind) for name, kind in kinds.items()}
        return cls(**empty, values=np.empty((0, len(PARAMETERS))), numbers=[])

    def take(self, places: np.ndarray) -> "Steps":
        """Return the steps at these places."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "numbers"}
        return Steps(**{name: a[places] for name, a in arrays.items()}, numbers=self.numbers)


def distinct(
    *,
    harp: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
    noaa: np.ndarray,
    numbers: list[tuple[int, ...]],
    quality: np.ndarray,
    is_tmfi: np.ndarray,
    window: np.ndarray,
) -> Steps:
    """Return the distinct steps of windows. The input has one row per step of each window."""
    hashes = np.array([_hash_numbers(each) for each in numbers], np.uint64)
    everything = Steps(
        key=(harp << 32) | time,
        digest=_digest(values, hashes[noaa], quality, is_tmfi),
        values=values,
        noaa=noaa,
        quality=quality,
        is_tmfi=is_tmfi,
        first=window.astype(np.int64),
        windows=np.ones(len(harp), np.int32),
        numbers=numbers,
    )
    return _without_repeats(everything)


class Collected:
    """The distinct steps of all batches. Memory grows with distinct steps, not with windows."""

    def __init__(self) -> None:
        self._merged: list[Steps] = []
        self._waiting: list[Steps] = []
        self._places: dict[tuple[int, ...], int] = {}

    def add(self, steps: Iterable[Steps]) -> None:
        """Add the steps of some windows."""
        for each in steps:
            codes = [self._places.setdefault(n, len(self._places)) for n in each.numbers]
            self._waiting.append(_renumbered(each, np.array(codes, np.int32)))
        held = sum(map(len, self._merged))
        if sum(map(len, self._waiting)) > max(MERGED_FROM, held // 2):
            self._merge()

    def _merge(self) -> None:
        parts = [*self._merged, *self._waiting] or [Steps.none()]
        self._merged = [_without_repeats(_joined(parts))]
        self._waiting = []

    def all(self) -> Steps:
        """Return the distinct steps."""
        if self._waiting or not self._merged:
            self._merge()
        (steps,) = self._merged
        return Steps(**{**vars(steps), "numbers": list(self._places)})


def most_frequent(steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """Choose one of the contradictory steps of each HARP and time.

    The step in the most windows is chosen. If several steps are in equally many windows, the step
    whose first window is first in the tarball is chosen.

    Returns
    -------
    The positions of the chosen steps and of the other steps, ascending.
    """
    order = np.lexsort((steps.first, -steps.windows.astype(np.int64), steps.key))
    key = steps.key[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = key[1:] != key[:-1]
    return order[is_first], np.sort(order[~is_first])


def _joined(parts: list[Steps]) -> Steps:
    names = [f.name for f in fields(Steps) if f.name != "numbers"]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Steps(**joined, numbers=[])


def _renumbered(steps: Steps, codes: np.ndarray) -> Steps:
    return Steps(**{**vars(steps), "noaa": codes[steps.noaa], "numbers": []})


def _without_repeats(steps: Steps) -> Steps:
    """Return each step once, with its number of windows and its first window."""
    order = np.lexsort((steps.digest, steps.key))
    key, digest = steps.key[order], steps.digest[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (key[1:] != key[:-1]) | (digest[1:] != digest[:-1])
    starts = np.flatnonzero(begins)
    if not len(starts):
        return steps
    once = steps.take(order[starts])
    first = np.minimum.reduceat(steps.first[order], starts)
    windows = np.add.reduceat(steps.windows[order], starts).astype(np.int32)
    return Steps(**{**vars(once), "first": first, "windows": windows})


def _digest(
    values: np.ndarray, numbers: np.ndarray, quality: np.ndarray, is_tmfi: np.ndarray
) -> np.ndarray:
    """Return a 64-bit hash of each step (multiply and fold, see magnetic.fingerprints).

    All NaN are equal, and -0.0 equals 0.0.
    """
    plain = values + 0.0
    plain[np.isnan(plain)] = np.nan
    bits = np.ascontiguousarray(plain.T).view(np.uint64)
    state = np.full(len(values), _START)
    for each in (*bits, numbers, quality.view(np.uint64), is_tmfi.astype(np.int64).view(np.uint64)):
        state ^= each
        state *= _MULTIPLIER
        state ^= state >> _SHIFT
    return state


def _hash_numbers(numbers: tuple[int, ...]) -> int:
    state = int(_START)
    for number in numbers:
        state = (state ^ number) * int(_MULTIPLIER) % 2**64
        state ^= state >> 32
    return state
