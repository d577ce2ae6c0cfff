"""The page report.md: records located, pairs, agreement of the labels, and leaks."""

import itertools

import numpy as np
import pandas as pd

from skymill.aligned.agreement import Agreement, as_sdo_label, cross_table, curve
from skymill.aligned.join import MARGIN, MIN_STEPS, REASONS, Windows
from skymill.aligned.locate import MIN_VOTES, RIVAL_SHARE, STATUSES, TIERS
from skymill.aligned.plan import EXCLUDED, FLAGS, SEVERAL_HARPS, SEVERAL_REGIONS, SPLITS
from skymill.engine.markdown import markdown_table
from skymill.magnetic.schema import LABELS
from skymill.sdo.goes import LABELS as SDO_LABELS
from skymill.swan_sf.schema import PARTITIONS

REASON_MEANINGS = {
    "no_harp": "no HARP of SWAN-SF has the NOAA number of the sample at most steps in that time",
    "too_little_overlap": f"fewer than {MIN_STEPS} of the 60 steps are present",
    "several_harps": "two HARPs have the NOAA number of the sample at equally many steps",
}
FLAG_MEANINGS = {
    "several_regions": "the HARP has several NOAA numbers in SWAN-SF or in JSOC's table",
    "several_harps": "the region is in several HARPs",
    "ends_at_peak": "the window of the sample ends at the flare's peak",
    "ends_at_peak_unknown": "it is unknown whether the window ends at the flare's peak",
}
OFFSET_BINS = (0, 12, 18, 24, 36, 48, 60)
"""Edges of the table of offsets, in minutes."""


