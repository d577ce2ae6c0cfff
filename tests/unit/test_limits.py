"""Limits: the counts of a receipt are compared with the current configuration."""

import pytest

from skymill import limits
from skymill.magnetic.regions import describe_regions


def lines(valid, rejected, blank=0):
    """Return the counts of a file of lines."""
    return {"valid": valid, "rejected": rejected, "blank": blank, "lines": valid + rejected + blank}


LOST_LINES = "it has more losses than limits.max_rejected_fraction allows"


@pytest.mark.parametrize(
    ("valid", "rejected", "allowed", "said"),
    [
        (98, 2, 0.02, None),
        (97, 3, 0.02, LOST_LINES),
        (100, 0, 0, None),
        (99, 1, 0, LOST_LINES),
        (1, 99, 1, None),
        (0, 1, 1, LOST_LINES),
        (0, 0, 1, LOST_LINES),
    ],
)
@pytest.mark.parametrize(
    ("limit", "key"), [(limits.rejected_lines, "counts"), (limits.rejected_rows, "ingested")]
)
def test_rejected_lines_are_compared_with_those_that_are_not_blank(
    limit, key, valid, rejected, allowed, said
):
    config = {"limits": {"max_rejected_fraction": allowed}}
    assert limit({key: lines(valid, rejected, blank=1000)}, config) == said


@pytest.mark.parametrize(("dropped", "exceeds"), [(0, False), (1, False), (2, True)])
def test_dropped_records_are_compared_with_the_valid_ones(dropped, exceeds):
    receipt = {"counts": {"valid": 10, "dropped_identical": dropped}}
    config = {"limits": {"max_dropped_fraction": 0.1}}
    said = "it has more losses than limits.max_dropped_fraction allows"
    assert limits.dropped_records(receipt, config) == (said if exceeds else None)


def regions(unit, allowed):
    """Compare regions of 2, 4 and 4 records with a limit."""
    receipt = {"counts": describe_regions([1, 1, 2, 2, 2, 2, 3, 3, 3, 3])}
    config = {"split": {"unit": unit}, "limits": {"max_region_fraction": allowed}}
    return limits.large_region(receipt, config)


def test_a_region_may_have_exactly_the_allowed_share():
    assert regions("region", 0.4) is None
    said = "it has more losses than limits.max_region_fraction allows"
    assert regions("region", 0.39) == said


@pytest.mark.parametrize("unit", ["record", "partition"])
def test_a_large_region_is_accepted_if_regions_are_not_kept_together(unit):
    assert regions(unit, 0.1) is None


def sdo(**otherwise):
    """Compare a catalogue of 10 images, 10 rows and 10 members with limits of a tenth."""
    counts = {
        "members": 10,
        "members_ignored": 0,
        "images": 10,
        "images_damaged": 0,
        "images_without_slot": 0,
        "samples": {"train": 8, "test": 2},
        "samples_without_folder": 0,
        "folders_without_row": 0,
        "malformed_rows": {"train": 0, "test": 0},
        "slots": {
            "by_set": {"train": [20, 32], "test": [8, 8]},
            "by_channel": {"train 94": [10, 32]},
            "by_year": {"2012": [20, 40]},
        },
        **otherwise,
    }
    config = {
        "limits": {
            "max_damaged_fraction": 0.1,
            "max_unplaced_fraction": 0.1,
            "max_lost_samples_fraction": 0.1,
            "max_ignored_members_fraction": 0.1,
            "min_slots_filled": 0.5,
            "min_slots_filled_by_channel": 0.25,
            "min_slots_filled_by_year": 0.25,
        }
    }
    return limits.damaged_sdo({"counts": counts}, config)


