"""Splits and folds draw whole units, with every class if possible, and approximate fractions."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymill.engine.errors import SkymillError
from skymill.magnetic.schema import TRAIN_SPLITS
from skymill.magnetic.splits import (
    fold_records,
    fold_units,
    require_no_empty_fold,
    require_no_empty_split,
    split_records,
    split_units,
    splits_of_folds,
)
from skymill.simulate.magnetic import layout

FRACTIONS = {"train": 0.98, "dev": 0.01, "test": 0.01}
EVEN = {"train": 0.6, "dev": 0.2, "test": 0.2}
FRACTION_CHOICES = st.sampled_from([FRACTIONS, EVEN, {"train": 0.2, "dev": 0.4, "test": 0.4}])


@st.composite
def catalogues(draw, most_units=7, classes=4):
    """Draw (unit, label) of records; a unit has a few records of random classes."""
    unit, label = [], []
    for name in draw(
        st.lists(st.integers(-5, 10**6), min_size=1, max_size=most_units, unique=True)
    ):
        for code in draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=4)):
            unit.append(name)
            label.append(code)
    return np.array(unit, np.int64), np.array(label, np.int8)


def wanted_classes(unit, label):
    """Return the classes that occur in three units or more."""
    return [code for code in np.unique(label) if len(np.unique(unit[label == code])) >= 3]


def can_be_met(unit, label):
    """Return whether any assignment of units has every wanted class in every split."""
    names = np.unique(unit)
    wanted = wanted_classes(unit, label)
    holders = [np.isin(names, unit[label == code]) for code in wanted]
    choices = np.array(list(product(range(3), repeat=len(names))))
    met = np.ones(len(choices), bool)
    for held in holders:
        for split in range(3):
            met &= (choices[:, held] == split).any(axis=1)
    return bool(met.any())


@settings(max_examples=120)
@given(catalogues(), FRACTION_CHOICES, st.integers(0, 5))
def test_every_class_of_three_units_is_in_every_split_exactly_when_that_is_possible(
    case, fractions, seed
):
    unit, label = case
    split, unmet = split_units(unit, label, fractions, seed)
    assert (unmet == []) == can_be_met(unit, label)
    for code in wanted_classes(unit, label):
        if code not in unmet:
            assert set(split[label == code].tolist()) == {0, 1, 2}


@given(catalogues(most_units=30), FRACTION_CHOICES, st.integers(0, 5))
def test_units_are_never_divided(case, fractions, seed):
    unit, label = case
    split, _ = split_units(unit, label, fractions, seed)
    assert split.dtype == np.int8
    assert set(split.tolist()) <= {0, 1, 2}
    for name in np.unique(unit):
        assert len(set(split[unit == name].tolist())) == 1


@given(catalogues(most_units=30), st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(case, seed, random):
    unit, label = case
    order = list(range(len(unit)))
    random.shuffle(order)
    split, unmet = split_units(unit, label, EVEN, seed)
    shuffled, unmet_again = split_units(unit[order], label[order], EVEN, seed)
    assert np.array_equal(shuffled, split[order])
    assert unmet == unmet_again
    records = np.arange(len(unit)) * 3 + 1
    whole = split_records(records, label, EVEN, seed)
    assert np.array_equal(split_records(records[order], label[order], EVEN, seed), whole[order])


def rare_class():
    """Return (unit, label): 100 of 4,000 units have 1 to 7 records of class 0."""
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(4000), rng.integers(5, 60, 4000))
    label = np.full(len(unit), 4, np.int8)
    for name in range(100):
        label[np.flatnonzero(unit == name)[: rng.integers(1, 8)]] = 0
    return unit, label


def held_out(unit, label, split, number, code=0):
    """Return the units with a class that are in a split."""
    return tuple(np.unique(unit[(split == number) & (label == code)]).tolist())


@pytest.mark.parametrize("fractions", [FRACTIONS, EVEN])
def test_ten_seeds_are_ten_draws_of_the_regions_of_a_rare_class(fractions):
    unit, label = rare_class()
    splits = [split_units(unit, label, fractions, seed)[0] for seed in range(10)]
    for number, name in enumerate(TRAIN_SPLITS):
        assert len({held_out(unit, label, split, number) for split in splits}) == 10, name
    for split in splits:
        for number, name in ((1, "dev"), (2, "test")):
            assert (split == number).mean() == pytest.approx(fractions[name], rel=0.03)
            reached = ((split == number) & (label == 0)).sum() / (label == 0).sum()
            assert reached == pytest.approx(fractions[name], rel=0.15, abs=7 / 389)


def test_ten_seeds_are_ten_draws_of_a_simulated_archive(default_config):
    simulated = layout(40_000, 10, 20)
    starts = simulated.region_start
    windows = simulated.window[: sum(simulated.lines[:3])]
    unit = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[windows]
    label = simulated.label[windows]
    fractions = default_config["split"]["fractions"]
    splits = [split_units(unit, label, fractions, seed)[0] for seed in range(10)]
    assert len({held_out(unit, label, split, 2) for split in splits}) == 10
    for split in splits:
        for number, name in enumerate(TRAIN_SPLITS):
            assert (split == number).mean() == pytest.approx(fractions[name], rel=0.02)
            for code in range(5):
                assert (split[label == code] == number).any()


@settings(max_examples=10)
@given(
    st.integers(0, 10**6),
    st.integers(20, 60),
    st.sampled_from([EVEN, {"train": 0.7, "dev": 0.15, "test": 0.15}]),
)
def test_ten_seeds_are_ten_draws_on_random_tables(data_seed, holders, fractions):
    rng = np.random.default_rng(data_seed)
    unit = np.repeat(np.arange(400), rng.geometric(0.1, 400))
    label = rng.choice([2, 3, 4], p=[0.1, 0.1, 0.8], size=len(unit)).astype(np.int8)
    for code, few in ((0, holders), (1, 2 * holders)):
        for name in rng.choice(400, few, replace=False):
            members = np.flatnonzero(unit == name)
            label[members[: rng.integers(1, len(members) + 1)]] = code
    splits = [split_units(unit, label, fractions, seed)[0] for seed in range(10)]
    for code in (0, 1):
        drawn = {
            tuple(held_out(unit, label, split, number, code) for number in (1, 2))
            for split in splits
        }
        assert len(drawn) == 10
    folds = [fold_units(unit, label, 5, seed) for seed in range(10)]
    assert len({held_out(unit, label, fold, 0) for fold in folds}) == 10


def test_all_regions_of_a_rare_class_are_held_out_about_equally_often():
    unit = np.repeat(np.arange(120), 10)
    label = np.where(unit < 20, 0, 4).astype(np.int8)
    times = np.zeros(20)
    for seed in range(200):
        split, _ = split_units(unit, label, EVEN, seed)
        times[list(held_out(unit, label, split, 2))] += 1
    # 200 draws with the probability 0.2: 40 on average, 5.7 the standard deviation.
    assert times.sum() == 200 * 4
    assert (np.abs(times - 40) < 4 * 5.7).all()


def test_a_split_has_several_regions_of_a_class_even_if_one_region_has_enough_records():
    # One of 25 regions has a fifth of the class. By its fraction it could be the test split alone.
    unit = np.repeat(np.arange(425), [60, *[10] * 24, *[10] * 400])
    label = np.where(unit < 25, 0, 4).astype(np.int8)
    for seed in range(20):
        split, _ = split_units(unit, label, EVEN, seed)
        for number in (1, 2):
            assert len(held_out(unit, label, split, number)) >= 3


@settings(max_examples=4)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_splits_of_many_units_are_close_to_their_targets(seed, data_seed):
    rng = np.random.default_rng(data_seed)
    sizes = rng.geometric(0.1, 2000)
    unit = np.repeat(np.arange(2000), sizes)
    mostly = rng.choice(5, 2000, p=[0.01, 0.03, 0.1, 0.06, 0.8])[unit]
    label = np.where(rng.random(len(unit)) < 0.3, 4, mostly).astype(np.int8)
    fractions = {"train": 0.8, "dev": 0.1, "test": 0.1}
    split, unmet = split_units(unit, label, fractions, seed)
    assert unmet == []
    for number in (1, 2):
        assert (split == number).mean() == pytest.approx(0.1, rel=0.03)
        for code in range(5):
            members = label == code
            reached = (split[members] == number).sum()
            # A class of few regions can differ from its target by the records of one region.
            assert reached == pytest.approx(0.1 * members.sum(), rel=0.15, abs=10)


def test_one_percent_splits_of_large_regions_are_close_to_their_targets():
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(3000), rng.integers(20, 100, 3000))
    label = np.where(rng.random(len(unit)) < 0.9, 4, rng.integers(0, 4, len(unit))).astype(np.int8)
    split, _ = split_units(unit, label, FRACTIONS, 1)
    assert np.bincount(split)[1:] / len(unit) == pytest.approx(0.01, rel=0.1)


def test_another_seed_gives_another_split():
    unit, label = np.arange(200), np.zeros(200, np.int8)
    one, other = (split_units(unit, label, EVEN, seed)[0] for seed in (1, 2))
    assert (one != other).any()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=400), FRACTION_CHOICES, st.integers(0, 5))
def test_single_records_are_stratified_by_class(labels, fractions, seed):
    label = np.array(labels, np.int8)
    split = split_records(np.arange(len(label), dtype=np.int64), label, fractions, seed)
    for code in np.unique(label):
        inside = np.bincount(split[label == code], minlength=3)
        total = inside.sum()
        for number in (1, 2):
            wanted = round(fractions[TRAIN_SPLITS[number]] * total)
            if total < 3:
                assert inside[number] <= max(wanted, 1)
            elif inside[0] > 0:
                assert inside[number] == max(wanted, 1)


@pytest.mark.parametrize("count", [3, 4, 10, 100, 250])
def test_a_class_of_three_records_has_one_in_each_split(count):
    split = split_records(np.arange(count), np.zeros(count, np.int8), FRACTIONS, 3)
    held_out = max(1, round(count * 0.01))
    assert np.bincount(split).tolist() == [count - 2 * held_out, held_out, held_out]


NO_DEV = {"train": 0.8, "dev": 0, "test": 0.2}
ALL_TRAIN = {"train": 1, "dev": 0, "test": 0}
NO_TRAIN = {"train": 0, "dev": 0.4, "test": 0.6}


@given(
    catalogues(most_units=12),
    st.sampled_from([NO_DEV, ALL_TRAIN, NO_TRAIN]),
    st.integers(0, 5),
)
def test_a_split_of_the_fraction_0_is_empty_and_the_others_have_every_class(case, fractions, seed):
    unit, label = case
    asked = {number for number, name in enumerate(TRAIN_SPLITS) if fractions[name]}
    split, unmet = split_units(unit, label, fractions, seed)
    assert {*split.tolist()} <= asked
    for code in np.unique(label):
        if code not in unmet and len(np.unique(unit[label == code])) >= len(asked):
            assert {*split[label == code].tolist()} == asked
    single = split_records(np.arange(len(label)), label, fractions, seed)
    assert {*single.tolist()} <= asked
    for code in np.unique(label):
        if (label == code).sum() >= len(asked) and fractions is not NO_TRAIN:
            assert {*single[label == code].tolist()} == asked


@given(catalogues(most_units=30), st.integers(3, 7), st.integers(0, 5))
def test_folds_have_whole_units_in_any_order(case, folds, seed):
    unit, label = case
    fold = fold_units(unit, label, folds, seed)
    assert fold.dtype == np.int8
    assert {*fold.tolist()} <= {*range(folds)}
    for name in np.unique(unit):
        assert len({*fold[unit == name].tolist()}) == 1
    backwards = np.arange(len(unit))[::-1]
    assert np.array_equal(fold_units(unit[backwards], label[backwards], folds, seed), fold[::-1])


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(3, 7), st.integers(0, 1000)
)
def test_every_class_is_spread_over_the_folds(holders, folds, seed):
    # Each unit has one class, so an even spread is possible.
    label = np.repeat(np.arange(len(holders)), holders).astype(np.int8)
    fold = fold_units(np.arange(len(label)), label, folds, seed)
    for code, count in enumerate(holders):
        inside = np.bincount(fold[label == code], minlength=folds)
        assert (inside > 0).sum() == min(count, folds)
        assert inside.max() - inside.min() <= 1


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(3, 7))
def test_units_of_several_classes_are_spread_over_the_folds_too(data_seed, folds):
    rng = np.random.default_rng(data_seed)
    unit = np.repeat(np.arange(200), rng.integers(5, 30, 200))
    label = np.full(len(unit), 4, np.int8)
    for code, holders in ((3, 60), (2, 40), (1, 20), (0, folds)):
        for name in rng.choice(80, holders, replace=False):
            label[rng.choice(np.flatnonzero(unit == name), 2, replace=False)] = code
    fold = fold_units(unit, label, folds, data_seed)
    for code in np.unique(label):
        holders = len(np.unique(unit[label == code]))
        assert len(np.unique(fold[label == code])) == min(holders, folds)
    sizes = np.bincount(fold, minlength=folds)
    assert sizes == pytest.approx(np.full(folds, len(unit) / folds), rel=0.1)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=300), st.integers(3, 7), st.integers(0, 5))
def test_single_records_are_distributed_over_folds_by_class(labels, folds, seed):
    label = np.array(labels, np.int8)
    fold = fold_records(np.arange(len(label)), label, folds, seed)
    for members in (label >= 0, *(label == code for code in np.unique(label))):
        inside = np.bincount(fold[members], minlength=folds)
        assert inside.max() - inside.min() <= 1
    order = np.random.default_rng(seed).permutation(len(label))
    again = fold_records(np.arange(len(label))[order], label[order], folds, seed)
    assert np.array_equal(again, fold[order])


def test_one_fold_is_test_the_next_is_dev_the_rest_is_train():
    fold = np.array([0, 1, 2, 3, 4], np.int8)
    names = [
        "".join(TRAIN_SPLITS[n][0] + TRAIN_SPLITS[n][1] for n in splits_of_folds(fold, 5, chosen))
        for chosen in range(5)
    ]
    assert names == ["tedetrtrtr", "trtedetrtr", "trtrtedetr", "trtrtrtede", "detrtrtrte"]


def test_a_fold_without_a_record_is_refused_by_number():
    require_no_empty_fold(np.array([2, 0, 1]), 3)
    with pytest.raises(SkymillError, match=r"4 folds are too many .* fold 1 has no record"):
        require_no_empty_fold(np.array([2, 0, 3]), 4)


@given(st.lists(st.integers(0, 2), max_size=5))
def test_an_empty_split_is_refused_by_name(numbers):
    empty = [name for n, name in enumerate(TRAIN_SPLITS) if n not in numbers]
    split = np.array(numbers, np.int8)
    if empty:
        with pytest.raises(SkymillError, match=f"the split {empty[0]} is empty"):
            require_no_empty_split(split)
        require_no_empty_split(split, sorted({*numbers}))
    else:
        require_no_empty_split(split)


@pytest.mark.parametrize("units", [[2], [2, 5]])
def test_a_class_of_one_or_two_units_is_in_train(units):
    for seed in range(200):
        unit = np.repeat(np.arange(6), 3)
        label = np.full(18, 4, dtype=np.int8)
        label[np.isin(unit, units)] = 0
        split, unmet = split_units(unit, label, {"train": 0.7, "dev": 0.15, "test": 0.15}, seed)
        assert (split[label == 0] == 0).all()
        assert not unmet
