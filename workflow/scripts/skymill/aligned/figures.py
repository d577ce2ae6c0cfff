"""The section of the report about the aligned pairs, and about SWAN-SF, which gives the series.

Counts come from documents and from the table of pairs. Values and pixels are read of one pair.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skymill.aligned.agreement import as_sdo_label, cross_table
from skymill.aligned.join import MARGIN, Windows
from skymill.aligned.locate import STATUSES, TIERS
from skymill.aligned.pictures import CURVES, SHOWN_CHANNELS
from skymill.aligned.plan import EXCLUDED, FLAGS, SPLITS
from skymill.aligned.report import FLAG_MEANINGS, REASON_MEANINGS, agreements, percent
from skymill.magnetic.schema import LABELS, STEPS
from skymill.report.charts import bars, lines, stacked
from skymill.report.flow import Flow
from skymill.report.parts import (
    Part,
    Section,
    bullets,
    drawing,
    folded,
    paragraph,
    side_by_side,
    table,
)
from skymill.sdo.figures import SampleSheet, sample_table
from skymill.sdo.goes import LABELS as SDO_LABELS
from skymill.swan_sf.schema import PARAMETERS, STEP_SECONDS

TITLE = "Aligned pairs"

OUTCOMES = (*TIERS, *STATUSES[1:])
"""How a record of 2020 was located, or that it was not."""
REJECTED = {
    "columns": "a column is missing, or there are too many",
    "name": "the name of the file is not that of a window",
    "repeated": "another window has its HARP and its start",
    "rows": "there are not 60 rows",
    "size": "the file is too large",
    "times": "the steps are not 12 minutes apart",
    "values": "a value is no number",
}
"""Why windows of SWAN-SF are not used."""
PROOFS = (
    "Proven: no group of regions is in two splits. A group is what HARPs and NOAA numbers link, by "
    "JSOC's table, by SWAN-SF's steps, and by equal steps of two HARPs.",
    f"Proven: a series ends at least {MARGIN // 60} minutes before its sample, so nothing of the "
    "time of the forecast is in it.",
    "Not proven, and not true: that these splits go with those of the magnetic branch, or with the "
    "validation split of SDOBenchmark. They are drawn independently: never train on one and test "
    "on another.",
)


@dataclass(frozen=True)
class Pair:
    """A pair that is shown.

    Attributes
    ----------
    facts
        Its row of the table of pairs.
    series
        float64, shape (60, 24): missing steps are NaN.
    sample
        The images; None where there are no tensors.
    """

    facts: Mapping
    series: np.ndarray
    sample: SampleSheet | None


def draw_section(
    *,
    pairs: pd.DataFrame,
    plan: Mapping,
    catalogues: Mapping[str, Mapping],
    windows: Windows,
    located: Mapping | None,
    shown: Pair | None,
    seed: int,
) -> Section:
    """Return the section about the aligned pairs.

    Parameters
    ----------
    pairs
        The table of pairs, see plan.PAIRS_SCHEMA.
    plan
        Its counts.
    catalogues
        The counts of each partition of SWAN-SF that was read, by its name.
    windows
        Those of SWAN-SF.
    located
        Counts of the records of 2020; None where there are none to locate.
    shown
        The pair whose curves and images are drawn; None where there is no pair.
    seed
        Of the permutation of regions.
    """
    flows = flow_of_samples(plan).body("Image samples, to the splits of the pairs")
    if located is not None:
        flows += flow_of_records(located, plan).body("Records of 2020, located in SWAN-SF")
    flows += flow_of_windows(catalogues).body("Windows of SWAN-SF")
    return Section(
        "aligned",
        TITLE,
        f"A pair joins an image sample of SDOBenchmark with a magnetic series of SWAN-SF: {STEPS} "
        "steps of the same active region, which end shortly before the sample does.",
        (
            Part(
                "flow",
                "From samples to pairs",
                "Each sample is in a split, or the chart shows where it left. Records and windows "
                "are counted likewise. The report is only written when all counts add up.",
                flows,
            ),
            _pair(shown),
            _splits(plan),
            _reasons(plan),
            _located(located, plan),
            _labels(pairs),
            _agreement(pairs, windows, seed),
            _windows(catalogues),
        ),
    )


def flow_of_samples(plan: Mapping) -> Flow:
    """Return what became of the image samples; `plan` are the counts of the pairs."""
    flow = Flow("samples")
    flow.total("image samples", plan["samples"])
    for reason, number in plan["without_partner_by_reason"].items():
        flow.leaves(f"no partner: {_words(reason)}", number)
    flow.total("pairs", plan["pairs"])
    flow.leaves("excluded: the group touches the test set", plan["by_split"][EXCLUDED]["pairs"])
    kept = {name: plan["by_split"][name]["pairs"] for name in SPLITS}
    flow.total("pairs in splits", sum(kept.values()))
    flow.parts(kept)
    return flow


def flow_of_records(located: Mapping, plan: Mapping) -> Flow:
    """Return how the records of 2020 were located; see draw_section."""
    outcomes = located["outcomes"]
    flow = Flow("records")
    flow.total("records of 2020", located["records"])
    for status in STATUSES[1:]:
        flow.leaves(status, outcomes[status])
    flow.total("located in SWAN-SF", plan["records_located"])
    flow.parts({tier: outcomes[tier] for tier in TIERS})
    return flow


def flow_of_windows(catalogues: Mapping[str, Mapping]) -> Flow:
    """Return what became of the windows of SWAN-SF; see draw_section."""
    flow = Flow("windows")
    flow.total("windows read", sum(counts["windows"] for counts in catalogues.values()))
    for reason, number in _rejected(catalogues).items():
        flow.leaves(f"rejected: {reason}", number)
    flow.total("windows used", sum(counts["valid"] for counts in catalogues.values()))
    flow.parts({name: counts["valid"] for name, counts in sorted(catalogues.items())})
    return flow


def _rejected(catalogues: Mapping[str, Mapping]) -> dict[str, int]:
    reasons: Counter = Counter()
    for counts in catalogues.values():
        reasons.update(counts["rejected_by_reason"])
    return dict(sorted(reasons.items()))


def _pair(shown: Pair | None) -> Part:
    title = "A pair: the series beside the images"
    if shown is None:
        return Part("pair", title, "There is no pair.", "")
    facts, end = shown.facts, shown.facts["offset_min"] / 60
    hours = (np.arange(STEPS) - (STEPS - 1)) * STEP_SECONDS / 3600 - end
    # A step of exact zeros was not measured.
    seen = shown.series[:, PARAMETERS.index("USFLUX")] != 0
    pictures = []
    for name in CURVES:
        values = np.where(seen, shown.series[:, PARAMETERS.index(name)], np.nan)
        scaled, title_of = _scaled(name, values)
        path = [
            (hour, value if np.isfinite(value) else None)
            for hour, value in zip(hours.round(4).tolist(), scaled.tolist(), strict=True)
        ]
        chart = lines(
            {name: path},
            x="hours to the end of the sample",
            height=150,
            title=title_of,
        )
        pictures.append(drawing(chart, f"{name}: {_spread(values)}"))
    swan = facts["goes_swan"] or facts["label_swan"] or "none"
    images = (
        paragraph("There are no tensors (sdo.tensors: false), so no images are shown.")
        if shown.sample is None
        else sample_table(
            shown.sample,
            SHOWN_CHANNELS,
            f"Images of {facts['sample_id']}: hours after the start of its window",
        )
    )
    return Part(
        "pair",
        title,
        f"Sample {facts['sample_id']} ({facts['split']}) and HARP {facts['harp']}: "
        f"{facts['goes_sdo']} in SDOBenchmark, {swan} in SWAN-SF. {facts['steps_present']} of "
        f"{STEPS} steps are there. The series ends {facts['offset_min']:.0f} minutes before the "
        "sample.",
        side_by_side(pictures) + images,
    )


def _scaled(name: str, values: np.ndarray) -> tuple[np.ndarray, str]:
    """Return values without their power of ten where it is large, and a title that names it."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    power = int(np.floor(np.log10(largest))) if largest else 0
    return (values / 10.0**power, f"{name}, in 1e{power}") if power > 3 else (values, name)