def describe(
    pairs: pd.DataFrame,
    plan: dict,
    windows: Windows,
    located: dict | None,
    record_times: pd.DataFrame | None,
    *,
    source: str,
    partitions: list[str],
    seed: int,
) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    pairs
        The table of pairs, see plan.PAIRS_SCHEMA.
    plan
        The counts of the table of pairs.
    windows
        The windows of SWAN-SF.
    located
        Counts of the located records; None if there are no records to locate.
    record_times
        The located records, see locate.RECORD_TIMES_SCHEMA; None if `located` is None.
    source
        The source of the data.
    partitions
        The partitions of SWAN-SF that were read.
    seed
        The seed of the permutation of regions.
    """
    parts = [
        "# Magnetic series and solar images, aligned",
        f"Source: {source}",
        _scope(plan, partitions),
        "## Records of 2020 located in SWAN-SF",
        *_located(located),
        "## Pairs",
        *_pairs(pairs, plan),
        "## Splits",
        *_splits(plan),
        "## Comparison of labels",
        *_labels(pairs, windows, record_times),
        "## Agreement over time",
        *_agreement(pairs, windows, seed),
        "## Assumptions",
        "Skymill assumes that the times of SWAN-SF are TAI. SWAN-SF does not name its time scale. "
        "But HARPs are sampled every 720 s of TAI, and the times of SWAN-SF are on that grid. TAI "
        "minus UTC (34 to 37 s in these years) comes from Astropy. A wrong time scale would shift "
        "a series by less than a step.",
        "It is not published whether the values of 2020 and the values of SWAN-SF are equal bit "
        "for bit. The first table shows how many records of this run are equal.",
    ]
    return "\n\n".join(parts) + "\n"


def _scope(plan: dict, partitions: list[str]) -> str:
    absent = [name for name in PARTITIONS if name not in partitions]
    missing = f" These partitions of SWAN-SF were not read: {', '.join(absent)}." if absent else ""
    return (
        "A pair joins an image sample of SDOBenchmark with the magnetic series of the same region "
        f"that ends shortly before the sample. {plan['pairs']:,} of {plan['samples']:,} image "
        f"samples have a magnetic series. {plan['pairs_with_record']:,} of these pairs also have a "
        f"record of 2020.{missing}"
    )


def _located(located: dict | None) -> list[str]:
    """Return the number of located records in each tier, by partition and class."""
    if located is None:
        return [
            "There are no records of 2020 to locate. The magnetic branch is switched off, or it "
            "reads SWAN-SF (`magnetic.input: swan_sf`), whose windows have a HARP and a time."
        ]
    outcomes = [*TIERS, *STATUSES[1:]]
    total = max(1, located["records"])
    rows = [
        [name, located["outcomes"][name], f"{located['outcomes'][name] / total:.2%}"]
        for name in outcomes
    ]
    order = {label: place for place, label in enumerate([*LABELS, "unknown"])}

    def key(name: str) -> tuple:
        partition, label = name.rsplit(" ", 1)
        return partition, order[label]

    detail = located["by_partition_and_label"]
    by_class = [
        [*name.rsplit(" ", 1), *(detail[name][outcome] for outcome in outcomes)]
        for name in sorted(detail, key=key)
    ]
    return [
        "The records of 2020 have no times and no region numbers. Skymill finds them in SWAN-SF by "
        "the values of their steps. `exact`: all 24 shared parameters are equal bit for bit. "
        "`rounded`: eight of the parameters are equal to five digits. `nearest`: the nearest "
        "window, at most 1 % away (off by default). A record is located if at least "
        f"{MIN_VOTES} of its 60 steps vote for the same place. A record is ambiguous if a second "
        f"place has more than {RIVAL_SHARE:.0%} of these votes.",
        markdown_table(["outcome", "records", "share"], rows),
        markdown_table(["partition", "class", *outcomes], by_class),
    ]


def _pairs(pairs: pd.DataFrame, plan: dict) -> list[str]:
    """Return samples without a partner by reason, flags of pairs, and offsets in time."""
    reasons = plan["without_partner_by_reason"]
    without = [[name.replace("_", " "), reasons[name], REASON_MEANINGS[name]] for name in REASONS]
    flags = [[name.replace("_", " "), plan["flags"][name], FLAG_MEANINGS[name]] for name in FLAGS]
    edges = [*OFFSET_BINS, np.inf]
    names = [f"{low} to {high}" for low, high in itertools.pairwise(OFFSET_BINS)]
    columns = [pairs["offset_min"], pairs["record_offset_min"].dropna()]
    counted = [np.histogram(column.to_numpy(float), bins=edges)[0].tolist() for column in columns]
    offsets = [
        [name, *numbers]
        for name, *numbers in zip([*names, f"{OFFSET_BINS[-1]} or more"], *counted, strict=True)
    ]
    return [
        f"A series ends at least {MARGIN // 60} minutes before its sample, because the values of a "
        "step use light from about 11 minutes before and after the step.",
        "Samples without a partner, that is without a magnetic series:",
        markdown_table(["reason", "samples", "meaning"], without),
        "Doubtful pairs (column `flags` of the table of pairs):",
        markdown_table(["flag", "pairs", "meaning"], flags),
        "Minutes from the last step of the series to the end of the sample:",
        markdown_table(["minutes", "series", "records of 2020"], offsets),
    ]


def _splits(plan: dict) -> list[str]:
    rows = [
        [name, counts["pairs"], counts["groups"], *(counts["by_label"][one] for one in SDO_LABELS)]
        for name in (*SPLITS, EXCLUDED)
        for counts in [plan["by_split"][name]]
    ]
    return [
        markdown_table(["split", "pairs", "groups", *SDO_LABELS], rows),
        "A group is a set of regions linked by HARPs and NOAA numbers (in JSOC's table or in the "
        "steps of SWAN-SF) or by equal steps of two HARPs. No group is in two splits. `excluded` "
        "contains training samples of groups that are also in the official test set. These "
        "samples are only in the table of pairs.",
        "**Never train on one data set and test on another.** The splits of the aligned pairs, of "
        "the magnetic records, and the validation split of SDOBenchmark are drawn independently. "
        "So a record of the magnetic `train` can show the same region as a pair of the aligned "
        "`test`.",
    ]


def _labels(pairs: pd.DataFrame, windows: Windows, record_times: pd.DataFrame | None) -> list[str]:
    """Return the tables that compare labels."""
    swan = [as_sdo_label(label) for label in pairs["label_swan"]]
    parts = [
        "Classes of SDOBenchmark (rows) and of SWAN-SF (columns). The class of SWAN-SF comes from "
        "the window of the HARP that ends nearest to the end of the series. B counts as Q, because "
        "SDOBenchmark calls B quiet:",
        _cross(pairs["label_sdo"].tolist(), swan, SDO_LABELS, SDO_LABELS),
    ]
    if record_times is None:
        return parts
    located = record_times[(record_times["status"] == "located").to_numpy()]
    end = located["end_tai"].to_numpy("M8[s]").astype(np.int64)
    at = windows.nearest(located["harp"].to_numpy(np.int64), end, 0)
    own = np.where(at >= 0, windows.label[at], None) if len(windows.label) else [None] * len(at)
    return [
        "Classes of 2020 (rows) and of SWAN-SF (columns), of the located records whose time is the "
        f"time of a window of SWAN-SF ({int((at >= 0).sum()):,} of {len(at):,}):",
        _cross(located["label"].tolist(), list(own), LABELS, LABELS),
        *parts,
    ]


def _cross(one: list, other: list, rows: tuple[str, ...], columns: tuple[str, ...]) -> str:
    found = cross_table(one, other)
    return markdown_table(
        ["", *columns], [[row, *(found.get((row, name), 0) for name in columns)] for row in rows]
    )


def agreements(pairs: pd.DataFrame, windows: Windows, seed: int) -> tuple[int, list[Agreement]]:
    """Return the number of pairs of a single region in a single HARP, and their agreement.

    See agreement.curve.
    """
    single = pairs[[not {SEVERAL_REGIONS, SEVERAL_HARPS} & set(flags) for flags in pairs["flags"]]]
    ends = single["end_tai"].to_numpy("M8[s]").astype(np.int64)
    return len(single), curve(single.assign(end=ends), windows, seed)


def _agreement(pairs: pd.DataFrame, windows: Windows, seed: int) -> list[str]:
    single, found = agreements(pairs, windows, seed)
    rows = [
        [
            one.what,
            one.pairs,
            percent(one.equal),
            one.flares,
            percent(one.equal_flares),
            "-" if np.isnan(one.kappa) else f"{one.kappa:.2f}",
            _bar(one),
        ]
        for one in found
    ]
    head = ["windows of", "pairs", "equal", "flares", "flares equal", "kappa", "kappa drawn"]
    return [
        f"The table has {single:,} pairs of a single region in a single HARP. It compares their "
        "GOES classes in SDOBenchmark with the classes of later windows of SWAN-SF. `equal`: both "
        "classes agree to the digit (quiet and A are one class). `kappa`: Cohen's kappa of X, M, C "
        "and Q. `flares`: C1.0 or above. If the pairs are right, the agreement is best for windows "
        "at the same time. The agreement falls slowly with the time difference, because regions "
        "stay active for days. The row with permuted regions shows the agreement by chance.",
        markdown_table(head, rows),
    ]


def percent(share: float) -> str:
    """Return a share as text, or a dash if the share is NaN."""
    return "-" if np.isnan(share) else f"{share:.1%}"


def _bar(one: Agreement) -> str:
    return "" if np.isnan(one.kappa) else "█" * round(20 * max(0.0, one.kappa))
