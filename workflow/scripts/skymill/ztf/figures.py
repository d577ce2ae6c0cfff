"""The section of the report about ZTF: counts of alerts and objects, and pictures of stamps."""

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
from skymill.ztf.groups import RADIUS_ARCSEC
from skymill.ztf.nights import spans
from skymill.ztf.object_hashes import order_by_hash
from skymill.ztf.pictures import PERCENTILES, sampled_objects, stretch
from skymill.ztf.plan import PUBLISHED_MATCHED, SPLITS
from skymill.ztf.report import CAUSES, COLUMNS, matched_rows
from skymill.ztf.schema import CUTOUTS
from skymill.ztf.write import open_array, require_aligned

OBJECTS, OBJECTS_OF_MANY = 10, 6
"""Number of objects shown for each label: with at most MANY labels, and with more labels."""
MANY = 6
WITH_HOLES = 6
"""Number of alerts shown that have pixels without a value."""
LARGE = 84
"""Smallest side of a stamp on the screen, in pixels. The pixels of small stamps are enlarged."""
GAP = 1
"""Pixels between the stamps of an alert, before they are enlarged."""
BARS = 36
"""Largest number of bars of nights, months or years."""
NIGHTS_LISTED = 60
"""Largest number of nights in the table. The nights that lost the most alerts are listed."""
STRETCHED = (
    "From left to right: science, template and difference. Each stamp is scaled separately, "
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
    "dropped_at_edge": "cut at the detector's edge",
    "no_data": "a stamp without any value",
    "duplicates": "repeated candid in the night",
}
"""Reasons why readable alerts of a night are not kept."""


@dataclass(frozen=True)
class Alerts:
    """Some alerts and their stamps.

    Attributes
    ----------
    facts
        The columns SHOWN_COLUMNS of each alert.
    stamps
        float32, shape (alerts, 3, crop, crop). Pixels without a value are 0.
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
        The manifests of the nights in any order, of the labels and of the plan.
    absent
        Days of a range in `ztf.nights` that have no file.
    stamps, array
        The table of the cross-match, and its stamps, float32 (alerts, 3, crop, crop).
    seed
        The seed that selects the objects to show.
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
        "The Zwicky Transient Facility (ZTF) sends an alert when an object in the sky changes. An "
        "alert has three images of the same place, called stamps: the new image (science), an "
        "older reference image (template), and their difference. Skymill matches the objects with "
        "a list of labels.",
        (
            Part(
                "flow",
                "From alerts to splits",
                "Each alert and each object is in a split, or the charts show why it was removed. "
                "All counts add up.",
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
    """Return the flow from the alerts of the nights to the splits.

    Parameters
    ----------
    by_night
        The counts of each night, see catalogue.extract_night.
    counts
        The counts of the plan, see plan.make_plan.
    """
    total = _total(by_night)
    flow = Flow("alerts")
    flow.total("alerts in the nights", total["records"])
    for reason, what in REASONS.items():
        flow.leaves(what, total[reason])
    for cause, number in _causes(by_night).items():
        flow.leaves(f"corrupt ({cause})", number)
    flow.total("alerts with stamps", total["kept"])
    flow.leaves("candid is also in an earlier night", counts["duplicate_alerts"])
    flow.leaves("object is not in the list of labels", counts["unmatched_alerts"])
    flow.total("alerts of labelled objects", counts["matched_alerts"])
    flow.leaves("another alert represents the object", _others(counts))
    flow.total("alerts selected", counts["planned_alerts"])
    by_label = counts["by_label"].values()
    unsampled = sum(found["alerts"] - found["sampled_alerts"] for found in by_label)
    flow.leaves("object is not in the sample", unsampled)
    flow.total("alerts in the sample", counts["sampled_alerts"])
    flow.parts({name: counts["by_split"][name]["sampled_alerts"] for name in SPLITS})
    return flow


def flow_of_objects(counts: dict) -> Flow:
    """Return the flow of objects to the splits. `counts` are the counts of the plan."""
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
    """Return the number of alerts of labelled objects that another alert represents."""
    return counts["matched_alerts"] - sum(one["alerts"] for one in counts["by_label"].values())


def spans_of_nights(by_night: Mapping[str, int]) -> dict[str, int]:
    """Return the numbers by night, or by month or year if there are many nights.

    Nights whose name is not a date come last. With many nights, they are counted together.
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

    The choice of objects depends only on the seed and the ids. If an object has several alerts, the
    row is the alert with the smallest candid.
    """
    rows, names, _ = sampled_objects(stamps, label)
    return np.sort(rows[order_by_hash(names, key(seed, "ztf", "contact sheet"))[:count]])


def find_holes(stamp: np.ndarray, missing: int) -> np.ndarray:
    """Return which pixels of a stamp have no value: bool, with the shape of the stamp.

    The product stores 0 for NaN, and the number of NaN pixels. In a stamp with NaN pixels, a pixel
    whose value is exactly 0 is marked as well.
    """
    return (stamp == 0) & (missing > 0)


def triplet(stamps: np.ndarray, missing: Iterable[int]) -> bytes:
    """Return the stamps of an alert side by side as a PNG. Pixels without a value are marked.

    Parameters
    ----------
    stamps
        float32, shape (3, crop, crop).
    missing
        The number of pixels without a value in each stamp.
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
    examined = total["records"] - total["unlabelled"]
    lost = sum(total[reason] for reason in WITHOUT_STAMPS) + total["corrupt"]
    share = f" ({lost / examined:.2%})" if examined else ""
    more = [
        ["stamps cut at the detector's edge and centred again", total["recovered"]],
        ["kept alerts with pixels without a value", total["alerts_with_nan"]],
        ["files in the nights that are not alert files", total["ignored_members"]],
    ]
    return Part(
        "lost",
        "Rejected alerts, and missing pixels",
        f"{lost:,} of {examined:,} alerts have no usable stamps{share}. These numbers do not "
        "include alerts that were left out because their object has no label.",
        (table(["reason", "alerts"], rows, "Alerts that are not kept, by reason") if rows else "")
        + table(["stamps, alerts or files", "number"], more, "Other counts of the nights"),
    )