def _spread(values: np.ndarray) -> str:
    seen = values[np.isfinite(values)]
    if not len(seen):
        return "no value"
    return f"{len(seen)} values from {seen.min():.4g} to {seen.max():.4g}, at last {seen[-1]:.4g}"


def _splits(plan: Mapping) -> Part:
    by_split = {name: plan["by_split"][name] for name in (*SPLITS, EXCLUDED)}
    by_label = {
        name: {label: found["by_label"][label] for label in SDO_LABELS}
        for name, found in by_split.items()
    }
    rows = [
        [name, *by_label[name].values(), found["pairs"], found["groups"]]
        for name, found in by_split.items()
    ]
    drawn = {name: found for name, found in by_label.items() if sum(found.values())}
    told = "; ".join(
        f"{name}: " + ", ".join(f"{label} {number:,}" for label, number in found.items())
        for name, found in drawn.items()
    )
    return Part(
        "splits",
        "Splits, and what is proven about leaks",
        "The chart shows the pairs of each split by class. Training samples whose group touches "
        "the official test set are excluded.",
        drawing(
            stacked(drawn, unit="share of the pairs", series_title="class", share=True),
            f"Pairs by split and class. {told}",
        )
        + table(["split", *SDO_LABELS, "pairs", "groups"], rows, "Pairs by split and class")
        + bullets(PROOFS),
    )


