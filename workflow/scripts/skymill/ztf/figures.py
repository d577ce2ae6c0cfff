"""The section of the report about ZTF: where alerts went, and stamps that one can see."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from skymill.engine.randomness import key
from skymill.engine.tables import read_table
from skymill.engine.words import counted
from skymill.report.charts import bars, grouped, stacked
from skymill.report.flow import Flow
from skymill.report.parts import (
    Part,
    Section,
    drawing,
    image,
    paragraph,
    sheet,
    swatch,
    table,
)
from skymill.report.pictures import GREYS, MARK_COLOUR, MARKED, NOTHING, marked_png
from skymill.ztf.check import WITHOUT_STAMPS
from skymill.ztf.export import require_aligned
from skymill.ztf.groups import RADIUS_ARCSEC
from skymill.ztf.nights import spans
from skymill.ztf.object_hashes import order_by_hash
from skymill.ztf.pictures import PERCENTILES, sampled_objects, stretch
from skymill.ztf.plan import PUBLISHED_MATCHED, SPLITS
from skymill.ztf.report import CAUSES, COLUMNS
from skymill.ztf.schema import CUTOUTS
from skymill.ztf.write import open_array

OBJECTS, OBJECTS_OF_MANY = 10, 6
"""Objects that are shown of a label, and where there are more than MANY labels."""
MANY = 6
WITH_HOLES = 6
"""Alerts that are shown of those with pixels without a value."""
LARGE = 84
"""Pixels of the screen that a stamp has on a side, or a few more: the pixels of small ones are
enlarged."""
GAP = 1
"""Pixels between the stamps of an alert, before they are enlarged."""
BARS = 36
"""Nights, or spans of nights, that are drawn as bars."""
NIGHTS_LISTED = 60
"""Nights that the table has, at most: those that lost the most."""
STRETCHED = (
    "From left to right: science, template and difference. Each stamp is stretched by itself, "
    f"from its percentile {PERCENTILES[0]} (black) to its percentile {PERCENTILES[1]} (white)."
)
BANDS = {1: "g", 2: "r", 3: "i"}
"""ZTF's filters by their numbers (fid)."""

SHOWN_COLUMNS = (
    *("object_id", "alerce_class", "night", "magpsf", "fid", "isdiffpos"),
    *(f"nan_{kind}" for kind in CUTOUTS),
)
REASONS = {
    "unlabelled": "object without a label",
    "null_cutout": "a stamp is missing",
    "wrong_shape": "a stamp has a wrong shape",
    "dropped_at_edge": "cut by the detector's edge",
    "no_data": "a stamp without any value",
    "duplicates": "candid is in the night already",
}
"""Why sound alerts of a night are not kept."""


@dataclass(frozen=True)
class Alerts:
    """Some alerts with their stamps, to be shown.

    Attributes
    ----------
    facts
        A row each with SHOWN_COLUMNS.
    stamps
        float32, shape (alerts, 3, crop, crop): what has no value is 0 there.
    """

    facts: list[dict]
    stamps: np.ndarray


