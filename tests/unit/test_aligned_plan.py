"""Pairs: labels of all sources, doubtful pairs, and groups that stay together."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from aligned_tables import BEGIN, CLOCK, Sky, ids_of, record_keys, samples_of, series, windows_of
from hypothesis import given
from hypothesis import strategies as st

from skymill.aligned.join import Windows
from skymill.aligned.locate import locate
from skymill.aligned.plan import (
    PAIRS_SCHEMA,
    WITHOUT_PARTNER_SCHEMA,
    groups_in_two_splits,
    linked_by_value,
    make_pairs,
    numbers_of_harps,
    split_groups,
)
from skymill.solar_regions import group_regions, harp_table
from skymill.swan_sf.schema import STEP_SECONDS

FRACTIONS = {"validation": 0.3, "test": 0.3}
NUMBER, HARP = 99001, 90001
"""Greater than all numbers in JSOC's table."""


def sky(**more):
    return Sky().add(HARP, series(1, 120), noaa=[NUMBER], **more)


def utc(seconds):
    """Return the UTC of a time, given in seconds after the first step."""
    return str(np.datetime64(BEGIN - 35 + seconds, "s"))


END = 100 * STEP_SECONDS + 61
"""End of a sample. Its series ended 13 minutes earlier."""


def pairs_of(samples, made=None, windows=(), record_times=None, official=True):
    steps = (made or sky()).steps()
    return make_pairs(
        samples,
        steps,
        Windows(windows_of(list(windows))),
        CLOCK,
        record_times,
        follow_official=official,
        fractions=FRACTIONS,
        seed=1,
    )


def one_pair(sample=None, made=None, **more):
    sample = sample or (NUMBER, utc(END), "M1.0")
    pairs, others, _ = pairs_of(samples_of([sample]), made, **more)
    assert others.num_rows == 0
    (row,) = pairs.to_pylist()
    return row


def test_a_pair_has_the_times_of_its_series_in_both_scales():
    row = one_pair()
    last = BEGIN + 99 * STEP_SECONDS
    assert np.datetime64(row["end_tai"]) == np.datetime64(last, "s")
    assert np.datetime64(row["end"]) == np.datetime64(last - 35, "s")
    assert np.datetime64(row["start_tai"]) == np.datetime64(last - 59 * STEP_SECONDS, "s")
    assert row["offset_min"] == pytest.approx(13 + 1 / 60)
    assert (row["harp"], row["steps_present"], row["share_with_number"]) == (HARP, 60, 1.0)


def test_a_pair_has_the_labels_of_all_sources():
    end = BEGIN + 98 * STEP_SECONDS
    row = one_pair(windows=[(HARP, end, "M", "M1.2")])
    assert (row["label"], row["label_sdo"], row["goes_sdo"]) == ("M", "M", "M1.0")
    assert (row["label_swan"], row["goes_swan"], row["swan_offset_min"]) == ("M", "M1.2", -12)
    assert row["label_2020"] is row["record_id"] is None


def test_a_window_that_shares_no_step_gives_no_label():
    row = one_pair(windows=[(HARP, BEGIN + 39 * STEP_SECONDS, "M", "M1.2")])
    assert row["label_swan"] is row["goes_swan"] is row["swan_offset_min"] is None


def test_the_record_of_2020_is_of_the_harp_and_ends_before_the_sample():
    values = np.stack([series(1, 120)[:, step : step + 60] for step in (38, 40, 42)], axis=1)
    table, _ = locate(ids_of(3, "C"), *record_keys(values), sky().steps(), CLOCK)
    row = one_pair(record_times=frame_of(table))
    assert (row["record_id"], row["label_2020"]) == (2, "C")
    assert row["record_partition"] == "train_partition1_data"
    assert row["record_offset_min"] == pytest.approx(13 + 1 / 60)


def frame_of(table):
    """Return a table of records as a reader returns it."""
    frame = table.to_pandas(types_mapper=None)
    for name in ("status", "partition", "label"):
        frame[name] = frame[name].astype(object)
    return frame


def test_a_pair_whose_harp_has_several_regions_is_doubtful():
    made = sky().add(HARP, series(2, 1), noaa=[NUMBER + 1], begin=BEGIN - 10**6)
    row = one_pair(made=made)
    assert row["regions_in_harp"] == 2
    assert row["flags"] == ["several_regions"]


def test_a_pair_whose_region_is_in_several_harps_is_doubtful():
    made = sky().add(HARP + 1, series(2, 5), noaa=[NUMBER])
    row = one_pair(made=made)
    assert (row["regions_in_harp"], row["flags"]) == (1, ["several_harps"])


def test_numbers_in_jsocs_table_count():
    made = Sky().add(3647, series(1, 120), noaa=[11963])
    row = one_pair((11963, utc(END), "quiet"), made)
    assert row["regions_in_harp"] == 5
    assert "several_regions" in row["flags"]


def test_a_pair_whose_window_ends_at_the_peak_is_doubtful():
    samples = samples_of([(NUMBER, utc(END), "M1.0")])
    begun = samples["end"] - np.timedelta64(24, "h")
    samples["time_id"] = begun.dt.strftime("%Y_%m_%d_%H_%M_%S") + "_1"
    (row,) = pairs_of(samples)[0].to_pylist()
    assert row["flags"] == ["ends_at_peak"]
    samples["time_id"] = (begun + np.timedelta64(5, "h")).dt.strftime("%Y_%m_%d_%H_%M_%S") + "_1"
    (row,) = pairs_of(samples)[0].to_pylist()
    assert row["flags"] == ["ends_at_peak_unknown"]


