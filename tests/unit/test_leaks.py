"""The leak check finds records in two splits, and overlap with the test file."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import windows

from skymill.engine.errors import SkymillError
from skymill.magnetic.fingerprints import TRIVIAL, fingerprint
from skymill.magnetic.leaks import STATEMENTS, find_leaks, find_overlap, require_no_leak
from skymill.magnetic.regions import find_regions

SPLITS = ("train", "dev", "test")
NONE = {"in_several_splits": 0, "records": 0, "first_records": []}


def plan(rows):
    """Return a plan from rows (record_id, parent, region, split)."""
    record_id, parent, region, split = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "record_id": record_id,
            "parent": pd.array(parent, dtype="Int64"),
            "region": region,
            "split": split,
        }
    )


def content(numbers):
    return pd.Series({key: bytes([number]) * 16 for key, number in numbers.items()})


def test_a_clean_plan_has_no_leak():
    rows = [(1, None, 1, "train"), (2, None, 1, "train"), (3, None, 3, "dev"), (9, 1, 1, "train")]
    leaks = find_leaks(plan(rows), content({1: 1, 2: 2, 3: 3}))
    assert leaks == dict.fromkeys(("regions", "parents", "contents"), NONE)
    require_no_leak(leaks, "region")


@pytest.mark.parametrize(
    ("rows", "contents", "kind", "records"),
    [
        ([(1, None, 1, "train"), (2, None, 1, "dev"), (3, None, 3, "test")], {}, "regions", [1, 2]),
        ([(1, None, 1, "train"), (9, 1, 2, "dev")], {}, "parents", [1, 9]),
        ([(8, 1, 1, "train"), (9, 1, 2, "dev")], {}, "parents", [8, 9]),
        ([(1, None, 1, "train"), (2, None, 2, "test")], {2: 1}, "contents", [1, 2]),
    ],
)
def test_each_kind_of_leak_is_found(rows, contents, kind, records):
    numbers = {1: 1, 2: 2, 3: 3} | contents
    leaks = find_leaks(plan(rows), content(numbers))
    assert leaks[kind] == {"in_several_splits": 1, "records": 2, "first_records": records}
    with pytest.raises(SkymillError, match=f"1 {kind} in several splits"):
        require_no_leak(leaks, "region")


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(SPLITS)),
        min_size=1,
        max_size=15,
    )
)
def test_leaks_are_counted_correctly(rows):
    rows = [(number, region, kind, split) for number, (region, kind, split) in enumerate(rows)]
    found = find_leaks(
        plan([(number, None, region, split) for number, region, _, split in rows]),
        content({number: kind for number, _, kind, _ in rows}),
    )
    for name, column in (("regions", 1), ("contents", 2)):
        splits = {}
        for row in rows:
            splits.setdefault(row[column], set()).add(row[3])
        torn = {value for value, inside in splits.items() if len(inside) > 1}
        records = [row[0] for row in rows if row[column] in torn]
        assert found[name] == {
            "in_several_splits": len(torn),
            "records": len(records),
            "first_records": records[:5],
        }
    assert found["parents"] == NONE


@pytest.mark.parametrize("unit", ["record", "partition"])
def test_with_other_units_a_leak_is_only_reported(unit):
    leaks = find_leaks(plan([(1, None, 1, "train"), (2, None, 1, "dev")]), content({1: 1, 2: 2}))
    assert leaks["regions"]["in_several_splits"] == 1
    require_no_leak(leaks, unit)


def test_overlap_with_the_test_file_is_counted_on_both_sides():
    train = np.array([[1, 2], [3, 4], [5, 6], [TRIVIAL, 7], [8, 9]], np.uint64)
    test = np.array([[2, 3], [TRIVIAL, 90], [9, 9], [70, 71]], np.uint64)
    # Record 14 was removed after the split. It overlaps, but is in no split.
    split = pd.Series({10: "train", 11: "dev", 12: "test", 13: "test"})
    assert find_overlap(split, np.array([10, 11, 12, 13, 14]), train, test) == {
        "test_records": 2,
        "training_records": 3,
        "by_split": {"train": 1, "dev": 1, "test": 0},
    }


def test_the_overlap_of_the_small_run_is_found(small_run):
    receipt = json.loads(small_run.leaks.read_text())
    overlap = receipt["overlap_with_test_file"]
    assert (overlap["test_records"], overlap["training_records"]) == (1, 3)
    assert all(leak["in_several_splits"] == 0 for leak in receipt["leaks"].values())


def test_a_chain_of_windows_that_lost_a_link_counts_as_two_regions():
    """Counts of 0 do not exclude this case: both parts are one region of the Sun."""
    steps, _ = fingerprint(np.stack(windows(3, 5, stride=45)))
    number = np.arange(5)
    assert find_regions(number, steps).tolist() == [0] * 5
    left = np.array([0, 1, 3, 4])
    region = find_regions(left, steps[left])
    assert region.tolist() == [0, 0, 3, 3]
    split = ["train", "train", "test", "test"]
    rows = [
        (*row, None, part, name)
        for row, part, name in zip(left[:, None], region, split, strict=True)
    ]
    leaks = find_leaks(plan(rows), content({int(each): int(each) for each in left}))
    assert leaks == dict.fromkeys(("regions", "parents", "contents"), NONE)
    assert (
        "If windows in between are missing, the chain breaks" in STATEMENTS["cup2020"]["not_proven"]
    )


def test_the_published_recipe_leaks_and_says_so(published_run):
    leaks = json.loads(published_run.leaks.read_text())["leaks"]
    assert leaks["regions"]["in_several_splits"] > 0
    assert leaks["parents"]["in_several_splits"] > 0


# --- Windows of SWAN-SF --------------------------------------------------------------------------


def places(harps, numbers):
    """Return the places of records as in a plan."""
    kinds = {"harp": pa.int32(), "noaa": pa.list_(pa.int32())}
    return pa.table({"harp": harps, "noaa": numbers}, schema=pa.schema(kinds))


APART = [(1, None, 1, "train"), (2, None, 2, "dev"), (3, None, 3, "dev")]


def test_harps_and_numbers_are_checked_independently_of_regions():
    numbers = content({1: 1, 2: 2, 3: 3})
    found = find_leaks(plan(APART), numbers, places([7, 7, 8], [[], [], []]))
    assert found["harps"] == {"in_several_splits": 1, "records": 2, "first_records": [1, 2]}
    assert found["noaa_numbers"] == found["regions"] == NONE
    several = [[11953, 11954], [11955], [11954, 11955]]
    found = find_leaks(plan(APART), numbers, places([7, 8, 9], several))
    assert found["noaa_numbers"] == {"in_several_splits": 1, "records": 2, "first_records": [1, 3]}
    with pytest.raises(SkymillError, match="1 noaa_numbers in several splits"):
        require_no_leak(found, "region")


def test_harps_in_several_splits_are_a_warning_where_another_unit_is_split(caplog):
    leaks = find_leaks(
        plan(APART), content({1: 1, 2: 2, 3: 3}), places([7, 7, 8], [[11953], [11954], []])
    )
    require_no_leak(leaks, "partition")
    assert caplog.messages == [
        "1 HARPs have windows in several splits (2 records, split.unit: partition): their windows "
        "overlap in time"
    ]


def test_each_input_has_its_statements():
    assert set(STATEMENTS) == {"cup2020", "swan_sf"}
    for said in STATEMENTS.values():
        assert set(said) == {"proven", "not_proven"}
