"""Assign whole units to splits: every class in every split, and shares near the fractions.

A unit must stay in one split: a region, a record, or a file. The choice is a draw: the seed decides
the order in which units are visited, and no unit is chosen because it fits best. So another seed
holds out other units. The draw depends only on the units' names, sizes and classes, never on the
order of the input.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from skymill.engine.errors import SkymillError
from skymill.engine.randomness import key, keyed_hash
from skymill.magnetic.schema import TRAIN_SPLITS

FEWEST_REGIONS = 5
"""Windows of one region are alike: with fewer regions, a rate describes these regions more than the
class."""


def required_splits(fractions: dict) -> list[int]:
    """Return the positions in TRAIN_SPLITS of the splits that must not be empty."""
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
        The share of each split; the shares sum to 1. A split with the fraction 0 stays empty.

    Returns
    -------
    int8 positions in TRAIN_SPLITS, shape (records,). Dev and test each get round(fraction x
    records) records of each class, and at least one if the class has a record for every split. The
    rest goes to train or, without a train split, to the larger of the two other splits.
    """
    required = required_splits(fractions)
    default = _default_split(fractions)
    split = np.full(len(record_id), default, dtype=np.int8)
    hashes = keyed_hash(record_id, key(seed, "split", "record"))
    for code in np.unique(label):
        members = np.flatnonzero(label == code)
        members = members[np.argsort(hashes[members])]
        start = 0
        for number in required:
            if number == default:
                continue
            wanted = round(fractions[TRAIN_SPLITS[number]] * len(members))
            wanted = max(wanted, 1 if len(members) >= len(required) else 0)
            split[members[start : start + wanted]] = number
            start += wanted
    return split


def split_units(
    unit: np.ndarray, label: np.ndarray, fractions: dict, seed: int
) -> tuple[np.ndarray, list]:
    """Split whole units by a draw, so that the classes come near their fractions.

    First, each class with enough units for all splits gets a unit in every split. This rule has
    priority over the fractions. The chosen unit is the first in random order that brings the split
    nearer to its fractions, or simply the first unit. Then units go to dev and test, in
    the same order, while they bring these splits nearer to their fractions. The rest is train. The
    distance counts the records and the units of each class, because a rate on one large region
    shows little. A class with fewer units than splits goes to train.

    Parameters
    ----------
    unit
        int64 name of each record's unit, shape (records,).
    label
        int8 class codes, shape (records,).
    fractions
        The share of each split; the shares sum to 1. A split with the fraction 0 stays empty.

    Returns
    -------
    split
        int8 positions in TRAIN_SPLITS, shape (records,).
    unmet
        Class codes that have enough units, but cannot be in every split together with the other
        classes, because the same few units have several classes. Almost always empty.
    """
    names, member_of, codes, counts = _count(unit, label)
    required, default = required_splits(fractions), _default_split(fractions)
    present = counts > 0
    order = np.argsort(keyed_hash(names, key(seed, "split", "unit")))
    spread = np.flatnonzero(present.sum(axis=0) >= len(required))
    share = np.array([fractions[name] for name in TRAIN_SPLITS])
    content = np.concatenate([counts, present], axis=1)
    target = share[:, None] * content.sum(axis=0)
    target[:, len(codes) :] = np.minimum(target[:, len(codes) :], FEWEST_REGIONS)
    # A split gets at least one unit of each class in `spread`, even if its fraction is small.
    least = np.where(content > 0, content, np.inf).min(axis=0)
    floored = np.concatenate([spread, len(codes) + spread])
    target[np.ix_(required, floored)] = np.maximum(
        target[np.ix_(required, floored)], least[floored]
    )

    held_out = [number for number in required if number != default]
    assigned, unmet = _place_classes(present, content, target, order, spread, held_out, default)
    _fill_to_fractions(content, target, order, assigned, held_out)
    assigned[assigned < 0] = default
    return assigned[member_of], [int(codes[column]) for column in unmet]


def _default_split(fractions: dict) -> int:
    """Return the split that gets the remaining units: train, or the largest split without train."""
    required = required_splits(fractions)
    return 0 if 0 in required else max(required, key=lambda number: fractions[TRAIN_SPLITS[number]])


def _count(unit: np.ndarray, label: np.ndarray) -> tuple:
    """Return (names of units, unit of each record, codes of classes, records by unit and class)."""
    names, member_of = np.unique(unit, return_inverse=True)
    codes, column = np.unique(label, return_inverse=True)
    counts = np.zeros((len(names), len(codes)), dtype=np.int64)
    np.add.at(counts, (member_of, column), 1)
    return names, member_of, codes, counts


