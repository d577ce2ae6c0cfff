"""The contents of a plan are counted, and doubtful counts become warnings."""

import logging

import pytest

from skymill.magnetic.plan_counts import doubts, warn_of_doubts
from skymill.magnetic.schema import LABELS, TRAIN_SPLITS

WANTED = {"train": 0.6, "dev": 0.2, "test": 0.2}


def counts(**changes):
    """Return the counts of a good plan; changes are by split, class and number."""
    found = {
        "clean_by_label": dict.fromkeys(LABELS, 1000),
        "fractions_wanted": WANTED,
        "fractions_reached": dict(WANTED),
        "fractions_reached_by_label": {
            name: dict.fromkeys(LABELS, fraction) for name, fraction in WANTED.items()
        },
        "by_split": {
            name: {
                "records": 5000,
                "by_label": dict.fromkeys(LABELS, 1000),
                "regions_by_label": dict.fromkeys(LABELS, 5),
            }
            for name in TRAIN_SPLITS
        },
    }
    for name, change in changes.items():
        found[name] = change
    return found


def test_a_good_plan_has_no_doubtful_counts():
    assert doubts(counts()) == []


def test_a_class_that_a_split_lacks_is_named():
    found = counts()
    for label in ("X", "C"):
        found["by_split"]["dev"]["by_label"][label] = 0
        found["fractions_reached_by_label"]["dev"][label] = 0.0
    assert doubts(found) == ["The split dev has no record of class X or C."]


def test_a_class_that_is_in_no_split_is_named_once():
    found = counts()
    found["clean_by_label"]["B"] = 0
    for name in TRAIN_SPLITS:
        found["by_split"][name]["by_label"]["B"] = 0
        del found["fractions_reached_by_label"][name]["B"]
    assert doubts(found) == ["The training files have no record of class B."]


@pytest.mark.parametrize("label", ["X", "M"])
@pytest.mark.parametrize(("regions", "said"), [(1, "1 region:"), (4, "4 regions:"), (5, None)])
def test_few_regions_of_a_rare_class_in_the_test_split_are_reported(label, regions, said):
    found = counts()
    found["by_split"]["test"]["regions_by_label"][label] = regions
    # Few regions of other classes, or in other splits, are accepted.
    found["by_split"]["test"]["regions_by_label"]["C"] = 1
    found["by_split"]["dev"]["regions_by_label"][label] = 1
    told = doubts(found)
    assert len(told) == (said is not None)
    assert all(f"has 1,000 records of class {label} from only {said}" in text for text in told)


@pytest.mark.parametrize(
    ("reached", "is_far"), [(0.2, False), (0.11, False), (0.29, False), (0.1, True), (0.31, True)]
)
def test_a_fraction_missed_by_half_is_reported_with_both_numbers(reached, is_far):
    found = counts()
    found["fractions_reached"]["dev"] = reached
    found["fractions_reached_by_label"]["test"]["X"] = reached
    assert doubts(found) == [
        f"The split {name} should have 20.00%, but has {reached:.2%} of {what}."
        for name, what in (("dev", "the records"), ("test", "class X"))
        if is_far
    ]


def test_a_split_of_the_fraction_0_may_be_empty():
    found = counts(fractions_wanted={"train": 0.8, "dev": 0.0, "test": 0.2})
    found["fractions_reached"] |= {"train": 0.8, "dev": 0.0}
    found["by_split"]["dev"] = {"records": 0}
    assert doubts(found) == []


def test_splits_of_whole_files_have_no_fractions_to_miss():
    found = counts(fractions_wanted=None)
    found["fractions_reached"]["dev"] = 0.9
    assert doubts(found) == []


def test_doubts_are_warnings_of_the_job(caplog):
    found = counts()
    found["by_split"]["test"]["by_label"]["X"] = 0
    with caplog.at_level(logging.WARNING, "skymill"):
        warn_of_doubts(found)
    assert caplog.messages == ["The split test has no record of class X."]
