"""The report, the figure, and the check of the aligned branch."""

import numpy as np
import pandas as pd
import pytest
from aligned_tables import BEGIN, CLOCK, Sky, ids_of, record_keys, samples_of, series, windows_of
from hypothesis import given
from hypothesis import strategies as st

from skymill.aligned.agreement import as_sdo_label, cross_table, curve, kappa
from skymill.aligned.check import require_sound, required_splits
from skymill.aligned.join import Windows
from skymill.aligned.locate import locate
from skymill.aligned.pictures import choose_pair, draw_pair
from skymill.aligned.plan import make_pairs
from skymill.aligned.report import describe
from skymill.engine.errors import SkymillError
from skymill.engine.tables import read_frame, write_table
from skymill.swan_sf.schema import STEP_SECONDS

HARP, NUMBER = 90001, 99001
FRACTIONS = {"validation": 0.3, "test": 0.3}


def utc(step):
    return str(np.datetime64(BEGIN - 35 + (step + 1) * STEP_SECONDS, "s"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pairs of three HARPs, one of them of the test set, with records and windows."""
    folder = tmp_path_factory.mktemp("aligned")
    sky, rows, windows = Sky(), [], []
    for number in range(4):
        sky.add(HARP + number, series(number, 120), noaa=[NUMBER + number])
        goes = ["M1.0", "quiet", "C2.0", "X1.0"][number]
        rows += [(NUMBER + number, utc(step), goes) for step in (80, 90)]
        label, own = [("M", "M1.0"), ("B", "B1.0"), ("C", "C2.1"), ("X", "X1.0")][number]
        windows += [
            (HARP + number, BEGIN + step * STEP_SECONDS, label, own) for step in range(59, 120, 5)
        ]
    samples = samples_of([*rows, (1, utc(80), "quiet")], ["train"] * 6 + ["test"] * 2 + ["train"])
    steps = sky.steps()
    values = np.stack([series(0, 120)[:, 29:89], series(77, 60)], axis=1)
    table, located = locate(ids_of(2, "M"), *record_keys(values), steps, CLOCK)
    write_table(folder / "records.parquet", table)
    records = read_frame(folder / "records.parquet")
    found = Windows(windows_of(windows))
    pairs, _, counts = make_pairs(
        samples, steps, found, CLOCK, records, follow_official=True, fractions=FRACTIONS, seed=1
    )
    write_table(folder / "pairs.parquet", pairs)
    return pd.read_parquet(folder / "pairs.parquet"), counts, found, located, records


def page(made, **more):
    pairs, counts, windows, located, records = made
    given = {"source": "local", "partitions": ["partition1", "partition3"], "seed": 1, **more}
    return describe(pairs, counts, windows, located, records, **given)


def rows_of(text, start):
    """Return the cells of the page's first row that begins with a word."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {start} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_counts_what_was_located_and_joined(made):
    text = page(made)
    assert "8 of 9 image samples have a magnetic series" in text
    assert "1 of these pairs also have a record of 2020" in text
    assert "were not read: partition2, partition4, partition5" in text
    assert rows_of(text, "exact") == ["exact", "1", "50.00%"]
    assert rows_of(text, "nearest") == ["nearest", "0", "0.00%"]
    assert rows_of(text, "absent") == ["absent", "1", "50.00%"]
    assert rows_of(text, "train_partition1_data")[1:] == ["M", "1", "0", "0", "0", "1"]
    assert rows_of(text, "no harp")[1] == "1"


def test_the_page_compares_labels_and_draws_how_the_agreement_falls(made):
    text = page(made)
    # M, X, and quiet against B and C are the same label; C2.0 and C2.1 are different classes.
    assert rows_of(text, "the same time")[1:6] == ["8", "50.0%", "6", "66.7%", "1.00"]
    assert rows_of(text, "permuted regions")[5].startswith(("-", "0"))
    assert "times of SWAN-SF are TAI" in text
    assert "Never train on one data set and test on another" in text


def test_the_page_says_that_there_were_no_records_to_locate(made):
    pairs, counts, windows, _, _ = made
    text = describe(
        pairs, counts, windows, None, None, source="sample", partitions=["partition1"], seed=1
    )
    assert "The magnetic branch is switched off" in text


def test_class_b_of_swan_sf_counts_as_quiet_for_sdobenchmark():
    assert [as_sdo_label(label) for label in ("X", "M", "C", "B", "Q", None)] == [
        *"XMCQQ",
        None,
    ]


def test_labels_that_are_missing_are_not_counted():
    assert cross_table(["M", None, "M"], ["C", "C", "C"]) == {("M", "C"): 2}


def test_kappa_agrees_with_a_worked_example():
    # Two raters, 20 yes, 5 and 10 split, 15 no: Cohen's kappa is 0.4.
    one = np.array(["y"] * 25 + ["n"] * 25)
    other = np.array(["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15)
    assert kappa(one, other) == pytest.approx(0.4)
    assert np.isnan(kappa(one[:3], one[:3]))
    assert np.isnan(kappa(one[:0], one[:0]))


@given(st.lists(st.sampled_from("XMCQ"), min_size=2))
def test_kappa_of_identical_labels_is_one(labels):
    if len(set(labels)) > 1:
        assert kappa(np.array(labels), np.array(labels)) == pytest.approx(1)


def test_regions_are_only_permuted_with_regions_of_other_groups(made):
    pairs, _, windows, _, _ = made
    one = pairs.assign(end=pairs["end_tai"].to_numpy("M8[s]").astype(np.int64), group=1)
    assert curve(one, windows, 1)[-1].pairs == 0


class Counts(dict):
    """Counts of a good plan, with some changes."""

    def __init__(self, **changes):
        splits = {name: {"pairs": 2} for name in ("train", "validation", "test", "excluded")}
        reasons = {"no_harp": 1, "too_little_overlap": 0, "several_harps": 0}
        super().__init__(
            samples=9,
            pairs=8,
            without_partner=1,
            without_partner_by_reason=reasons,
            groups_in_two_splits=[],
            by_split=splits,
        )
        self.update(changes)


def check(official=True, fractions=FRACTIONS, **changes):
    require_sound(Counts(**changes), follow_official=official, fractions=fractions)


def test_the_check_accepts_a_good_plan(made):
    check()
    require_sound(made[1], follow_official=True, fractions=FRACTIONS)


def test_the_check_refuses_a_group_in_two_splits():
    with pytest.raises(SkymillError, match="2 groups of regions are in two splits; the first is 7"):
        check(groups_in_two_splits=[7, 9])


def test_the_check_refuses_a_lost_sample():
    with pytest.raises(SkymillError, match="9 samples, but 7 pairs and 1 samples without"):
        check(pairs=7)


@pytest.mark.parametrize("empty", ["train", "validation", "test"])
def test_the_check_refuses_an_empty_split(empty):
    splits = {**Counts()["by_split"], empty: {"pairs": 0}}
    with pytest.raises(SkymillError, match=f"none is in {empty} .*no_harp 1"):
        check(by_split=splits)


def test_a_split_without_a_share_may_be_empty():
    assert required_splits(True, {"validation": 0, "test": 0}) == ["train", "test"]
    assert required_splits(False, {"validation": 0.1, "test": 0}) == ["train", "validation"]


def test_the_figure_shows_a_strong_flare_and_has_the_same_bytes(made, tmp_path):
    pairs = made[0]
    row = choose_pair(pairs)
    assert pairs["label"][row] == "X"
    turned = pairs.iloc[::-1]
    assert turned["sample_id"].iloc[choose_pair(turned)] == pairs["sample_id"][row]
    pair = pairs.iloc[row].to_dict()
    values = series(3, 60).T.copy()
    values[10:12] = np.nan
    images = np.full((4, 10, 256, 256), 90, dtype=np.uint8), np.ones((4, 10), dtype=bool)
    images[1][0, 9] = False
    (first,) = draw_pair(pair, values, tmp_path / "one.png", images)
    (second,) = draw_pair(pair, values, tmp_path / "two.png", images)
    (alone,) = draw_pair(pair, values, tmp_path / "three.png", None)
    assert first["sha256"] == second["sha256"] != alone["sha256"]
    draw_pair(pair, np.full((60, 24), np.nan), tmp_path / "empty.png", None)