def draw_section(
    *,
    nights: Iterable[dict],
    labels: dict,
    plan: dict,
    absent: Iterable[str],
    stamps: Path,
    array: Path,
    seed: int,
) -> Section:
    """Return the section about ZTF.

    Parameters
    ----------
    nights, labels, plan
        The manifests of the nights, in any order, of the labels and of the plan.
    absent
        Days of a range in `ztf.nights` that there is no file of.
    stamps, array
        The cross-match: the table, and its stamps, float32 (alerts, 3, crop, crop).
    seed
        Of the choice of objects that are shown.
    """
    by_night = dict(sorted((night["night"], night["counts"]) for night in nights))
    counts = plan["counts"]
    pixels = open_array(array)
    require_aligned(stamps, pixels)
    names = list(counts["by_label"])
    shown = OBJECTS if len(names) <= MANY else OBJECTS_OF_MANY
    sheets = [
        _sheet(number, label, counts["by_label"][label], stamps, pixels, seed, shown)
        for number, label in enumerate(names, start=1)
    ]
    return Section(
        "ztf",
        "ZTF stamps",
        "An alert of the Zwicky Transient Facility has three images of one place in the sky: "
        "science, template and difference. Skymill matches the objects with a list of classes.",
        (
            Part(
                "flow",
                "From alerts to splits",
                "Each alert and each object is in a split, or the chart shows where it left. The "
                "report is only written when all counts add up.",
                flow_of_alerts(by_night, counts).body("Alerts from the nights to the splits")
                + flow_of_objects(counts).body("Objects from the nights to the splits"),
            ),
            _lost(by_night),
            _nights(by_night, absent),
            *_classes(labels),
            _matched(counts),
            _splits(counts),
            *sheets,
            *_holes(stamps, pixels, seed),
            _night_table(by_night),
        ),
    )


def flow_of_alerts(by_night: Mapping[str, dict], counts: dict) -> Flow:
    """Return what became of the alerts of the nights.

    Parameters
    ----------
    by_night
        The counts of each night, see catalogue.extract_night.
    counts
        Those of the plan, see plan.make_plan.
    """
    total = _total(by_night)
    flow = Flow("alerts")
    flow.total("alerts in the nights", total["records"])
    for reason, what in REASONS.items():
        flow.leaves(what, total[reason])
    for cause, number in _causes(by_night).items():
        flow.leaves(f"corrupt ({cause})", number)
    flow.total("alerts with stamps", total["kept"])
    flow.leaves("candid is in an earlier night", counts["duplicate_alerts"])
    flow.leaves("object is not in the list of labels", counts["unmatched_alerts"])
    flow.total("alerts of labelled objects", counts["matched_alerts"])
    flow.leaves("another alert of the object is taken", _others(counts))
    flow.total("alerts taken", counts["planned_alerts"])
    by_label = counts["by_label"].values()
    unsampled = sum(found["alerts"] - found["sampled_alerts"] for found in by_label)
    flow.leaves("object is not in the sample", unsampled)
    flow.total("alerts in the sample", counts["sampled_alerts"])
    flow.parts({name: counts["by_split"][name]["sampled_alerts"] for name in SPLITS})
    return flow


def flow_of_objects(counts: dict) -> Flow:
    """Return what became of the objects; `counts` are those of the plan."""
    by_label = counts["by_label"].values()
    flow = Flow("objects")
    flow.total("objects with stamps", counts["objects"])
    flow.leaves("not in the list of labels", counts["unmatched_objects"])
    flow.total("objects with a label", counts["matched_objects"])
    unsampled = sum(found["objects"] - found["sampled_objects"] for found in by_label)
    flow.leaves("not in the sample", unsampled)
    sampled = sum(found["sampled_objects"] for found in by_label)
    flow.total("objects in the sample", sampled)
    flow.parts({name: counts["by_split"][name]["sampled_objects"] for name in SPLITS})
    return flow


def _others(counts: dict) -> int:
    """Return the alerts of labelled objects that another alert is taken for."""
    return counts["matched_alerts"] - sum(one["alerts"] for one in counts["by_label"].values())


def spans_of_nights(by_night: Mapping[str, int]) -> dict[str, int]:
    """Return numbers by night, or by month or year where there are many nights.

    Nights with names of the user's own come last, together if there are many nights.
    """
    if len(by_night) <= BARS:
        return dict(by_night)
    for digits in (6, 4):
        found: Counter = Counter()
        for night, number in by_night.items():
            found[night[:digits] if night[:8].isdecimal() else "other names"] += number
        if len(found) <= BARS or digits == 4:
            return dict(sorted(found.items()))
    raise AssertionError