def _reasons(plan: Mapping) -> Part:
    reasons, flags = plan["without_partner_by_reason"], plan["flags"]
    return Part(
        "without_partner",
        "Samples without a partner, and doubtful pairs",
        f"{plan['pairs']:,} of {plan['samples']:,} samples have a series; "
        f"{plan['pairs_with_record']:,} of these have a record of 2020 as well.",
        table(
            ["reason", "samples", "what it means"],
            [[_words(name), reasons[name], REASON_MEANINGS[name]] for name in reasons],
            "Samples without a partner",
        )
        + table(
            ["flag", "pairs", "what it means"],
            [[_words(name), flags[name], FLAG_MEANINGS[name]] for name in FLAGS],
            "What is doubtful about pairs",
        ),
    )


def _words(name: str) -> str:
    return name.replace("_", " ").replace("harp", "HARP")


def _located(located: Mapping | None, plan: Mapping) -> Part:
    title = "Records of 2020 located in SWAN-SF"
    if located is None:
        text = (
            "The magnetic branch is switched off, or reads SWAN-SF itself: there are no records to "
            "locate."
        )
        return Part("located", title, text, "")
    detail = located["by_partition_and_label"]
    by_label: dict[str, Counter] = {}
    for name, found in detail.items():
        by_label.setdefault(name.rsplit(" ", 1)[1], Counter()).update(found)
    order = [label for label in (*LABELS, "unknown") if label in by_label]
    drawn = {label: {one: by_label[label][one] for one in OUTCOMES} for label in order}
    told = "; ".join(
        f"{label}: " + ", ".join(f"{one} {number:,}" for one, number in found.items())
        for label, found in drawn.items()
    )
    rows = [
        [name, *(found[one] for one in OUTCOMES)]
        for label in order
        for name, found in sorted(detail.items())
        if name.rsplit(" ", 1)[1] == label
    ]
    return Part(
        "located",
        title,
        f"{plan['records_located']:,} of {located['records']:,} records have a HARP and a time. "
        "Exact: all shared parameters are equal bit for bit. Rounded: eight of them are equal to "
        "five digits. Nearest: at most 1 % away.",
        drawing(
            stacked(drawn, unit="share of the records", series_title="outcome", share=True),
            f"Records by class and outcome. {told}",
        )
        + folded(
            "By file and class",
            table(["file and class", *OUTCOMES], rows, "Records by file, class and outcome"),
        ),
    )


