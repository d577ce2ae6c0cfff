"""Which split a unit goes to: whole units, every class in every split, near the fractions.

A unit is what must not be torn apart: a region, a record, or a file. The choice is a draw: units
are visited in an order that the seed decides, and none is taken because it fits best. So another
seed holds out other units. It depends on the units' names, sizes and classes alone, never on the
order they are listed in.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from skymill.engine.errors import SkymillError
from skymill.engine.randomness import key, keyed_hash
from skymill.magnetic.schema import TRAIN_SPLITS

FEWEST_REGIONS = 5
"""Windows of one region are alike: a rate on fewer regions says more of these than of the class."""


def asked_for(fractions: dict) -> list[int]:
    """Return the positions in TRAIN_SPLITS of the splits that may not be empty."""
    return [number for number, name in enumerate(TRAIN_SPLITS) if fractions[name] > 0]


def split_records(
    record_id: np.ndarray, label: np.ndarray, fractions: dict, seed: int
) -> np.ndarray:
    """Split single records at random, stratified by class.

    Parameters
    ----------
    record_id, label
        int64 and int8 class codes, shape (records,).
    fractions
        Share of each split, summing to 1. A split with the fraction 0 stays empty.

    Returns
    -------
    int8 positions in TRAIN_SPLITS, shape (records,). Each class gives round(fraction x records)
    records to each of dev and test, and at least one when it has one for each split; the rest goes
    to train, or, without a train split, to the larger of the others.
    """
    asked = asked_for(fractions)
    home = _home(fractions)
    split = np.full(len(record_id), home, dtype=np.int8)
    hashes = keyed_hash(record_id, key(seed, "split", "record"))
    for code in np.unique(label):
        members = np.flatnonzero(label == code)
        members = members[np.argsort(hashes[members])]
        start = 0
        for number in asked:
            if number == home:
                continue
            wanted = round(fractions[TRAIN_SPLITS[number]] * len(members))
            wanted = max(wanted, 1 if len(members) >= len(asked) else 0)
            split[members[start : start + wanted]] = number
            start += wanted
    return split


def split_units(
    unit: np.ndarray, label: np.ndarray, fractions: dict, seed: int
) -> tuple[np.ndarray, list]:
    """Split whole units by a draw, so that the classes come near their fractions.

    A class that occurs in a unit for each split gets one in each; that outranks the fractions. Such
    a unit is the first in random order that brings the split nearer to its fractions, or the first
    at all if none does. Then units go to dev and test, in the same order, while that brings them
    nearer; the rest is train. How near is judged by the records and by the units of each class: a
    rate that is measured on one large region says little. A class of fewer units is train.

    Parameters
    ----------
    unit
        int64 name of each record's unit, shape (records,).
    label
        int8 class codes, shape (records,).
    fractions
        Share of each split, summing to 1. A split with the fraction 0 stays empty.

    Returns
    -------
    split
        int8 positions in TRAIN_SPLITS, shape (records,).
    unmet
        Class codes with a unit for each split that cannot be in every split at once with the
        others, because the same few units carry several of them; almost always empty.
    """
    names, member_of, codes, counts = _count(unit, label)
    asked, home = asked_for(fractions), _home(fractions)
    present = counts > 0
    order = np.argsort(keyed_hash(names, key(seed, "split", "unit")))
    spread = np.flatnonzero(present.sum(axis=0) >= len(asked))
    share = np.array([fractions[name] for name in TRAIN_SPLITS])
    content = np.concatenate([counts, present], axis=1)
    target = share[:, None] * content.sum(axis=0)
    target[:, len(codes) :] = np.minimum(target[:, len(codes) :], FEWEST_REGIONS)
    # A split gets at least one unit of such a class, however small its fraction is.
    least = np.where(content > 0, content, np.inf).min(axis=0)
    floored = np.concatenate([spread, len(codes) + spread])
    target[np.ix_(asked, floored)] = np.maximum(target[np.ix_(asked, floored)], least[floored])

    held_out = [number for number in asked if number != home]
    assigned, unmet = _place_classes(present, content, target, order, spread, held_out, home)
    _fill_to_fractions(content, target, order, assigned, held_out)
    assigned[assigned < 0] = home
    return assigned[member_of], [int(codes[column]) for column in unmet]


def _home(fractions: dict) -> int:
    """Return where the units go that no other split needs: to train, else to the largest split."""
    asked = asked_for(fractions)
    return 0 if 0 in asked else max(asked, key=lambda number: fractions[TRAIN_SPLITS[number]])


def _count(unit: np.ndarray, label: np.ndarray) -> tuple:
    """Return (names of units, unit of each record, codes of classes, records by unit and class)."""
    names, member_of = np.unique(unit, return_inverse=True)
    codes, column = np.unique(label, return_inverse=True)
    counts = np.zeros((len(names), len(codes)), dtype=np.int64)
    np.add.at(counts, (member_of, column), 1)
    return names, member_of, codes, counts


class _Target:
    """What one split should hold, of each class first records, then units."""

    def __init__(self, target: np.ndarray):
        self._classes = len(target) // 2
        self._least = np.maximum(target, 1)
        self._wanted = target / self._least
        # Where one unit is enough, any does; where more should be, their number counts as well.
        self._weight = 1 - 1 / self._least[self._classes :]

    def away(self, content: np.ndarray) -> np.ndarray:
        """Return how far a content, shape (..., 2 x classes), is away, relative to the target."""
        return self.relative(content) - self._wanted

    def relative(self, content: np.ndarray) -> np.ndarray:
        """Return what a content adds to `away`."""
        return content / self._least

    def misfit(self, away: np.ndarray) -> np.ndarray:
        """Return how bad that is; there cannot be too many units, but too many records."""
        records, units = away[..., : self._classes], np.minimum(away[..., self._classes :], 0)
        return np.vecdot(records, records) + np.vecdot(units * self._weight, units)


def _place_classes(
    present: np.ndarray, content, target, order: np.ndarray, spread, held_out: list, home: int
) -> tuple[np.ndarray, list]:
    """Give every class a unit in every split; return the units' splits (-1: free) and failures."""
    # The classes with the fewest units have the least choice.
    columns = sorted(map(int, spread), key=lambda column: (present[:, column].sum(), column))
    splits = [*held_out, home]
    # Few units decide: all of a small class, and enough of a large one that some are always free.
    enough = len(splits) * (present.shape[1] + 1)
    fits = {}
    for split in splits:
        goal = _Target(target[split])
        fits[split] = goal.misfit(goal.away(content)) < goal.misfit(goal.away(0 * content[0]))
    candidates = {
        (column, split): _drawn(order[present[order, column]], fits[split], enough)
        for column in columns
        for split in splits
    }
    # A class with fewer units belongs where it can be learnt from.
    small = np.setdiff1d(np.arange(present.shape[1]), spread)
    kept_home = present[:, small].any(axis=1)
    for left_out in range(len(columns) + 1):
        slots = [(column, split) for column in columns[left_out:] for split in splits]
        for kept in (kept_home, np.zeros_like(kept_home)):
            assigned = np.where(kept, home, -1).astype(np.int8)
            if _search(slots, 0, present, assigned, candidates):
                return assigned, columns[:left_out]
    raise AssertionError("an empty list of wanted classes is always met")


