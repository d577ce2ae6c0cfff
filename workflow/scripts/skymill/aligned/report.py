"""One readable page: what was located and joined, how far labels agree, and what is not proven."""

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
    "no_harp": "no HARP of SWAN-SF has its number at most of its steps in that time",
    "too_little_overlap": f"fewer than {MIN_STEPS} of the 60 steps are there",
    "several_harps": "two HARPs have its number at equally many steps",
}
FLAG_MEANINGS = {
    "several_regions": "the HARP has had several NOAA numbers, by SWAN-SF or JSOC's table",
    "several_harps": "the region has been in several HARPs",
    "ends_at_peak": "the sample's window ends at the flare's peak",
    "ends_at_peak_unknown": "whether it does cannot be told from the table",
}
OFFSET_BINS = (0, 12, 18, 24, 36, 48, 60)
"""Minutes, of the table of offsets."""


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
        Its counts.
    windows
        Those of SWAN-SF.
    located
        Counts of the records that were located; None where there are none to locate.
    record_times
        These records, see locate.RECORD_TIMES_SCHEMA; None likewise.
    source
        Where the data came from.
    partitions
        Those of SWAN-SF that were read.
    seed
        Of the permutation of regions.
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
        "## Labels against labels",
        *_labels(pairs, windows, record_times),
        "## Agreement over time",
        *_agreement(pairs, windows, seed),
        "## What is inferred",
        "SWAN-SF's times are taken as TAI. It does not name their scale: HARPs are sampled every "
        "720 s of TAI, and its times are on that grid, so TAI is inferred. TAI minus UTC (34 to 37 "
        "s in these years) is from Astropy. A wrong scale would shift a series by less than a "
        "step.",
        "Whether the values of 2020 equal those of SWAN-SF bit for bit is not published. The first "
        "table says what was found here.",
    ]
    return "\n\n".join(parts) + "\n"


def _scope(plan: dict, partitions: list[str]) -> str:
    absent = [name for name in PARTITIONS if name not in partitions]
    missing = f" Without {', '.join(absent)}, which are not there." if absent else ""
    return (
        f"{plan['pairs']:,} of {plan['samples']:,} image samples have the magnetic series of their "
        f"region before their end; {plan['pairs_with_record']:,} of them a record of 2020 as well."
        f"{missing}"
    )


def _located(located: dict | None) -> list[str]:
    """Return how many records were located in each tier, by partition and class."""
    if located is None:
        return [
            "The magnetic branch is switched off, or reads SWAN-SF itself, whose windows have HARP "
            "and time (`magnetic.input: swan_sf`): there are no records of 2020 to locate."
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
        "`exact`: the 24 shared parameters are equal bit for bit. `rounded`: eight of them are "
        "equal to five digits. `nearest`: the nearest window, at most 1 % away (off by default). A "
        f"record is located by at least {MIN_VOTES} of its 60 steps; where a rival has more than "
        f"{RIVAL_SHARE:.0%} of these votes it is ambiguous.",
        markdown_table(["outcome", "records", "share"], rows),
        markdown_table(["partition", "class", *outcomes], by_class),
    ]


def _pairs(pairs: pd.DataFrame, plan: dict) -> list[str]:
    """Return why samples have no partner, what is doubtful about pairs, and offsets in time."""
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
        "step use light from about 11 minutes on either side. Samples without a partner:",
        markdown_table(["reason", "samples", "what it means"], without),
        "What is doubtful (`flags` in the table of pairs):",
        markdown_table(["flag", "pairs", "what it means"], flags),
        "Minutes from the last step to the end of the sample:",
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
        "A group is what HARPs and NOAA numbers link, by JSOC's table, by SWAN-SF's steps, and by "
        "equal steps of two HARPs. No group is in two splits. `excluded` are training samples of "
        "groups that touch the official test set; they are in the table of pairs alone.",
        "**The splits of the magnetic branch, and the validation split of SDOBenchmark, are drawn "
        "independently.** A record of the magnetic `train` can be of the region of an aligned "
        "`test` pair. Never train on one and test on the other.",
    ]


def _labels(pairs: pd.DataFrame, windows: Windows, record_times: pd.DataFrame | None) -> list[str]:
    """Return the tables of labels against labels."""
    swan = [as_sdo_label(label) for label in pairs["label_swan"]]
    parts = [
        "Classes of SDOBenchmark (rows) against those of SWAN-SF (columns), of the HARP's window "
        "that ends nearest to the series. B counts as Q, because SDOBenchmark calls it quiet:",
        _cross(pairs["label_sdo"].tolist(), swan, SDO_LABELS, SDO_LABELS),
    ]
    if record_times is None:
        return parts
    located = record_times[(record_times["status"] == "located").to_numpy()]
    end = located["end_tai"].to_numpy("M8[s]").astype(np.int64)
    at = windows.nearest(located["harp"].to_numpy(np.int64), end, 0)
    own = np.where(at >= 0, windows.label[at], None) if len(windows.label) else [None] * len(at)
    return [
        "Classes of 2020 (rows) against those of SWAN-SF (columns), of all records that are "
        f"located at a window of SWAN-SF ({int((at >= 0).sum()):,} of {len(at):,}):",
        _cross(located["label"].tolist(), list(own), LABELS, LABELS),
        *parts,
    ]


def _cross(one: list, other: list, rows: tuple[str, ...], columns: tuple[str, ...]) -> str:
    found = cross_table(one, other)
    return markdown_table(
        ["", *columns], [[row, *(found.get((row, name), 0) for name in columns)] for row in rows]
    )


def agreements(pairs: pd.DataFrame, windows: Windows, seed: int) -> tuple[int, list[Agreement]]:
    """Return how many pairs are of a single region in a single HARP, and how far these agree.

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
        f"For the {single:,} pairs of a single region in a single HARP: the GOES class of "
        "SDOBenchmark against that of SWAN-SF's windows at later times, equal to the digit (quiet "
        "and A are one class), and Cohen's kappa of X, M, C and Q. `flares` are C1.0 or above. "
        "Regions stay active for days, so the agreement falls slowly with the time between; with "
        "permuted regions it is what chance gives.",
        markdown_table(head, rows),
    ]


def percent(share: float) -> str:
    """Return a share as text, a dash for none."""
    return "-" if np.isnan(share) else f"{share:.1%}"


def _bar(one: Agreement) -> str:
    return "" if np.isnan(one.kappa) else "█" * round(20 * max(0.0, one.kappa))
