"""Comparison of counts with the limits of the configuration.

A changed limit makes nothing stale. Instead, while Snakemake builds its graph, the counts in each
receipt are compared with the present limits. If a limit is now exceeded, its check runs again, and
fails with a message that names the limit. Each function takes a receipt or manifest and the
configuration. It returns which limit is exceeded, or None.
"""

from skymill.magnetic import check as magnetic
from skymill.sdo import check as sdo
from skymill.stealth import check as stealth
from skymill.swan_sf import check as swan_sf
from skymill.ztf import check as ztf
from skymill.ztf import label_check


def rejected_lines(receipt: dict, config: dict) -> str | None:
    """Compare the rejected lines of a magnetic file with limits.max_rejected_fraction."""
    allowed = config["limits"]["max_rejected_fraction"]
    return _said(magnetic.lost_too_many(receipt["counts"], allowed), "limits.max_rejected_fraction")


def dropped_records(receipt: dict, config: dict) -> str | None:
    """Compare the records that were dropped as identical with limits.max_dropped_fraction."""
    allowed = config["limits"]["max_dropped_fraction"]
    exceeds = magnetic.dropped_too_many(receipt["counts"], allowed)
    return _said(exceeds, "limits.max_dropped_fraction")


def large_region(receipt: dict, config: dict) -> str | None:
    """Compare the largest region with limits.max_region_fraction, if splits are by region."""
    exceeds = config["split"]["unit"] == "region" and magnetic.is_too_large(
        receipt["counts"], config["limits"]["max_region_fraction"]
    )
    return _said(exceeds, "limits.max_region_fraction")


def damaged_sdo(receipt: dict, config: dict) -> str | None:
    """Compare the losses of SDOBenchmark, and the share of filled slots, with the limits."""
    exceeded = sdo.exceeded(receipt["counts"], config["limits"])
    return _said(bool(exceeded), ", ".join(exceeded))


def lost_windows(receipt: dict, config: dict) -> str | None:
    """Compare the losses of a partition of SWAN-SF with the limits."""
    exceeded = swan_sf.exceeded(receipt["counts"], config["limits"])
    return _said(bool(exceeded), ", ".join(exceeded))


def rejected_rows(manifest: dict, config: dict) -> str | None:
    """Compare the rejected lines of the auxiliary table with limits.max_rejected_fraction."""
    allowed = config["limits"]["max_rejected_fraction"]
    return _said(
        stealth.lost_too_many(manifest["ingested"], allowed), "limits.max_rejected_fraction"
    )


def lost_labels(receipt: dict, config: dict) -> str | None:
    """Compare the lost rows and objects of the list of labels with the limits."""
    exceeded = label_check.exceeded(receipt["counts"], config["limits"])
    named = ", ".join(f"limits.{limit}" for limit in exceeded)
    return _said(bool(exceeded), named)


def lost_alerts(receipt: dict, config: dict) -> str | None:
    """Compare the losses of a night with the limits, and its end with ztf.accept_truncated."""
    if ztf.is_cut_short(receipt["night"], receipt, config["ztf"]["accept_truncated"]):
        return "its archive is incomplete, and ztf.accept_truncated does not list the night"
    exceeded = [f"limits.{name}" for name in ztf.exceeded(receipt["counts"], config["limits"])]
    return _said(bool(exceeded), ", ".join(exceeded))


def _said(exceeds: bool, setting: str) -> str | None:
    return f"it has more losses than {setting} allows" if exceeds else None