def slots(**otherwise):
    """Return counts in which all slots are filled, except for those in `otherwise`."""
    full = {
        "by_set": {"train": [32, 32], "test": [8, 8]},
        "by_channel": {"train 94": [32, 32]},
        "by_year": {"2012": [40, 40]},
    }
    return {"slots": full | otherwise}


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ({"images_damaged": 2}, "limits.max_damaged_fraction"),
        ({"images": 0}, "limits.max_unplaced_fraction, limits.max_damaged_fraction"),
        ({"images_without_slot": 2}, "limits.max_unplaced_fraction"),
        ({"folders_without_row": 2}, "limits.max_lost_samples_fraction"),
        ({"members_ignored": 2}, "limits.max_ignored_members_fraction"),
        (slots(by_set={"train": [32, 32], "test": [3, 8]}), "limits.min_slots_filled"),
        (slots(by_set={"train": [32, 32], "test": [0, 0]}), "limits.min_slots_filled"),
        (slots(by_channel={"train 94": [7, 32]}), "limits.min_slots_filled_by_channel"),
        (slots(by_year={"2012": [40, 40], "2013": [0, 8]}), "limits.min_slots_filled_by_year"),
        ({"samples_without_folder": 2}, "limits.max_lost_samples_fraction"),
        ({"malformed_rows": {"train": 1, "test": 1}}, "limits.max_lost_samples_fraction"),
        (
            {"images_damaged": 2, "samples_without_folder": 2},
            "limits.max_lost_samples_fraction, limits.max_damaged_fraction",
        ),
    ],
)
def test_damaged_images_and_lost_samples_have_separate_limits(counts, named):
    assert sdo(**counts) == f"it has more losses than {named} allows"


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"images_damaged": 1, "samples_without_folder": 1, "folders_without_row": 1},
        {"members": 0},
        slots(by_set={"train": [16, 32], "test": [4, 8]}, by_year={"2012": [10, 40]}),
    ],
)
def test_losses_of_sdo_may_reach_their_limits_exactly(counts):
    assert sdo(**counts) is None


ALL_ALLOWED = dict.fromkeys(
    [
        *("max_corrupt_fraction", "max_lost_stamps_fraction"),
        *("max_repeated_fraction", "max_ignored_fraction"),
    ],
    1,
)


def night_counts(records=10, corrupt=0, **otherwise):
    """Return the counts of a night whose corrupt alerts cannot be read."""
    others = ("null_cutout", "wrong_shape", "dropped_at_edge", "no_data", "unlabelled")
    files = ("ignored_members", "notes_of_macos", "duplicates")
    return {
        **dict.fromkeys([*others, *files], 0),
        "members": records,
        "records": records,
        "kept": records - corrupt,
        "corrupt": corrupt,
        "corrupt_by_cause": {"avro": corrupt},
        **otherwise,
    }


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ({"null_cutout": 3}, "limits.max_lost_stamps_fraction"),
        ({"wrong_shape": 1, "dropped_at_edge": 1, "no_data": 1}, "limits.max_lost_stamps_fraction"),
        # Of 5 examined alerts.
        ({"unlabelled": 5, "null_cutout": 2}, "limits.max_lost_stamps_fraction"),
        (
            {"unlabelled": 5, "corrupt": 2, "corrupt_by_cause": {"gzip": 2}},
            "limits.max_corrupt_fraction",
        ),
        ({"duplicates": 5}, "limits.max_repeated_fraction"),
        ({"ignored_members": 5}, "limits.max_ignored_fraction"),
        (
            {"ignored_members": 5, "null_cutout": 3},
            "limits.max_lost_stamps_fraction, limits.max_ignored_fraction",
        ),
    ],
)
def test_each_cause_of_loss_of_a_night_has_its_limit(counts, named):
    receipt = {"night": "x", "counts": night_counts(**counts), "truncated": False}
    config = {"limits": dict.fromkeys(ALL_ALLOWED, 0.25), "ztf": {"accept_truncated": []}}
    said = f"it has more losses than {named} allows"
    assert limits.lost_alerts(receipt, config) == said
    assert limits.lost_alerts(receipt, {**config, "limits": ALL_ALLOWED}) is None