def _nights(by_night: Mapping[str, dict], absent: Iterable[str]) -> Part:
    kept = {night: counts.get("kept", 0) for night, counts in by_night.items()}
    drawn = spans_of_nights(kept)
    empty = [night for night, number in kept.items() if not number]
    texts = [
        f"{what}: {found}."
        for what, found in (
            ("Nights from which no alert is kept", spans(empty)),
            ("Days of ztf.nights without a file", spans(absent)),
        )
        if found
    ]
    alt = ", ".join(f"{night} {number:,}" for night, number in drawn.items())
    body = drawing(bars(drawn, unit="alerts kept"), f"Alerts kept: {alt}") if drawn else ""
    return Part(
        "nights",
        "Nights",
        f"The chart shows the number of alerts with stamps in {counted(len(kept), 'night')}.",
        body + "".join(map(paragraph, texts)),
    )


def _classes(labels: dict) -> list[Part]:
    """Return found and published classes of the list, or nothing if the list is empty."""
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
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{part} {number:,}" for part, number in found.items())
        for name, found in rows.items()
    )
    kept = f"{counts.get('rows', 0):,} rows and labels {counts.get('kept', 0):,} objects"
    return [
        Part(
            "classes",
            "Classes in the list of labels",
            f"The list has {kept}. The axis is logarithmic.",
            drawing(grouped(rows, unit="objects", log=True), f"Objects by class. {alt}"),
        )
    ]


def _matched(counts: dict) -> Part:
    rows = matched_rows(counts)
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
    header = ["label", "matched", "as published", "requested", "in the sample", "alerts"]
    return Part(
        "matched",
        "Matched objects by label",
        "A matched object has stamps and a label. The published run read many more nights. The "
        "sample is the set of objects that the run exports.",
        table(header, rows, "Objects by label"),
    )


def _splits(counts: dict) -> Part:
    labels = list(counts["by_label"])
    by_split = {
        name: {label: counts["by_split"][name]["by_label"][label] for label in labels}
        for name in SPLITS
    }
    rows = [[name, *found.values(), sum(found.values())] for name, found in by_split.items()]
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{label} {number:,}" for label, number in found.items())
        for name, found in by_split.items()
    )
    chart = stacked(by_split, unit="share of the objects", series_title="label", share=True)
    return Part(
        "splits",
        "Splits",
        "The chart shows the objects of the sample by split and label. All alerts of an object are "
        f"in the same split, and objects within {RADIUS_ARCSEC} arcsec of each other are in the "
        "same split. So no place in the sky is in two splits.",
        drawing(chart, f"Objects by split and label. {alt}")
        + table(["split", *labels, "all"], rows, "Objects of the sample")
        + paragraph(
            f"The {counts['matched_objects']:,} matched objects are at {counts['groups']:,} "
            f"places. {counts['objects_in_larger_groups']:,} objects share their place with "
            "another object."
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
        f"All {sampled:,} objects of this label in the sample."
        if len(rows) == sampled
        else f"{len(rows)} of {sampled:,} objects of this label in the sample, chosen at random."
    )
    body = (
        _shown(_read(stamps, pixels, rows))
        if len(rows)
        else paragraph("The sample has no objects of this label.")
    )
    # Users choose the labels. Two labels may differ only in special characters.
    word = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    return Part(
        f"stamps_{number}_{word}",
        f"Stamps: {label}",
        f"{some} {STRETCHED}" if len(rows) else "No objects.",
        body,
    )


def _holes(stamps: Path, pixels: np.ndarray, seed: int) -> list[Part]:
    """Return a sheet of alerts that have pixels without a value, if any."""
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
            "Stamps with missing pixels",
            f"{len(order)} of {len(rows):,} alerts that have pixels without a value. The product "
            "stores 0 for these pixels; its columns nan_science, nan_template and nan_difference "
            f"count them. {STRETCHED}",
            _shown(alerts),
        )
    ]


def _read(stamps: Path, pixels: np.ndarray, rows: np.ndarray) -> Alerts:
    table_of_all = read_table(stamps, columns=list(SHOWN_COLUMNS))
    return Alerts(table_of_all.take(pa.array(rows)).to_pylist(), np.asarray(pixels[rows]))


def _shown(alerts: Alerts) -> str:
    """Return the sheet of some alerts with its legend."""
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
    """Return the lines of text below the stamps of an alert."""
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
        f"The {len(listed)} of {len(by_night):,} nights that lost the most alerts."
        if len(listed) < len(by_night)
        else "All nights."
    )
    return Part(
        "night_table",
        "Counts of the nights",
        f"{which} The last row is the sum of all nights.",
        table(["night", *COLUMNS.values()], rows, "Alerts of each night"),
        is_folded=True,
    )