def choose_objects(stamps: Path, label: str, seed: int, count: int) -> np.ndarray:
    """Return the rows of some sampled objects of a label, ascending: int64, shape (objects,).

    Which objects these are depends on the seed and their ids alone. Of several alerts of an object
    it is the one with the smallest candid.
    """
    rows, names, _ = sampled_objects(stamps, label)
    return np.sort(rows[order_by_hash(names, key(seed, "ztf", "contact sheet"))[:count]])


def find_holes(stamp: np.ndarray, missing: int) -> np.ndarray:
    """Return which pixels of a stamp have no value: bool, of its shape.

    The survey's NaN is 0 in the product, which has the number of such pixels. A pixel that is 0
    all the same would be marked with them.
    """
    return (stamp == 0) & (missing > 0)


def triplet(stamps: np.ndarray, missing: Iterable[int]) -> bytes:
    """Return the stamps of an alert side by side as a PNG; what has no value is marked.

    Parameters
    ----------
    stamps
        float32, shape (3, crop, crop).
    missing
        How many pixels of each have no value.
    """
    drawn = []
    for stamp, number in zip(stamps, missing, strict=True):
        holes = find_holes(stamp, number)
        grey = stretch(np.where(holes, np.nan, stamp))
        levels = np.rint(grey * ((GREYS - 1) / 255)).astype(np.uint8)
        gap = np.full((stamp.shape[0], GAP), NOTHING, dtype=np.uint8)
        drawn += [gap, np.where(holes, np.uint8(MARKED), levels)]
    return marked_png(np.concatenate(drawn[1:], axis=1))


def _total(by_night: Mapping[str, dict]) -> Counter:
    total: Counter = Counter()
    for counts in by_night.values():
        total.update({name: counts.get(name, 0) for name in (*COLUMNS, *REASONS)})
    return total


def _causes(by_night: Mapping[str, dict]) -> dict[str, int]:
    found: Counter = Counter()
    for counts in by_night.values():
        found.update(counts.get("corrupt_by_cause", {}))
    return dict(sorted(found.items()))


def _lost(by_night: Mapping[str, dict]) -> Part:
    total, causes = _total(by_night), _causes(by_night)
    rows = [[what, total[reason]] for reason, what in REASONS.items()]
    rows += [[f"corrupt ({cause}): {CAUSES[cause]}", number] for cause, number in causes.items()]
    rows = [row for row in rows if row[1]]
    looked_at = total["records"] - total["unlabelled"]
    lost = sum(total[reason] for reason in WITHOUT_STAMPS) + total["corrupt"]
    share = f" ({lost / looked_at:.2%})" if looked_at else ""
    more = [
        ["stamps cut at the detector's edge, centred again", total["recovered"]],
        ["kept alerts with pixels without a value", total["alerts_with_nan"]],
        ["files in the nights that are no alert files", total["ignored_members"]],
    ]
    return Part(
        "lost",
        "Rejected alerts, and missing pixels",
        f"{lost:,} of {looked_at:,} alerts that were examined gave no stamps{share}.",
        (table(["reason", "alerts"], rows, "Alerts that are not kept, by reason") if rows else "")
        + table(["what", "number"], more, "What else was counted in the nights"),
    )


def _nights(by_night: Mapping[str, dict], absent: Iterable[str]) -> Part:
    kept = {night: counts.get("kept", 0) for night, counts in by_night.items()}
    drawn = spans_of_nights(kept)
    empty = [night for night, number in kept.items() if not number]
    texts = [
        f"{what}: {found}."
        for what, found in (
            ("Nights of which nothing is kept", spans(empty)),
            ("Days of ztf.nights that there is no file of", spans(absent)),
        )
        if found
    ]
    told = ", ".join(f"{night} {number:,}" for night, number in drawn.items())
    body = drawing(bars(drawn, unit="alerts kept"), f"Alerts kept: {told}") if drawn else ""
    return Part(
        "nights",
        "Nights",
        f"The chart shows the alerts with stamps of {counted(len(kept), 'night')}.",
        body + "".join(map(paragraph, texts)),
    )