class _Target:
    """The target of one split: the records of each class, then the units of each class."""

    def __init__(self, target: np.ndarray):
        self._classes = len(target) // 2
        self._least = np.maximum(target, 1)
        self._wanted = target / self._least
        # A target of one unit adds nothing to the misfit; a larger target does.
        self._weight = 1 - 1 / self._least[self._classes :]

    def away(self, content: np.ndarray) -> np.ndarray:
        """Return the distance of a content, shape (..., 2 x classes), relative to the target."""
        return self.relative(content) - self._wanted

    def relative(self, content: np.ndarray) -> np.ndarray:
        """Return the amount that a content adds to `away`."""
        return content / self._least

    def misfit(self, away: np.ndarray) -> np.ndarray:
        """Return a sum of squared distances. Too many records count, too many units do not."""
        records, units = away[..., : self._classes], np.minimum(away[..., self._classes :], 0)
        return np.vecdot(records, records) + np.vecdot(units * self._weight, units)


def _place_classes(
    present: np.ndarray, content, target, order: np.ndarray, spread, held_out: list, default: int
) -> tuple[np.ndarray, list]:
    """Put every class into every split; return the units' splits (-1: free) and failed classes."""
    # The classes with the fewest units have the least choice.
    columns = sorted(map(int, spread), key=lambda column: (present[:, column].sum(), column))
    splits = [*held_out, default]
    # Few units are enough: all units of a small class, and so many of a large class that some are
    # always free.
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
    # A class with fewer units than splits goes to train, where a model can learn from it.
    small = np.setdiff1d(np.arange(present.shape[1]), spread)
    kept_in_default = present[:, small].any(axis=1)
    for left_out in range(len(columns) + 1):
        slots = [(column, split) for column in columns[left_out:] for split in splits]
        for kept in (kept_in_default, np.zeros_like(kept_in_default)):
            assigned = np.where(kept, default, -1).astype(np.int8)
            if _search(slots, 0, present, assigned, candidates):
                return assigned, columns[:left_out]
    raise AssertionError("the search without any class always succeeds")


def _drawn(holders: np.ndarray, fits: np.ndarray, enough: int) -> list[int]:
    """Return the first units in random order; units that fit the split come first."""
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
    """Move free units into the held-out splits while the splits come nearer to their targets.

    Then units are removed from a split if it comes nearer without them, and free units are added
    once more.
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
    """Apply each change that lowers the misfit, in order; return the applied changes and `away`.

    `changes` has shape (units, 2 x classes). For speed, `block` changes are tested together, up to
    the first change that lowers the misfit.
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
    """Assign single records to folds at random, stratified by class.

    Parameters
    ----------
    record_id, label
        int64 and int8 class codes, shape (records,).

    Returns
    -------
    int8 fold of each record, shape (records,), from 0. Two folds differ by at most one record, and
    by at most one record of each class.
    """
    hashes = keyed_hash(record_id, key(seed, "fold", "record"))
    fold = np.empty(len(record_id), dtype=np.int8)
    fold[np.lexsort([hashes, label])] = np.arange(len(record_id)) % folds
    return fold


def fold_units(unit: np.ndarray, label: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Assign whole units to folds by a draw, so that every class is spread over the folds.

    Units are visited in random order, units of the rarest class first. Each unit goes to a fold
    that lacks its classes, the rarest class first. Among several such folds, the unit goes to the
    fold that makes the folds most equal. If a class with enough units is then missing in a fold,
    the draw is repeated with the next key. After TRIES draws, the one with the fewest gaps is used.

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
"""The most draws of the folds. A draw is repeated until every class is in enough folds."""


def _deal(counts, present, hashes: np.ndarray, folds: int) -> tuple[np.ndarray, int]:
    """Return the fold of each unit, and the number of folds of each class, summed."""
    content = np.concatenate([counts, present], axis=1).astype(np.float64)
    content /= np.maximum(content.sum(axis=0), 1)
    # A class weighs more than all more common classes together.
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
    """Return the units in random order, units with the rarest class first."""
    columns = np.argsort(present.sum(axis=0), kind="stable")
    return np.lexsort([hashes, present[:, columns].argmax(axis=1)])


def splits_of_folds(fold: np.ndarray, folds: int, chosen: int) -> np.ndarray:
    """Return the split of each record, int8: fold `chosen` is test, the next one dev."""
    train, dev, test = range(len(TRAIN_SPLITS))
    split = np.full(len(fold), train, dtype=np.int8)
    split[fold == (chosen + 1) % folds] = dev
    split[fold == chosen] = test
    return split


def require_no_empty_split(split: np.ndarray, required: Sequence[int] = (0, 1, 2)) -> None:
    """Raise SkymillError when a required split has no record, see required_splits."""
    sizes = np.bincount(split, minlength=len(TRAIN_SPLITS))
    for number in required:
        if not sizes[number]:
            raise SkymillError(
                f"the split {TRAIN_SPLITS[number]} is empty: there are too few units for the "
                "fractions in split.fractions. Raise its fraction, set its fraction to 0 if you do "
                "not need the split, use more data, or choose a smaller split.unit."
            )


def require_no_empty_fold(fold: np.ndarray, folds: int) -> None:
    """Raise SkymillError when one of the folds has no record."""
    [empty] = np.nonzero(np.bincount(fold, minlength=folds) == 0)
    if len(empty):
        raise SkymillError(
            f"{folds} folds are too many for so few units: fold {empty[0]} has no record. Set "
            "split.folds to a smaller number, use more data, or choose a smaller split.unit."
        )
