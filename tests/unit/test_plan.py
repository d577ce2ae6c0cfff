"""The plan has no leaks, augments only train, and has the configured counts."""

import math
from copy import deepcopy
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymill.engine.errors import SkymillError
from skymill.magnetic.plan import augmented_counts, make_plan
from skymill.magnetic.plan_table import METHODS, PLAN_SCHEMA, planned_records, read_plan
from skymill.magnetic.schema import LABELS, TRAIN_PARTITIONS, TRAIN_SPLITS
from skymill.settings import plan_keys

SPLIT = {
    "unit": "region",
    "fractions": {"train": 0.6, "dev": 0.2, "test": 0.2},
    "partitions": dict(zip(TRAIN_PARTITIONS, TRAIN_SPLITS, strict=True)),
    "augment": "train",
}
AUGMENTATION = {
    "X": {"warp": 2, "scale": 3, "duplicate": {"fraction": 1.0, "times": 2}},
    "M": {"warp": 1},
    "C": {"duplicate": {"fraction": 0.5, "times": 1}},
    "Q": {"undersample": 0.6},
}
PUBLISHED_RECORDS = {"X": 385, "M": 3863, "C": 21024, "B": 11876, "Q": 175914}
PUBLISHED_AUGMENTED = {"X": 8085, "M": 11589, "C": 22075, "B": 13063, "Q": 70366}


def frame(rows):
    """Return originals from rows (record_id, label, region, content number)."""
    record_id, label, region, content = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "record_id": np.array(record_id, np.int64),
            "partition": [TRAIN_PARTITIONS[number % 3] for number in record_id],
            "label": list(label),
            "region": np.array(region, np.int64),
            "content": [number.to_bytes(16, "little") for number in content],
        }
    )