def _classes(labels: dict) -> list[Part]:
    """Return the classes of the list beside the published ones; nothing of an empty list."""
    counts = labels["counts"]
    classes = {
        name: found
        for name, found in labels.get("classes", {}).items()
        if found["objects"] or found["published"]
    }
    if not classes:
        return []
    parts = {"this list": {name: found["objects"] for name, found in classes.items()}}
    published = {name: found["published"] or 0 for name, found in classes.items()}
    if any(published.values()):
        parts["as published by ALeRCE"] = published
    rows = {name: {part: found[name] for part, found in parts.items()} for name in classes}
    told = "; ".join(
        f"{name}: " + ", ".join(f"{part} {number:,}" for part, number in found.items())
        for name, found in rows.items()
    )
    kept = f"{counts.get('rows', 0):,} rows and gives {counts.get('kept', 0):,} objects a label"
    return [
        Part(
            "classes",
            "Classes in the list of labels",
            f"The list has {kept}. The axis is logarithmic.",
            drawing(grouped(rows, unit="objects", log=True), f"Objects by class. {told}"),
        )
    ]


def _matched(counts: dict) -> Part:
    rows = [
        [
            label,
            found["objects"],
            PUBLISHED_MATCHED.get(label, "none"),
            found.get("sample_asked", "all"),
            found["sampled_objects"],
            found["sampled_alerts"],
        ]
        for label, found in counts["by_label"].items()
    ]
    rows.append(
        [
            "all",
            counts["matched_objects"],
            sum(PUBLISHED_MATCHED.values()),
            "",
            sum(row[4] for row in rows),
            counts["sampled_alerts"],
        ]
    )
    header = ["label", "matched", "as published", "asked for", "in the sample", "alerts"]
    return Part(
        "matched",
        "Matched objects by label",
        "The table compares the objects that have stamps and a label with the published run, which "
        "read many more nights. It also shows how many objects are in the sample.",
        table(header, rows, "Objects by label"),
    )


def _splits(counts: dict) -> Part:
    labels = list(counts["by_label"])
    by_split = {
        name: {label: counts["by_split"][name]["by_label"][label] for label in labels}
        for name in SPLITS
    }
    rows = [[name, *found.values(), sum(found.values())] for name, found in by_split.items()]
    told = "; ".join(
        f"{name}: " + ", ".join(f"{label} {number:,}" for label, number in found.items())
        for name, found in by_split.items()
    )
    chart = stacked(by_split, unit="share of the objects", series_title="label", share=True)
    return Part(
        "splits",
        "Splits",
        "The chart shows the objects of the sample by split and label. A split has all alerts of "
        f"an object, and all objects within {RADIUS_ARCSEC} arcsec of each other: no place in the "
        "sky is in two splits.",
        drawing(chart, f"Objects by split and label. {told}")
        + table(["split", *labels, "all"], rows, "Objects of the sample")
        + paragraph(
            f"{counts['matched_objects']:,} objects are {counts['groups']:,} groups of objects at "
            f"one place; {counts['objects_in_larger_groups']:,} objects share their place with "
            "another name."
        ),
    )


def _sheet(
    number: int,
    label: str,
    found: dict,
    stamps: Path,
    pixels: np.ndarray,
    seed: int,
    shown: int,
) -> Part:
    """Return the contact sheet of a label."""
    rows = choose_objects(stamps, label, seed, shown)
    sampled = found["sampled_objects"]
    some = (
        f"All {sampled:,} objects of the sample."
        if len(rows) == sampled
        else f"{len(rows)} of {sampled:,} objects of the sample, chosen at random."
    )
    body = (
        _shown(_read(stamps, pixels, rows))
        if len(rows)
        else paragraph("The sample has no object of this label.")
    )
    # Labels are the user's own words, and two may differ in signs alone.
    word = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    return Part(
        f"stamps_{number}_{word}",
        f"Stamps: {label}",
        f"{some} {STRETCHED}" if len(rows) else "No object.",
        body,
    )


