"""Thinning keeps the climatology: the ratios X:M and C:B:Q of each file do not change."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.magnetic.climatology import FLARING, QUIET, in_proportion, kept_of_classes, thinned
from skymill.magnetic.plan import make_plan

COUNTS = st.fixed_dictionaries({label: st.integers(0, 400) for label in "XMCBQ"})
RATIOS = st.floats(0.01, 100).map(lambda ratio: round(ratio, 3))


def records_of(counts, partition="partition1", first=1):
    """Return records with these class counts."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    return pd.DataFrame(
        {
            "record_id": np.arange(first, first + len(labels), dtype=np.int64),
            "partition": [partition] * len(labels),
            "label": labels,
        }
    )


def total(counts, group):
    return sum(counts[label] for label in group)


@given(COUNTS, RATIOS)
def test_each_class_keeps_its_share_of_its_group(counts, ratio):
    kept = kept_of_classes(counts, ratio)
    for group in (FLARING, QUIET):
        before, after = total(counts, group), total(kept, group)
        for label in group:
            assert 0 <= kept[label] <= counts[label]
            if before:
                assert abs(kept[label] - Fraction(counts[label] * after, before)) < 1


@given(COUNTS, RATIOS)
def test_the_groups_have_the_ratio_and_one_group_is_complete(counts, ratio):
    kept = kept_of_classes(counts, ratio)
    flares, quiet = (total(kept, group) for group in (FLARING, QUIET))
    wanted = Fraction(str(ratio))
    if not total(counts, FLARING) or not total(counts, QUIET):
        assert kept == counts
    elif flares == total(counts, FLARING) and quiet <= wanted * flares:
        assert quiet == int(wanted * flares)
    else:
        assert quiet == total(counts, QUIET)
        assert flares == int(quiet / wanted)


@given(st.dictionaries(st.sampled_from("ABCDEF"), st.integers(0, 50)), st.data())
def test_proportions_add_up_to_the_total(counts, data):
    wanted = data.draw(st.integers(0, sum(counts.values())))
    kept = in_proportion(counts, wanted)
    assert sum(kept.values()) == wanted
    assert all(kept[name] <= counts[name] for name in counts)


def test_a_whole_number_ratio_is_reached_exactly():
    counts = {"X": 2, "M": 8, "C": 100, "B": 50, "Q": 850}
    assert kept_of_classes(counts, 10) == {"X": 2, "M": 8, "C": 10, "B": 5, "Q": 85}
    assert kept_of_classes(counts, 200) == {"X": 1, "M": 4, "C": 100, "B": 50, "Q": 850}
    assert kept_of_classes(counts, 100) == counts


@given(COUNTS, COUNTS, st.randoms(use_true_random=False))
def test_each_file_is_thinned_separately_in_any_order(first, second, random):
    both = pd.concat([records_of(first), records_of(second, "partition2", 5000)])
    gone = set(thinned(both, 2, seed=7).tolist())
    order = list(range(len(both)))
    random.shuffle(order)
    assert set(thinned(both.iloc[order], 2, seed=7).tolist()) == gone
    alone = thinned(records_of(first), 2, seed=7).tolist()
    assert set(alone) == {number for number in gone if number < 5000}
    for name, counts in (("partition1", first), ("partition2", second)):
        left = both[(both["partition"] == name) & ~both["record_id"].isin(gone)]
        found = left["label"].value_counts()
        assert {label: int(found.get(label, 0)) for label in "XMCBQ"} == kept_of_classes(counts, 2)


def test_another_seed_draws_other_records():
    records = records_of({"X": 1, "M": 4, "C": 200, "B": 200, "Q": 200})
    draws = {tuple(sorted(thinned(records, 1, seed))) for seed in range(5)}
    assert len(draws) == 5


def test_a_file_without_flares_is_unchanged_and_named(caplog):
    records = records_of({"C": 5, "Q": 20})
    assert len(thinned(records, 1, seed=7)) == 0
    assert caplog.messages == [
        "partition1 has no record of class X or M, so magnetic.quiet_per_flare does not apply: "
        "its records are not thinned"
    ]


@pytest.mark.parametrize("augment", ["train", "all"])
def test_a_plan_thins_only_train_and_counts_removed_records(augment):
    counts = {"X": 30, "M": 70, "C": 300, "B": 200, "Q": 2000}
    originals = records_of(counts).assign(region=lambda rows: rows["record_id"])
    originals["content"] = [int(number).to_bytes(16, "little") for number in originals["record_id"]]
    split = {
        "unit": "record",
        "fractions": {"train": 0.6, "dev": 0.2, "test": 0.2},
        "augment": augment,
    }
    table, made = make_plan(originals, split, {"X": {"warp": 2}}, 3, quiet_per_flare=2.5)
    plan = table.to_pandas()
    own = plan[plan["method"] == "original"]
    inside = own[own["split"] == "train"] if augment == "train" else own
    share = 0.6 if augment == "train" else 1
    found = inside["label"].value_counts().to_dict()
    assert found == {
        **{label: round(share * counts[label]) for label in "XM"},
        **{label: round(share * 100 * 2.5 * counts[label] / 2500) for label in "CBQ"},
    }
    if augment == "train":
        assert (own["split"] == "dev").sum() == 520
    removed = made["removed_by_label"]
    assert sum(removed.values()) == len(originals) - len(own)
    assert removed["X"] == removed["M"] == 0
    # Copies are made from the remaining records.
    assert (plan["method"] == "warp").sum() == 2 * found["X"]