def many(counts, per_region=1):
    """Return originals with these class counts, `per_region` records of a class in each region."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    return frame(
        [(number + 1, label, number // per_region, number) for number, label in enumerate(labels)]
    )


@st.composite
def catalogues(draw):
    """Draw originals with few regions, classes and contents, so that many records share them."""
    count = draw(st.integers(3, 40))
    ids = draw(st.lists(st.integers(0, 10**6), min_size=count, max_size=count, unique=True))
    regions = draw(st.integers(3, 20))
    contents = draw(st.integers(3, 400))
    row = st.tuples(st.sampled_from("XMCBQ"), st.integers(0, regions), st.integers(0, contents))
    return frame([(number, *draw(row)) for number in ids])


def planned(originals, *, seed=1, augmentation=None, **split):
    """Return (plan, report)."""
    chosen = AUGMENTATION if augmentation is None else augmentation
    table, report = make_plan(originals, {**SPLIT, **split}, chosen, seed)
    assert table.schema == PLAN_SCHEMA
    return table.to_pandas(), report


def planned_or_none(*arguments, **settings):
    """Return a plan, or None if there are too few regions to split."""
    try:
        return planned(*arguments, **settings)[0]
    except SkymillError:
        return None


def torn(plan, key):
    """Return the values of a key that are in more than one split."""
    splits = plan.groupby(np.asarray(key))["split"].nunique()
    return splits[splits > 1].index.tolist()


def origin(plan):
    return plan["parent"].fillna(plan["record_id"]).astype(np.int64)


@settings(max_examples=30)
@given(catalogues(), st.sampled_from(["train", "all"]), st.integers(0, 3))
def test_whole_regions_never_leak(originals, augment, seed):
    plan = planned_or_none(originals, augment=augment, seed=seed)
    if plan is None:
        return
    content = originals.set_index("record_id")["content"]
    assert torn(plan, plan["region"]) == []
    assert torn(plan, origin(plan)) == []
    assert torn(plan, content.loc[origin(plan)]) == []
    assert set(plan["split"]) == set(TRAIN_SPLITS)


def test_most_random_catalogues_can_be_split():
    rng = np.random.default_rng(0)
    made = 0
    for _ in range(12):
        rows = [(n, "XMCBQ"[rng.integers(5)], rng.integers(15), n) for n in range(40)]
        made += planned_or_none(frame(rows)) is not None
    assert made > 8


@settings(max_examples=10)
@given(catalogues(), st.sampled_from(["train", "all"]), st.randoms(use_true_random=False))
@pytest.mark.parametrize("unit", ["region", "record", "partition"])
def test_the_order_of_rows_does_not_matter(unit, originals, augment, random):
    order = list(range(len(originals)))
    random.shuffle(order)
    plan = planned_or_none(originals, unit=unit, augment=augment)
    again = planned_or_none(originals.iloc[order], unit=unit, augment=augment)
    if plan is None:
        assert again is None
    else:
        pd.testing.assert_frame_equal(plan, again)


@settings(max_examples=15)
@given(catalogues(), st.sampled_from(["region", "record", "partition"]))
def test_only_train_is_augmented_and_nothing_held_out_is_removed(originals, unit):
    try:
        plan, report = planned(originals, unit=unit)
    except SkymillError:
        return
    held_out = plan[plan["split"] != "train"]
    train = plan[plan["split"] == "train"]
    assert set(held_out["method"]) == {"original"}
    assert held_out["parent"].isna().all()
    kept = plan.loc[plan["method"] == "original", "record_id"]
    assert kept.is_unique
    in_train_before = len(originals) - len(held_out)
    assert (
        report["removed_by_label"]["Q"] == in_train_before - (train["method"] == "original").sum()
    )
    gone = set(originals["record_id"]) - set(kept)
    assert set(originals.set_index("record_id")["label"].loc[sorted(gone)]) <= {"Q"}
    before = originals["label"].value_counts() - held_out["label"].value_counts().reindex(
        LABELS, fill_value=0
    )
    for label in LABELS:
        size = int(before.get(label, 0)) if not math.isnan(before.get(label, 0)) else 0
        found = train[train["label"] == label]["method"].value_counts()
        expected = augmented_counts(size, AUGMENTATION.get(label, {}))
        assert {method: int(found.get(method, 0)) for method in METHODS} == expected


@settings(max_examples=15)
@given(catalogues(), st.sampled_from(["train", "all"]))
def test_synthetic_records_have_parents_of_the_same_class_region_and_split(originals, augment):
    plan = planned_or_none(originals, augment=augment, unit="record")
    if plan is None:
        return
    plan = plan.set_index("record_id", drop=False)
    made = plan[plan["method"] != "original"]
    largest = int(originals["record_id"].max())
    assert sorted(made["record_id"]) == list(range(largest + 1, largest + 1 + len(made)))
    parents = originals.set_index("record_id").loc[made["parent"].astype(np.int64)]
    for name in ("label", "region", "partition"):
        assert made[name].tolist() == parents[name].tolist()
    assert not made.duplicated(["parent", "method", "copy"]).any()
    for _, copies in made.groupby(["parent", "method"], observed=True)["copy"]:
        assert sorted(copies) == list(range(1, len(copies) + 1))
    if augment == "train":
        split = plan["split"]
        kept = made["parent"].isin(plan["record_id"])
        assert (split.loc[made.loc[kept, "parent"].astype(np.int64)] == "train").all()


def test_the_plan_is_sorted_by_record_id():
    plan, _ = planned(many(dict.fromkeys(LABELS, 20)))
    assert plan["record_id"].is_monotonic_increasing
    assert plan["record_id"].is_unique


def test_a_class_without_augmentation_settings_is_unchanged():
    plan, report = planned(many({"B": 30, "Q": 30}), augmentation={})
    assert len(plan) == 60
    assert report["removed_by_label"] == dict.fromkeys(LABELS, 0)


@pytest.mark.parametrize(
    ("fraction", "records", "share"),
    [
        (0.29, 100, 29),
        (0.57, 100, 57),
        (0.07, 100, 7),
        (0.999, 1000, 999),
        (0.1, 11_876, 1187),
        (0.05, 21_024, 1051),
        (0.6, 175_914, 105_548),
        (1.0, 7, 7),
        (1, 7, 7),
        (0, 7, 0),
    ],
)
def test_shares_are_rounded_down_from_the_fraction_as_it_is_written(fraction, records, share):
    duplicate = augmented_counts(records, {"duplicate": {"fraction": fraction, "times": 3}})
    removed = augmented_counts(records, {"undersample": fraction})
    assert duplicate["duplicate"] == 3 * share
    assert removed["original"] == records - share


@given(st.integers(0, 10**6), st.integers(0, 1000))
def test_no_fraction_of_three_digits_is_off_by_one(records, thousandths):
    removed = augmented_counts(records, {"undersample": thousandths / 1000})
    assert records - removed["original"] == Fraction(thousandths, 1000) * records // 1


def test_the_published_recipe_gives_the_published_counts(published_config):
    table, report = make_plan(
        many(PUBLISHED_RECORDS, per_region=7),
        published_config["split"],
        published_config["augmentation"],
        published_config["seed"],
    )
    plan = table.to_pandas()
    assert plan["label"].value_counts().to_dict() == PUBLISHED_AUGMENTED
    assert report["records"] == len(plan) == sum(PUBLISHED_AUGMENTED.values()) == 125_178
    inside = pd.crosstab(plan["label"], plan["split"])
    for label, count in PUBLISHED_AUGMENTED.items():
        one_percent = round(0.01 * count)
        expected = {"train": count - 2 * one_percent, "dev": one_percent, "test": one_percent}
        assert inside.loc[label].to_dict() == expected
    assert report["fractions_reached"] == pytest.approx(
        {"train": 0.98, "dev": 0.01, "test": 0.01}, abs=1e-4
    )


def test_the_default_recipe_holds_out_two_fifths_before_it_augments_train(default_config):
    table, report = make_plan(
        many({"X": 400, "M": 800, "C": 4000, "B": 2000, "Q": 30_000}, per_region=10),
        default_config["split"],
        default_config["augmentation"],
        default_config["seed"],
    )
    plan = table.to_pandas()
    for name in ("dev", "test"):
        inside = plan[plan["split"] == name]["label"].value_counts()
        assert inside.to_dict() == {"X": 80, "M": 160, "C": 800, "B": 400, "Q": 6000}
    assert report["fractions_reached"] == {"train": 0.6, "dev": 0.2, "test": 0.2}
    train = plan[plan["split"] == "train"]["label"].value_counts()
    assert train["X"] == 21 * (400 - 160)


@settings(max_examples=15)
@given(catalogues())
def test_single_records_are_split_by_class(originals):
    plan = planned_or_none(originals, unit="record", augmentation={})
    if plan is None:
        return
    inside = pd.crosstab(plan["label"], plan["split"]).reindex(
        index=LABELS, columns=TRAIN_SPLITS, fill_value=0
    )
    for label, counts in inside.iterrows():
        total = counts.sum()
        if total >= 3:
            assert counts["dev"] == counts["test"] == max(1, round(0.2 * total)), label


def test_the_partition_unit_maps_files_to_splits():
    originals = many(dict.fromkeys(LABELS, 9))
    plan, _ = planned(originals, unit="partition", augmentation={})
    wanted = originals.set_index("record_id")["partition"].map(SPLIT["partitions"])
    assert plan.set_index("record_id")["split"].to_dict() == wanted.to_dict()


def test_a_file_without_a_split_is_refused_by_name():
    partitions = {TRAIN_PARTITIONS[0]: "train", TRAIN_PARTITIONS[1]: "dev"}
    with pytest.raises(SkymillError, match=f"has no split for {TRAIN_PARTITIONS[2]}"):
        planned(many({"Q": 9}), unit="partition", partitions=partitions)


def test_an_empty_split_is_an_error():
    with pytest.raises(SkymillError, match="is empty"):
        planned(many({"Q": 9}, per_region=9))


@pytest.mark.parametrize("augment", ["train", "all"])
@pytest.mark.parametrize("unit", ["region", "record"])
@pytest.mark.parametrize(
    "fractions",
    [
        {"train": 0.8, "dev": 0, "test": 0.2},
        {"train": 1, "dev": 0, "test": 0},
        {"train": 0, "dev": 0.5, "test": 0.5},
        {"train": 0, "dev": 0, "test": 1.0},
    ],
)
def test_a_split_of_the_fraction_0_is_empty(unit, fractions, augment):
    originals = many(dict.fromkeys(LABELS, 40), per_region=4)
    plan, counts = planned(originals, unit=unit, fractions=fractions, augment=augment)
    assert set(plan["split"]) == {name for name, fraction in fractions.items() if fraction}
    for name, fraction in fractions.items():
        assert counts["fractions_reached"][name] == pytest.approx(fraction, abs=0.03)
        assert (counts["by_split"][name]["records"] == 0) == (fraction == 0)


def test_two_files_for_training_and_one_for_testing_leave_dev_empty():
    partitions = dict(zip(TRAIN_PARTITIONS, ("train", "train", "test"), strict=True))
    originals = many(dict.fromkeys(LABELS, 9))
    plan, counts = planned(originals, unit="partition", partitions=partitions, augmentation={})
    wanted = originals.set_index("record_id")["partition"].map(partitions)
    assert plan.set_index("record_id")["split"].to_dict() == wanted.to_dict()
    assert counts["by_split"]["dev"]["records"] == 0


@settings(max_examples=6)
@given(catalogues(), st.sampled_from(["region", "record"]), st.integers(3, 5), st.integers(0, 3))
def test_every_record_has_a_fold_and_the_fold_says_the_split(originals, unit, folds, seed):
    plans = [
        planned_or_none(originals, unit=unit, folds=folds, fold=fold, seed=seed)
        for fold in range(folds)
    ]
    if plans[0] is None:
        assert plans == [None] * folds
        return
    where = {}
    for fold, plan in enumerate(plans):
        assert not plan["fold"].isna().any()
        wanted = {fold: "test", (fold + 1) % folds: "dev"}
        assert [wanted.get(number, "train") for number in plan["fold"]] == plan["split"].tolist()
        held_out = plan[plan["split"] != "train"]
        assert set(held_out["method"]) <= {"original"}
        # Another fold does not draw again: records stay in their fold.
        for record, number in (
            plan[plan["method"] == "original"].set_index("record_id")["fold"].items()
        ):
            assert where.setdefault(record, number) == number
        if unit == "region":
            assert (plan.groupby("region")["fold"].nunique() == 1).all()
    tested = [plan[plan["split"] == "test"]["record_id"] for plan in plans]
    assert sorted(pd.concat(tested)) == sorted(originals["record_id"])


def test_without_a_number_fold_0_is_test():
    originals = many(dict.fromkeys(LABELS, 10))
    plan, counts = planned(originals, folds=5, fold=None)
    assert set(plan.loc[plan["fold"] == 0, "split"]) == {"test"}
    assert counts["fractions_wanted"] == {
        "train": pytest.approx(0.6),
        "dev": pytest.approx(0.2),
        "test": pytest.approx(0.2),
    }


def test_counts_of_folds_include_the_records_that_train_loses():
    originals = many({"X": 20, "Q": 60}, per_region=2)
    _, counts = planned(originals, folds=4, fold=1)
    assert counts["removed_by_label"]["Q"] > 0
    for label, records, regions in (("X", 5, 2.5), ("Q", 15, 7.5)):
        inside = [part["originals_by_label"][label] for part in counts["by_fold"]]
        assert inside == pytest.approx([records] * 4, abs=1)
        assert sum(part["regions_by_label"][label] for part in counts["by_fold"]) == 4 * regions


def test_without_folds_no_record_has_one():
    plan, counts = planned(many(dict.fromkeys(LABELS, 10)))
    assert plan["fold"].isna().all()
    assert "by_fold" not in counts


def test_synthetic_records_are_in_the_fold_of_their_region():
    plan, _ = planned(many(dict.fromkeys(LABELS, 20), per_region=2), folds=4, augment="all")
    assert (plan.groupby("region")["fold"].nunique() == 1).all()
    assert set(plan.loc[plan["split"] == "test", "method"]) > {"original"}


def test_folds_of_partitions_leave_one_file_out():
    originals = many(dict.fromkeys(LABELS, 9))
    for fold in range(3):
        plan, _ = planned(originals, unit="partition", folds=3, fold=fold, augmentation={})
        names = [TRAIN_PARTITIONS[(fold + shift) % 3] for shift in range(3)]
        expected = dict(zip(names, ("test", "dev", "train"), strict=True))
        assert dict(zip(plan["partition"], plan["split"], strict=True)) == expected


def test_impossible_folds_are_refused():
    with pytest.raises(SkymillError, match=r"split.folds is 5, but .* there are 3 \(train_"):
        planned(many({"Q": 9}), unit="partition", folds=5)
    with pytest.raises(SkymillError, match=r"4 folds are too many .* fold 3 has no record"):
        planned(many({"Q": 9}, per_region=3), folds=4)


def test_folds_depend_on_the_seed_and_need_no_fractions():
    originals = many(dict.fromkeys(LABELS, 30))
    split = {"unit": "region", "augment": "train", "folds": 5, "fold": 2}
    drawn = {
        tuple(make_plan(originals, split, {}, seed)[0]["fold"].to_pylist()) for seed in range(10)
    }
    assert len(drawn) == 10


def test_classes_that_cannot_be_in_every_split_are_refused_by_name():
    # X and M share two of their three regions, so that the two regions fill two splits ...
    rows = [(1, "X", 1), (2, "X", 2), (3, "X", 3), (4, "M", 1), (5, "M", 2), (6, "M", 4)]
    # ... and C has regions 3 and 4, which must both be in the third split.
    rows += [(7, "C", 1), (8, "C", 3), (9, "C", 4)]
    with pytest.raises(SkymillError, match=r"class .* has three regions or more"):
        planned(frame([(*row, row[0]) for row in rows]))


def test_records_of_identical_content_stay_together_despite_different_regions():
    rows = [(n, "Q", n, n % 4) for n in range(40)]
    plan, _ = planned(frame(rows), augmentation={})
    assert torn(plan, plan["record_id"] % 4) == []


def test_removing_more_records_does_not_move_the_remaining_ones():
    plan, _ = planned(many(dict.fromkeys(LABELS, 40)))
    more = deepcopy(AUGMENTATION)
    more["Q"]["undersample"] = 0.9
    other, _ = planned(many(dict.fromkeys(LABELS, 40)), augmentation=more)
    left = other[other["method"] == "original"].set_index("record_id")["split"]
    assert left.to_dict().items() <= plan.set_index("record_id")["split"].to_dict().items()


def test_the_report_counts_the_records_of_the_plan():
    plan, report = planned(many(dict.fromkeys(LABELS, 30), per_region=3))
    for name in TRAIN_SPLITS:
        inside = plan[plan["split"] == name]
        told = report["by_split"][name]
        assert told["records"] == len(inside) == sum(told["by_label"].values())
        assert told["by_label"] == {
            label: int((inside["label"] == label).sum()) for label in LABELS
        }
        assert told["by_method"] == {
            method: int((inside["method"] == method).sum()) for method in METHODS
        }
        assert told["regions"] == inside["region"].nunique()
        originals = inside[inside["method"] == "original"]
        assert told["originals_by_label"] == {
            label: int((originals["label"] == label).sum()) for label in LABELS
        }
        assert told["regions_by_label"] == {
            label: inside[inside["label"] == label]["region"].nunique() for label in LABELS
        }
    assert report["clean_by_label"] == dict.fromkeys(LABELS, 30)
    assert report["augmented_records"] == (plan["split"] == "train").sum()
    assert sum(report["fractions_reached"].values()) == pytest.approx(1, abs=1e-5)


def test_a_written_plan_is_read_back(tmp_path):
    table, _ = make_plan(many(dict.fromkeys(LABELS, 12)), SPLIT, AUGMENTATION, 1)
    pq.write_table(table, tmp_path / "plan.parquet")
    plan = read_plan(tmp_path / "plan.parquet")
    assert plan["parent"].dtype == "Int64"
    assert plan["parent"].tolist() == [
        pd.NA if parent is None else parent for parent in table["parent"].to_pylist()
    ]
    for name in ("record_id", "label", "method", "split", "partition", "region", "copy"):
        assert plan[name].tolist() == table[name].to_pylist()
    train = planned_records(tmp_path / "plan.parquet", everything=False)
    assert set(train["split"]) == {"train"}
    assert len(planned_records(tmp_path / "plan.parquet", everything=True)) == len(plan)


@pytest.mark.parametrize("folds", [None, 3])
@pytest.mark.parametrize("unit", ["region", "record", "partition"])
def test_a_plan_needs_only_the_settings_of_its_rule(unit, folds):
    split = {**SPLIT, "unit": unit, "folds": folds, "fold": folds and 1}
    read = {key.removeprefix("split."): None for key in plan_keys({"split": split})}
    originals = many(dict.fromkeys(LABELS, 12))
    table, counts = make_plan(originals, {key: split[key] for key in read}, AUGMENTATION, 1)
    expected, expected_counts = make_plan(originals, split, AUGMENTATION, 1)
    assert table.equals(expected)
    assert counts == expected_counts