def _drawn(holders: np.ndarray, fits: np.ndarray, enough: int) -> list[int]:
    """Return the first units in random order, those before the others that fit their split."""
    return [int(unit) for unit in holders[np.argsort(~fits[holders], kind="stable")][:enough]]


def _search(slots, depth: int, present, assigned, candidates) -> bool:
    """Fill the slots (class, split) from `depth` on by backtracking; `assigned` is the state."""
    if depth == len(slots):
        return True
    column, split = slots[depth]
    if (present[:, column] & (assigned == split)).any():
        return _search(slots, depth + 1, present, assigned, candidates)
    for unit in _free(candidates[column, split], assigned):
        assigned[unit] = split
        if _search(slots, depth + 1, present, assigned, candidates):
            return True
        assigned[unit] = -1
    return False


def _free(units: list[int], assigned: np.ndarray) -> Iterator[int]:
    return (unit for unit in units if assigned[unit] < 0)


def _fill_to_fractions(content, target, order, assigned, held_out: list) -> None:
    """Move free units into the held-out splits while that brings them nearer to their targets.

    What came too much with them goes again, and the next units take its place.
    """
    for split in held_out:
        goal = _Target(target[split])
        away = goal.away(content[assigned == split].sum(axis=0))
        free = order[assigned[order] < 0]
        for sign, then in ((1, split), (-1, -1), (1, split)):
            units = free[(assigned[free] == split) == (sign < 0)]
            chosen, away = _while_nearer(goal, away, sign * goal.relative(content[units]))
            assigned[units[chosen]] = then


def _while_nearer(
    goal: _Target, away: np.ndarray, changes: np.ndarray, block: int = 64
) -> tuple[list[int], np.ndarray]:
    """Make each change, one after the other, that lowers the misfit; return these and `away`.

    `changes` has shape (units, 2 x classes). A block of them is looked at together, up to the first
    that is made.
    """
    chosen, at, misfit = [], 0, goal.misfit(away)
    while at < len(changes):
        better = goal.misfit(away + changes[at : at + block]) < misfit
        if not better.any():
            at += block
            continue
        at += int(better.argmax()) + 1
        chosen.append(at - 1)
        away = away + changes[at - 1]
        misfit = goal.misfit(away)
    return chosen, away


