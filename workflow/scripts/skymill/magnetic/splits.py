"""Which split a unit goes to: whole units, every class in every split, near the fractions.

A unit is what must not be torn apart: a region, a record, or a file. The choice depends on the
units' names, sizes and classes alone, never on the order they are listed in.
"""

from collections.abc import Iterator

import numpy as np

from skymill.engine.errors import SkymillError
from skymill.engine.randomness import key, keyed_hash
from skymill.magnetic.schema import TRAIN_SPLITS

HELD_OUT = TRAIN_SPLITS[1:]


def split_records(
    record_id: np.ndarray, label: np.ndarray, fractions: dict, seed: int
) -> np.ndarray:
    """Split single records at random, stratified by class.

    Parameters
    ----------
    record_id, label
        int64 and int8 class codes, shape (records,).
    fractions
        Share of each split, summing to 1.

    Returns
    -------
    int8 positions in TRAIN_SPLITS, shape (records,). Each class gives round(fraction x records)
    records to each of dev and test, and at least one when it has three.
    """
    split = np.zeros(len(record_id), dtype=np.int8)
    hashes = keyed_hash(record_id, key(seed, "split", "record"))
    for code in np.unique(label):
        members = np.flatnonzero(label == code)
        members = members[np.argsort(hashes[members])]
        start = 0
        for number, name in enumerate(HELD_OUT, start=1):
            wanted = round(fractions[name] * len(members))
            wanted = max(wanted, 1 if len(members) >= len(TRAIN_SPLITS) else 0)
            split[members[start : start + wanted]] = number
            start += wanted
    return split


def split_units(
    unit: np.ndarray, label: np.ndarray, fractions: dict, seed: int
) -> tuple[np.ndarray, list]:
    """Split whole units so that the classes come near their fractions.

    A class that occurs in three units or more gets one in each split; that outranks the
    fractions. Then units go to dev and test, in random order, while that brings the class counts
    nearer to the fractions; the rest is train.

    Parameters
    ----------
    unit
        int64 name of each record's unit, shape (records,).
    label
        int8 class codes, shape (records,).

    Returns
    -------
    split
        int8 positions in TRAIN_SPLITS, shape (records,).
    unmet
        Class codes with three units or more that cannot be in every split at once with the
        others, because the same few units carry several of them; almost always empty.
    """
    names, member_of = np.unique(unit, return_inverse=True)
    codes = np.unique(label)
    counts = np.zeros((len(names), len(codes)), dtype=np.int64)
    np.add.at(counts, (member_of, np.searchsorted(codes, label)), 1)
    target = np.array([[fractions[name]] for name in TRAIN_SPLITS]) * counts.sum(axis=0)
    order = np.argsort(keyed_hash(names, key(seed, "split", "unit")))

    assigned, unmet = _seed_classes(counts, target, order)
    _fill_to_fractions(counts, target, order, assigned)
    return assigned[member_of], [int(codes[column]) for column in unmet]


def _seed_classes(
    counts: np.ndarray, target: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, list]:
    """Give every class a unit in every split; return the units' splits (-1: free) and failures."""
    present = counts > 0
    columns = [c for c in range(counts.shape[1]) if present[:, c].sum() >= len(TRAIN_SPLITS)]
    # The classes with the fewest units have the least choice.
    columns.sort(key=lambda column: (present[:, column].sum(), column))
    # Few units decide: all of a small class, and enough of a large one that some are always free.
    enough = len(TRAIN_SPLITS) * (counts.shape[1] + 1)
    # A class with fewer belongs in train, where it can be learnt from.
    small = [(c, 0) for c in range(counts.shape[1]) if c not in columns]
    for left_out in range(len(columns) + 1):
        slots = [(column, split) for column in columns[left_out:] for split in (1, 2, 0)]
        for wanted in (slots + small, slots):
            assigned = np.full(len(counts), -1, dtype=np.int8)
            candidates = {
                (column, split): _best_units(counts, target, order, column, split, enough)
                for column, split in wanted
            }
            if _search(wanted, 0, present, assigned, candidates):
                return assigned, columns[:left_out]
    raise AssertionError("an empty list of wanted classes is always met")


def _best_units(counts, target, order, column: int, split: int, enough: int) -> list[int]:
    """Return the units with a class, those that fit the split's target best first."""
    holders = order[counts[order, column] > 0]
    misfit = np.abs(counts[holders] - target[split]) / np.maximum(counts.sum(axis=0), 1)
    ranked = holders[np.argsort(misfit.sum(axis=1), kind="stable")]
    return [int(unit) for unit in ranked[:enough]]


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


def _fill_to_fractions(counts, target, order, assigned) -> None:
    """Move free units into dev and test while that brings them nearer to their targets."""
    weight = 1 / np.maximum(target, 1)
    for split in range(1, len(TRAIN_SPLITS)):
        have = counts[assigned == split].sum(axis=0)
        for unit in order:
            if assigned[unit] >= 0:
                continue
            before = (((have - target[split]) * weight[split]) ** 2).sum()
            after = (((have + counts[unit] - target[split]) * weight[split]) ** 2).sum()
            if after < before:
                assigned[unit] = split
                have = have + counts[unit]
    assigned[assigned < 0] = 0


def require_no_empty_split(split: np.ndarray) -> None:
    """Raise SkymillError when a split has no record."""
    sizes = np.bincount(split, minlength=len(TRAIN_SPLITS))
    for name, size in zip(TRAIN_SPLITS, sizes, strict=True):
        if not size:
            raise SkymillError(
                f"the split {name} is empty: there are too few units for the fractions in "
                "split.fractions. Raise its fraction, use more data, or choose a smaller "
                "split.unit."
            )
