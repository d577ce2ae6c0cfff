"""The section of the report about the aligned pairs and about SWAN-SF, the source of the series.

Counts come from documents and from the table of pairs. Values and pixels of only one pair are read.
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
"""Outcomes of locating a record of 2020."""
REJECTED = {
    "columns": "a column is missing, or there are too many columns",
    "name": "the name of the file is not the name of a window",
    "repeated": "another window has the same HARP and start",
    "rows": "the number of rows is not 60",
    "size": "the file is too large",
    "times": "the steps are not 12 minutes apart",
    "values": "a value is not a number",
}
"""Reasons why windows of SWAN-SF are rejected."""
PROOFS = (
    "Proven: no group of regions is in two splits. A group is a set of regions linked by HARPs and "
    "NOAA numbers (in JSOC's table or in the steps of SWAN-SF) or by equal steps of two HARPs.",
    f"Proven: a series ends at least {MARGIN // 60} minutes before its sample, so it contains no "
    "data from the time of the forecast.",
    "Not true: that these splits agree with the splits of the magnetic records or with the "
    "validation split of SDOBenchmark. All of these splits are drawn independently. Never train on "
    "one data set and test on another.",
)


@dataclass(frozen=True)
class Pair:
    """A pair to show.

    Attributes
    ----------
    facts
        Its row of the table of pairs.
    series
        float64, shape (60, 24): missing steps are NaN.
    sample
        The images; None without tensors.
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
    shown: Pair,
    seed: int,
) -> Section:
    """Return the section about the aligned pairs.

    Parameters
    ----------
    pairs
        The table of pairs, see plan.PAIRS_SCHEMA.
    plan
        The counts of the table of pairs.
    catalogues
        The counts of each partition of SWAN-SF that was read, by its name.
    windows
        The windows of SWAN-SF.
    located
        Counts of the records of 2020; None if there are no records to locate.
    shown
        The pair whose curves and images are drawn.
    seed
        The seed of the permutation of regions.
    """
    flows = flow_of_samples(plan).body("From image samples to the splits of the pairs")
    if located is not None:
        flows += flow_of_records(located, plan).body("Records of 2020, located in SWAN-SF")
    flows += flow_of_windows(catalogues).body("Windows of SWAN-SF")
    return Section(
        "aligned",
        TITLE,
        f"A pair joins an image sample of SDOBenchmark with a magnetic series of SWAN-SF. The "
        f"series has {STEPS} steps of 12 minutes of the same active region, and it ends shortly "
        "before the sample ends.",
        (
            Part(
                "flow",
                "From samples to pairs",
                "Each image sample is in a split, or the first chart shows why the sample was "
                "removed. The other charts count records of 2020 and windows of SWAN-SF. All "
                "counts add up.",
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
    """Return the flow from image samples to splits. `plan` are the counts of the pairs."""
    flow = Flow("samples")
    flow.total("image samples", plan["samples"])
    for reason, number in plan["without_partner_by_reason"].items():
        flow.leaves(f"no partner: {_words(reason)}", number)
    flow.total("pairs", plan["pairs"])
    flow.leaves("excluded: group is also in test", plan["by_split"][EXCLUDED]["pairs"])
    kept = {name: plan["by_split"][name]["pairs"] for name in SPLITS}
    flow.total("pairs in splits", sum(kept.values()))
    flow.parts(kept)
    return flow


def flow_of_records(located: Mapping, plan: Mapping) -> Flow:
    """Return the flow from the records of 2020 to the located records; see draw_section."""
    outcomes = located["outcomes"]
    flow = Flow("records")
    flow.total("records of 2020", located["records"])
    for status in STATUSES[1:]:
        flow.leaves(status, outcomes[status])
    flow.total("located in SWAN-SF", plan["records_located"])
    flow.parts({tier: outcomes[tier] for tier in TIERS})
    return flow


def flow_of_windows(catalogues: Mapping[str, Mapping]) -> Flow:
    """Return the flow from the windows that were read to the windows used; see draw_section."""
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


def _pair(shown: Pair) -> Part:
    title = "A pair: magnetic series and images"
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
        paragraph("The run wrote no tensors (sdo.tensors: false), so there are no images to show.")
        if shown.sample is None
        else sample_table(
            shown.sample,
            SHOWN_CHANNELS,
            f"Images of {facts['sample_id']}: hours after the start of the window",
        )
    )
    return Part(
        "pair",
        title,
        f"Sample {facts['sample_id']} ({facts['split']}) and HARP {facts['harp']}. The class is "
        f"{facts['goes_sdo']} in SDOBenchmark and {swan} in SWAN-SF. The series has "
        f"{facts['steps_present']} of {STEPS} steps and ends {facts['offset_min']:.0f} minutes "
        "before the sample.",
        side_by_side(pictures) + images,
    )


def _scaled(name: str, values: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the values and a title; a large power of ten moves from the values to the title."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    power = int(np.floor(np.log10(largest))) if largest else 0
    return (values / 10.0**power, f"{name}, in 1e{power}") if power > 3 else (values, name)


def _spread(values: np.ndarray) -> str:
    seen = values[np.isfinite(values)]
    if not len(seen):
        return "no value"
    return f"{len(seen)} values from {seen.min():.4g} to {seen.max():.4g}, last {seen[-1]:.4g}"


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
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{label} {number:,}" for label, number in found.items())
        for name, found in drawn.items()
    )
    return Part(
        "splits",
        "Splits, and what is proven about leaks",
        "The chart shows the pairs of each split by class. Training samples whose group is also in "
        "the official test set are excluded.",
        drawing(
            stacked(drawn, unit="share of the pairs", series_title="class", share=True),
            f"Pairs by split and class. {alt}",
        )
        + table(["split", *SDO_LABELS, "pairs", "groups"], rows, "Pairs by split and class")
        + bullets(PROOFS),
    )


def _reasons(plan: Mapping) -> Part:
    reasons, flags = plan["without_partner_by_reason"], plan["flags"]
    return Part(
        "without_partner",
        "Samples without a partner, and doubtful pairs",
        f"{plan['pairs']:,} of {plan['samples']:,} samples have a partner, that is a magnetic "
        f"series. {plan['pairs_with_record']:,} of these pairs also have a record of 2020.",
        table(
            ["reason", "samples", "meaning"],
            [[_words(name), reasons[name], REASON_MEANINGS[name]] for name in reasons],
            "Samples without a partner",
        )
        + table(
            ["flag", "pairs", "meaning"],
            [[_words(name), flags[name], FLAG_MEANINGS[name]] for name in FLAGS],
            "Doubtful pairs",
        ),
    )


def _words(name: str) -> str:
    return name.replace("_", " ").replace("harp", "HARP")


def _located(located: Mapping | None, plan: Mapping) -> Part:
    title = "Records of 2020 located in SWAN-SF"
    if located is None:
        text = (
            "There are no records to locate: the magnetic branch is switched off, or it reads "
            "SWAN-SF."
        )
        return Part("located", title, text, "")
    detail = located["by_partition_and_label"]
    by_label: dict[str, Counter] = {}
    for name, found in detail.items():
        by_label.setdefault(name.rsplit(" ", 1)[1], Counter()).update(found)
    order = [label for label in (*LABELS, "unknown") if label in by_label]
    drawn = {label: {one: by_label[label][one] for one in OUTCOMES} for label in order}
    alt = "; ".join(
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
        f"Skymill found {plan['records_located']:,} of {located['records']:,} records in SWAN-SF, "
        "so these records have a HARP and a time. Exact: all shared parameters are equal bit for "
        "bit. Rounded: eight of the parameters are equal to five digits. Nearest: the nearest "
        "window is at most 1 % away. Ambiguous: the steps vote for several places. Absent: too "
        "few steps were found.",
        drawing(
            stacked(drawn, unit="share of the records", series_title="outcome", share=True),
            f"Records by class and outcome. {alt}",
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
        "Classes in SDOBenchmark and in SWAN-SF",
        "The class of SWAN-SF comes from the window of the HARP that ends nearest to the end of "
        "the series. B counts as Q, because SDOBenchmark calls B quiet. "
        f"{missing:,} pairs have no window of SWAN-SF.",
        table(
            ["class", *(f"{label} in SWAN-SF" for label in SDO_LABELS)],
            rows,
            "Pairs by their classes in both data sets",
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
    alt = ", ".join(f"{what} {text}" for what, text in shown.items())
    return Part(
        "agreement",
        "Are the pairs right? Agreement over time",
        "The chart shows Cohen's kappa between the classes of SDOBenchmark and the classes of "
        f"later windows of SWAN-SF, for {single:,} pairs of a single region in a single HARP. If "
        "the pairs are right, kappa is largest for windows at the same time. Kappa falls slowly "
        "with time, because regions stay active for days. Permuted regions show the agreement by "
        "chance.",
        drawing(bars(drawn, unit="Cohen's kappa", shown=shown), f"Cohen's kappa: {alt}")
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
    alt = "; ".join(
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
        "Windows of SWAN-SF",
        "The chart shows the windows by partition and class. Up to 12 windows contain the same "
        "step, but the step counts once. A step differs if these windows have different values "
        "for the step.",
        drawing(
            stacked(drawn, unit="windows", series_title="class"),
            f"Windows by partition and class. {alt}",
        )
        + table(header, rows, "Windows and steps of each partition")
        + (table(["reason", "windows", "meaning"], lost, "Rejected windows") if lost else ""),
    )