def test_every_sample_is_a_pair_or_has_a_reason():
    samples = samples_of(
        [
            (NUMBER, utc(END), "M1.0"),
            (NUMBER + 1, utc(END), "quiet"),
            (NUMBER, utc(40 * STEP_SECONDS), "quiet"),
        ]
    )
    pairs, others, counts = pairs_of(samples)
    assert pairs.schema == PAIRS_SCHEMA
    assert others.schema == WITHOUT_PARTNER_SCHEMA
    assert pairs["row"].to_pylist() == [0]
    assert [(row["reason"], row["harp"], row["steps_present"]) for row in others.to_pylist()] == [
        ("no_harp", None, 0),
        ("too_little_overlap", HARP, 40),
    ]
    assert counts["without_partner_by_reason"] == {
        "no_harp": 1,
        "too_little_overlap": 1,
        "several_harps": 0,
    }
    assert counts["pairs"] + counts["without_partner"] == counts["samples"] == 3


def groups(regions, made):
    steps = made.steps()
    links = linked_by_value(numbers_of_harps(steps), steps)
    return group_regions(np.array(regions), links).tolist()


def test_steps_of_a_harp_link_its_regions():
    made = Sky().add(HARP, series(1, 2), noaa=[[NUMBER], [NUMBER + 1]])
    assert groups([NUMBER, NUMBER + 1, NUMBER + 2], made) == [
        NUMBER,
        NUMBER,
        NUMBER + 2,
    ]


def test_a_step_that_two_harps_share_links_them():
    made = Sky().add(HARP, series(1, 2), noaa=[NUMBER])
    made.add(HARP + 1, series(1, 2)[:, 1:], noaa=[NUMBER + 1])
    assert groups([NUMBER, NUMBER + 1], made) == [NUMBER, NUMBER]


def test_steps_with_few_values_link_nothing():
    made = Sky().add(HARP, np.zeros((24, 2)), noaa=[NUMBER])
    made.add(HARP + 1, np.zeros((24, 2)), noaa=[NUMBER + 1])
    assert groups([NUMBER, NUMBER + 1], made) == [NUMBER, NUMBER + 1]


def test_jsocs_table_links_regions():
    made = Sky().add(HARP, series(1, 2), noaa=[NUMBER])
    assert groups([11401, 11402], made) == [11401, 11401]


def test_overlap_in_time_links_nothing():
    made = Sky().add(HARP, series(1, 9), noaa=[NUMBER])
    made.add(HARP + 1, series(2, 9), noaa=[NUMBER + 1])
    assert groups([NUMBER, NUMBER + 1], made) == [NUMBER, NUMBER + 1]


def test_jsocs_table_has_none_of_the_numbers_of_these_tests():
    assert max(harp for harp, _ in harp_table()) < HARP
    assert max(noaa for _, noaa in harp_table()) < NUMBER


def split(group, sets, *, official=True, paired=None, label="Q"):
    count = len(group)
    return split_groups(
        np.array(group),
        np.array(sets, dtype=object),
        np.full(count, label, dtype=object),
        np.ones(count, dtype=bool) if paired is None else np.array(paired),
        follow_official=official,
        fractions=FRACTIONS,
        seed=3,
    )


def test_training_samples_of_a_test_group_are_excluded():
    found = split([1, 1, 2, 3, 4], ["train", "test", "train", "train", "train"])
    assert found[:2].tolist() == ["excluded", "test"]
    assert set(found[2:]) == {"train", "validation"}


def test_a_test_sample_without_a_partner_makes_its_group_test():
    found = split([1, 1], ["train", "test"], paired=[True, False])
    assert found.tolist() == ["excluded", "test"]


def test_without_the_official_test_set_all_splits_are_drawn():
    found = split(list(range(20)), ["train"] * 15 + ["test"] * 5, official=False)
    assert set(found) == {"train", "validation", "test"}
    assert 4 <= (found == "test").sum() <= 8
    assert 4 <= (found == "validation").sum() <= 8


def test_a_class_with_one_group_does_not_leave_a_split_empty():
    found = split_groups(
        np.array([1, 1, 2]),
        np.array(["train"] * 3, dtype=object),
        np.array(["M", "M", "C"], dtype=object),
        np.ones(3, dtype=bool),
        follow_official=True,
        fractions=FRACTIONS,
        seed=3,
    )
    assert set(found) == {"train", "validation"}


@given(
    st.lists(st.tuples(st.integers(1, 8), st.booleans(), st.booleans()), max_size=40),
    st.booleans(),
)
def test_no_group_is_in_two_splits(rows, official):
    group = [row[0] for row in rows]
    sets = ["test" if row[1] else "train" for row in rows]
    paired = np.array([row[2] for row in rows], dtype=bool)
    found = split(group, sets, official=official, paired=paired)
    assert groups_in_two_splits(np.array(group)[paired], found[paired]) == []


def test_the_order_of_samples_changes_nothing():
    rows = [(NUMBER, utc(END + step * STEP_SECONDS), "quiet") for step in range(5)]
    samples = samples_of(rows)
    pairs, _, _ = pairs_of(samples, official=False)
    turned, _, _ = pairs_of(samples.iloc[::-1], official=False)
    key = [("row", "ascending")]
    assert turned.sort_by(key).equals(pairs.sort_by(key))


def test_tables_without_rows_give_an_empty_plan():
    samples = samples_of([]).astype({"end": "M8[ns]", "start": "M8[ns]"})
    pairs, others, counts = pairs_of(samples)
    assert (pairs.num_rows, others.num_rows, counts["samples"]) == (0, 0, 0)
    assert isinstance(pairs, pa.Table)
    assert isinstance(samples, pd.DataFrame)