@pytest.mark.parametrize(
    "counts",
    [
        {"null_cutout": 2},
        {"duplicates": 3},
        {"ignored_members": 3},
        {"ignored_members": 30, "notes_of_macos": 28},
        # With only four examined alerts the share is not used.
        {"unlabelled": 6, "null_cutout": 3},
        # Half of the examined alerts, but most alerts were not examined.
        {"unlabelled": 5, "corrupt": 2, "corrupt_by_cause": {"avro": 2}},
    ],
)
def test_smaller_losses_of_a_night_exceed_no_limit(counts):
    receipt = {"night": "x", "counts": night_counts(**counts), "truncated": False}
    config = {"limits": dict.fromkeys(ALL_ALLOWED, 0.25), "ztf": {"accept_truncated": []}}
    assert limits.lost_alerts(receipt, config) is None


def labels(**otherwise):
    """Compare a list of 100 rows and 50 objects with limits of a tenth."""
    counts = {"rows": 100, "rejected": 10, "objects": 50, "undecided_objects": 5, **otherwise}
    keys = ("max_rejected_labels_fraction", "max_conflicting_labels_fraction")
    return limits.lost_labels({"counts": counts}, {"limits": dict.fromkeys(keys, 0.1)})


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ({}, None),
        # Rows that a filter removes count neither as rejected nor as conflicts.
        ({"low_probability": 90, "unknown_class": 90}, None),
        ({"rejected": 11}, "limits.max_rejected_labels_fraction"),
        ({"undecided_objects": 6}, "limits.max_conflicting_labels_fraction"),
    ],
)
def test_lost_rows_and_objects_of_a_list_of_labels_have_separate_limits(counts, named):
    said = labels(**counts)
    assert said == (named and f"it has more losses than {named} allows")


def night(corrupt, allowed=0.1, *, truncated=False, accepted=()):
    """Compare a night of 10 alerts with a configuration."""
    receipt = {
        "night": "20181129",
        "counts": night_counts(10, corrupt),
        "truncated": truncated,
    }
    config = {
        "limits": {**ALL_ALLOWED, "max_corrupt_fraction": allowed},
        "ztf": {"accept_truncated": list(accepted)},
    }
    return limits.lost_alerts(receipt, config)


@pytest.mark.parametrize(("corrupt", "allowed"), [(0, 0), (1, 0.1), (10, 1)])
def test_a_night_may_have_exactly_the_allowed_share_of_corrupt_alerts(corrupt, allowed):
    assert night(corrupt, allowed) is None


@pytest.mark.parametrize(("corrupt", "allowed"), [(1, 0), (2, 0.1)])
def test_a_night_with_more_corrupt_alerts_is_refused(corrupt, allowed):
    said = "it has more losses than limits.max_corrupt_fraction allows"
    assert night(corrupt, allowed) == said


def test_a_night_without_alerts_exceeds_no_limit():
    receipt = {"night": "20181129", "counts": night_counts(0, 0), "truncated": False}
    config = {"limits": dict.fromkeys(ALL_ALLOWED, 0), "ztf": {"accept_truncated": []}}
    assert limits.lost_alerts(receipt, config) is None


@pytest.mark.parametrize("accepted", [(), ("20181130",), (20181130,)])
def test_an_incomplete_night_must_be_accepted_explicitly(accepted):
    assert "ztf.accept_truncated does not list the night" in night(0, truncated=True)
    assert night(0, truncated=True, accepted=accepted) is not None


@pytest.mark.parametrize("accepted", ["20181129", 20181129])
def test_an_incomplete_night_passes_once_it_is_accepted(accepted):
    assert night(0, truncated=True, accepted=[accepted]) is None
    assert night(2, truncated=True, accepted=[accepted]) is not None


@pytest.mark.parametrize(
    ("rejected", "differing", "named"),
    [
        (2, 1, None),
        (3, 1, "limits.max_rejected_windows_fraction"),
        (2, 2, "limits.max_differing_steps_fraction"),
        (3, 2, "limits.max_rejected_windows_fraction, limits.max_differing_steps_fraction"),
    ],
)
def test_losses_of_a_partition_of_swan_sf_are_compared_with_its_limits(rejected, differing, named):
    counts = {"windows": 100, "rejected": rejected, "steps": 100, "differing_steps": differing}
    allowed = {"max_rejected_windows_fraction": 0.02, "max_differing_steps_fraction": 0.01}
    said = limits.lost_windows({"counts": counts}, {"limits": allowed})
    assert said == (named and f"it has more losses than {named} allows")