def _holes(stamps: Path, pixels: np.ndarray, seed: int) -> list[Part]:
    """Return alerts with pixels without a value; nothing when there are none."""
    columns = [f"nan_{kind}" for kind in CUTOUTS]
    keys = read_table(stamps, columns=["object_id", "sampled", *columns])
    missing = sum(keys[name].to_numpy().astype(np.int64) for name in columns)
    rows = np.flatnonzero((missing > 0) & keys["sampled"].to_numpy())
    if not len(rows):
        return []
    names = keys["object_id"].take(pa.array(rows)).cast(pa.string()).combine_chunks()
    order = order_by_hash(names, key(seed, "ztf", "holes"))[:WITH_HOLES]
    alerts = _read(stamps, pixels, rows[np.sort(order)])
    return [
        Part(
            "holes",
            "Stamps with pixels without a value",
            f"{len(order)} of {len(rows):,} alerts with such pixels. The product stores 0 there; "
            "its columns nan_science, nan_template and nan_difference count these pixels. "
            f"{STRETCHED}",
            _shown(alerts),
        )
    ]


def _read(stamps: Path, pixels: np.ndarray, rows: np.ndarray) -> Alerts:
    table_of_all = read_table(stamps, columns=list(SHOWN_COLUMNS))
    return Alerts(table_of_all.take(pa.array(rows)).to_pylist(), np.asarray(pixels[rows]))


def _shown(alerts: Alerts) -> str:
    """Return the sheet of some alerts, and its legend."""
    crop = alerts.stamps.shape[-1]
    scale = max(1, -(-LARGE // crop))
    width = scale * (len(CUTOUTS) * crop + (len(CUTOUTS) - 1) * GAP)
    items = []
    for facts, stamps in zip(alerts.facts, alerts.stamps, strict=True):
        missing = [facts[f"nan_{kind}"] for kind in CUTOUTS]
        lines = _lines(facts, sum(missing))
        alt = f"{', '.join(CUTOUTS)} stamp of {', '.join(lines)}"
        items.append((image(triplet(stamps, missing), alt, width=width, pixelated=True), lines))
    has_holes = any(facts[f"nan_{kind}"] for facts in alerts.facts for kind in CUTOUTS)
    return sheet(items) + (swatch(MARK_COLOUR, "pixels without a value") if has_holes else "")


def _lines(facts: dict, missing: int) -> list[str]:
    """Return what is said of an alert below its stamps."""
    band = BANDS.get(facts["fid"], f"filter {facts['fid']}")
    lines = [
        str(facts["object_id"]),
        f"class {facts['alerce_class']}",
        f"night {facts['night']}",
        f"magnitude {facts['magpsf']:.2f} in {band}",
    ]
    if facts["isdiffpos"] <= 0:
        lines.append("difference: template - science")
    if missing:
        lines.append(f"{missing:,} pixels without a value")
    return lines


def _night_table(by_night: Mapping[str, dict]) -> Part:
    lost = ("null_cutout", "wrong_shape", "dropped_at_edge", "no_data", "corrupt")

    def rank(night: str) -> tuple[int, str]:
        return -sum(by_night[night].get(name, 0) for name in lost), night

    listed = sorted(sorted(by_night, key=rank)[:NIGHTS_LISTED])
    rows = [[night, *(by_night[night].get(name, 0) for name in COLUMNS)] for night in listed]
    total = _total(by_night)
    rows.append(["all nights", *(total[name] for name in COLUMNS)])
    which = (
        f"The {len(listed)} nights of {len(by_night):,} that lost the most."
        if len(listed) < len(by_night)
        else "Every night."
    )
    return Part(
        "night_table",
        "Counts of the nights",
        f"{which} The last row is the sum of all nights.",
        table(["night", *COLUMNS.values()], rows, "Alerts of each night"),
        is_folded=True,
    )
