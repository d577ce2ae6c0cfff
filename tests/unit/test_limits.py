"""Limits: what a receipt counts is compared with the configuration as it is now."""

import pytest

from skymill import limits
from skymill.magnetic.regions import describe_regions


def lines(valid, rejected, blank=0):
    """Return the counts of a file of lines."""
    return {"valid": valid, "rejected": rejected, "blank": blank, "lines": valid + rejected + blank}


LOST_LINES = "it counts more losses than limits.max_rejected_fraction allows"


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


def regions(unit, allowed):
    """Compare regions of 2, 4 and 4 records with a limit."""
    receipt = {"counts": describe_regions([1, 1, 2, 2, 2, 2, 3, 3, 3, 3])}
    config = {"split": {"unit": unit}, "limits": {"max_region_fraction": allowed}}
    return limits.large_region(receipt, config)


def test_a_region_may_have_just_the_share_that_is_allowed():
    assert regions("region", 0.4) is None
    said = "it counts more losses than limits.max_region_fraction allows"
    assert regions("region", 0.39) == said


@pytest.mark.parametrize("unit", ["record", "partition"])
def test_a_large_region_is_no_matter_where_regions_are_not_kept_together(unit):
    assert regions(unit, 0.1) is None


def sdo(**otherwise):
    """Compare a catalogue of 10 images and 10 rows with limits of a tenth."""
    counts = {
        "images": 10,
        "images_damaged": 0,
        "samples": {"train": 8, "test": 2},
        "samples_without_folder": 0,
        "malformed_rows": {"train": 0, "test": 0},
        **otherwise,
    }
    config = {"limits": {"max_damaged_fraction": 0.1, "max_lost_samples_fraction": 0.1}}
    return limits.damaged_sdo({"counts": counts}, config)


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ({"images_damaged": 2}, "limits.max_damaged_fraction"),
        ({"images": 0}, "limits.max_damaged_fraction"),
        ({"samples_without_folder": 2}, "limits.max_lost_samples_fraction"),
        ({"malformed_rows": {"train": 1, "test": 1}}, "limits.max_lost_samples_fraction"),
        (
            {"images_damaged": 2, "samples_without_folder": 2},
            "limits.max_damaged_fraction, limits.max_lost_samples_fraction",
        ),
    ],
)
def test_damaged_images_and_lost_samples_are_compared_each_with_its_limit(counts, named):
    assert sdo(**counts) == f"it counts more losses than {named} allows"


@pytest.mark.parametrize("counts", [{}, {"images_damaged": 1, "samples_without_folder": 1}])
def test_as_many_losses_of_sdo_as_are_allowed_are_none_too_many(counts):
    assert sdo(**counts) is None


def night(corrupt, allowed=0.1, *, truncated=False, accepted=()):
    """Compare a night of 10 alerts with a configuration."""
    receipt = {
        "night": "20181129",
        "counts": {"records": 10, "corrupt": corrupt},
        "truncated": truncated,
    }
    config = {
        "limits": {"max_corrupt_fraction": allowed},
        "ztf": {"accept_truncated": list(accepted)},
    }
    return limits.corrupt_night(receipt, config)


@pytest.mark.parametrize(("corrupt", "allowed"), [(0, 0), (1, 0.1), (10, 1)])
def test_a_night_may_have_just_the_corrupt_alerts_that_are_allowed(corrupt, allowed):
    assert night(corrupt, allowed) is None


@pytest.mark.parametrize(("corrupt", "allowed"), [(1, 0), (2, 0.1)])
def test_a_night_with_more_corrupt_alerts_is_refused(corrupt, allowed):
    said = "it counts more losses than limits.max_corrupt_fraction allows"
    assert night(corrupt, allowed) == said


def test_a_night_without_alerts_exceeds_no_limit():
    receipt = {"night": "20181129", "counts": {"records": 0, "corrupt": 0}, "truncated": False}
    config = {"limits": {"max_corrupt_fraction": 0}, "ztf": {"accept_truncated": []}}
    assert limits.corrupt_night(receipt, config) is None


@pytest.mark.parametrize("accepted", [(), ("20181130",), (20181130,)])
def test_a_night_that_is_not_whole_has_to_be_accepted(accepted):
    assert "ztf.accept_truncated does not name the night" in night(0, truncated=True)
    assert night(0, truncated=True, accepted=accepted) is not None


@pytest.mark.parametrize("accepted", ["20181129", 20181129])
def test_a_night_that_is_not_whole_passes_once_it_is_accepted(accepted):
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
def test_what_a_partition_of_swan_sf_lost_is_compared_with_its_limits(rejected, differing, named):
    counts = {"windows": 100, "rejected": rejected, "steps": 100, "differing_steps": differing}
    allowed = {"max_rejected_windows_fraction": 0.02, "max_differing_steps_fraction": 0.01}
    said = limits.lost_windows({"counts": counts}, {"limits": allowed})
    assert said == (named and f"it counts more losses than {named} allows")