def fold_records(record_id: np.ndarray, label: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Deal single records out to folds at random, stratified by class.

    Parameters
    ----------
    record_id, label
        int64 and int8 class codes, shape (records,).

    Returns
    -------
    int8 fold of each record, shape (records,), from 0. Two folds differ by one record at most, and
    by one of each class.
    """
    hashes = keyed_hash(record_id, key(seed, "fold", "record"))
    fold = np.empty(len(record_id), dtype=np.int8)
    fold[np.lexsort([hashes, label])] = np.arange(len(record_id)) % folds
    return fold


def fold_units(unit: np.ndarray, label: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Deal whole units out to folds by a draw, so that every class is spread over them.

    Units are visited in random order, those of the rarest class first. Each goes to a fold that
    lacks its classes, the rarest first, and among these to the one where it brings the folds
    nearest to each other. Where a class of enough units is missing in a fold after that, the draw
    is repeated with the next key; after TRIES of them the one with the fewest gaps counts.

    Parameters
    ----------
    unit, label
        As for split_units.

    Returns
    -------
    int8 fold of each record, shape (records,), from 0.
    """
    names, member_of, _, counts = _count(unit, label)
    present = counts > 0
    holders = present.sum(axis=0)
    reachable = np.minimum(holders, folds).sum()
    best, most = np.zeros(len(names), dtype=np.int8), -1
    for number in range(TRIES):
        hashes = keyed_hash(names, key(seed, "fold", "unit", number))
        fold, covered = _deal(counts, present, hashes, folds)
        if covered > most:
            best, most = fold, covered
        if covered == reachable:
            break
    return best[member_of]


TRIES = 20
"""Draws of the folds, until every class is in as many of them as it can be."""


def _deal(counts, present, hashes: np.ndarray, folds: int) -> tuple[np.ndarray, int]:
    """Return the fold of each unit, and in how many folds the classes are, added up."""
    content = np.concatenate([counts, present], axis=1).astype(np.float64)
    content /= np.maximum(content.sum(axis=0), 1)
    # A class weighs more than all that are more common together.
    weight = 0.5 ** np.argsort(np.argsort(present.sum(axis=0), kind="stable"))
    have = np.zeros((folds, content.shape[1]))
    held = np.zeros((folds, present.shape[1]), dtype=bool)
    fold = np.empty(len(counts), dtype=np.int8)
    for unit in _rarest_first(present, hashes):
        lacked = (~held & present[unit]) @ weight
        nearest = np.where(lacked == lacked.max(), have @ content[unit], np.inf).argmin()
        fold[unit] = nearest
        have[nearest] += content[unit]
        held[nearest] |= present[unit]
    return fold, int(held.sum())


def _rarest_first(present: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Return the units in random order, those with the rarest class before the others."""
    columns = np.argsort(present.sum(axis=0), kind="stable")
    return np.lexsort([hashes, present[:, columns].argmax(axis=1)])


def splits_of_folds(fold: np.ndarray, folds: int, chosen: int) -> np.ndarray:
    """Return the split of each record, int8: fold `chosen` is test, the next one dev."""
    train, dev, test = range(len(TRAIN_SPLITS))
    split = np.full(len(fold), train, dtype=np.int8)
    split[fold == (chosen + 1) % folds] = dev
    split[fold == chosen] = test
    return split


def require_no_empty_split(split: np.ndarray, asked: Sequence[int] = (0, 1, 2)) -> None:
    """Raise SkymillError when a split that is asked for has no record; see asked_for."""
    sizes = np.bincount(split, minlength=len(TRAIN_SPLITS))
    for number in asked:
        if not sizes[number]:
            raise SkymillError(
                f"the split {TRAIN_SPLITS[number]} is empty: there are too few units for the "
                "fractions in split.fractions. Raise its fraction, or set it to 0 to do without "
                "it, use more data, or choose a smaller split.unit."
            )


def require_no_empty_fold(fold: np.ndarray, folds: int) -> None:
    """Raise SkymillError when one of the folds has no record."""
    [empty] = np.nonzero(np.bincount(fold, minlength=folds) == 0)
    if len(empty):
        raise SkymillError(
            f"{folds} folds are too many for so few units: fold {empty[0]} has no record. Take "
            "fewer (split.folds), use more data, or choose a smaller split.unit."
        )