def _labels(pairs: pd.DataFrame) -> Part:
    swan = [as_sdo_label(label) for label in pairs["label_swan"]]
    found = cross_table(pairs["label_sdo"].tolist(), swan)
    rows = [
        [f"{row} in SDOBenchmark", *(found.get((row, column), 0) for column in SDO_LABELS)]
        for row in SDO_LABELS
    ]
    missing = len(pairs) - sum(found.values())
    return Part(
        "labels",
        "Classes of SDOBenchmark against those of SWAN-SF",
        "The class of SWAN-SF is that of the HARP's window that ends nearest to the series. B "
        f"counts as Q, because SDOBenchmark calls it quiet. {missing:,} pairs have no such window.",
        table(
            ["class", *(f"{label} in SWAN-SF" for label in SDO_LABELS)],
            rows,
            "Pairs by their class in both",
        ),
    )


def _agreement(pairs: pd.DataFrame, windows: Windows, seed: int) -> Part:
    single, found = agreements(pairs, windows, seed)
    rows = [
        [
            one.what,
            one.pairs,
            percent(one.equal),
            one.flares,
            percent(one.equal_flares),
            _kappa(one.kappa),
        ]
        for one in found
    ]
    drawn = {one.what: 0.0 if np.isnan(one.kappa) else max(0.0, one.kappa) for one in found}
    shown = {one.what: _kappa(one.kappa) for one in found}
    told = ", ".join(f"{what} {text}" for what, text in shown.items())
    return Part(
        "agreement",
        "Whether the pairs are right: agreement over time",
        "The chart shows Cohen's kappa between the classes of SDOBenchmark and those of SWAN-SF's "
        f"windows at later times, for {single:,} pairs of a single region in a single HARP. "
        "Regions stay active for days, so kappa falls slowly. Permuted regions show the agreement "
        "by chance.",
        drawing(bars(drawn, unit="Cohen's kappa", shown=shown), f"Cohen's kappa: {told}")
        + table(
            ["windows", "pairs", "equal class", "flares", "flares with equal class", "kappa"],
            rows,
            "Agreement of the GOES classes",
        ),
    )


def _kappa(value: float) -> str:
    return "not defined" if np.isnan(value) else f"{value:.2f}"


def _windows(catalogues: Mapping[str, Mapping]) -> Part:
    drawn = {
        name: {label: counts["valid_by_label"][label] for label in LABELS}
        for name, counts in sorted(catalogues.items())
    }
    rows = [
        [
            name,
            *drawn[name].values(),
            *(
                catalogues[name][what]
                for what in ("valid", "rejected", "harps", "steps", "differing_steps")
            ),
        ]
        for name in drawn
    ]
    told = "; ".join(
        f"{name}: " + ", ".join(f"{label} {number:,}" for label, number in found.items())
        for name, found in drawn.items()
    )
    lost = [
        [reason, number, REJECTED.get(reason, "")]
        for reason, number in _rejected(catalogues).items()
    ]
    header = ["partition", *LABELS, "windows", "rejected", "HARPs", "steps", "differing steps"]
    return Part(
        "swan_sf",
        "The windows of SWAN-SF",
        "The chart shows the windows by partition and class. A step counts once, though up to 12 "
        "windows contain it. A step differs when windows have different values for it.",
        drawing(
            stacked(drawn, unit="windows", series_title="class"),
            f"Windows by partition and class. {told}",
        )
        + table(header, rows, "Windows and steps of each partition")
        + (table(["reason", "windows", "what it means"], lost, "Rejected windows") if lost else ""),
    )
