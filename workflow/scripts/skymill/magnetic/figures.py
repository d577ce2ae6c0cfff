"""The section of the report about the magnetic records.

Counts come from manifests and receipts. Values are read for a few records only: at most 100
originals of each class, and one record with its copies. The ids decide which records these are. At
full size, reading takes some seconds, with one row group in memory at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from skymill.engine.markdown import setting_rows
from skymill.engine.products import Product
from skymill.engine.randomness import key, smallest
from skymill.engine.tables import read_frame, read_table
from skymill.magnetic.columns import Columns
from skymill.magnetic.inputs import CUP, Input, file_name
from skymill.magnetic.missing import missing_steps
from skymill.magnetic.plan_counts import doubts
from skymill.magnetic.plan_table import CHANGED, planned_records, read_plan
from skymill.magnetic.schema import LABELS, PUBLISHED_RECORDS, STEPS, TRAIN_SPLITS
from skymill.magnetic.store import RecordStore
from skymill.report.charts import bars, grouped, line_key, lines, ranges, stacked, units
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

TITLE = "Magnetic records"

OF_A_CLASS = 100
"""Largest number of records of each class whose values are drawn."""

COLUMNS = 8
"""Number of columns whose values are drawn, raw and engineered."""

REGIONS = 400
"""Largest number of regions that are drawn. If there are more, a sample is drawn."""

AT = (0.05, 0.25, 0.5, 0.75, 0.95)

HOURS = [step / 5 for step in range(1 - STEPS, 1)]
"""Hours of the steps of a record, relative to its last step."""


@dataclass(frozen=True)
class Sources:
    """The products, receipts and settings of the section.

    Attributes
    ----------
    ingested, swan
        The products with the counts of each file, and the catalogue of SWAN-SF if the branch reads
        SWAN-SF.
    ids, plan, leaks, clean, augmented, train
        Products and receipts of the training files. `train` is the engineered split.
    ids_path, plan_path, records_path
        The tables, whose content was compared with their manifests.
    settings
        The settings of all rules of the branch, by their dotted names.
    one
        The input of the branch.
    """

    ingested: Sequence[Product]
    swan: Sequence[Product]
    ids: Product
    plan: Product
    leaks: Product
    clean: Product
    augmented: Product
    train: Product
    ids_path: Path
    plan_path: Path
    records_path: Path
    settings: Mapping
    one: Input


def draw_section(sources: Sources) -> Section:
    """Return the section of the report."""
    plan = read_plan(sources.plan_path)
    parts = [
        _flow(sources),
        _balance(sources.plan.counts),
        *_published(sources),
        _splits(plan, sources),
        _leaks(sources.leaks.document),
        *_copies(plan, sources),
        *_distributions(plan, sources),
        _missing(sources),
        _rejected(sources),
        _doubts(sources.plan.counts),
        _settings(sources.settings),
    ]
    return Section(
        "magnetic",
        TITLE,
        f"Records of {sources.one.title}. A record contains {len(sources.one.parameters)} "
        "parameters of the magnetic field of an active region on the Sun, at 60 steps of 12 "
        "minutes. The class of a record is the class of the strongest flare in the 24 hours after "
        "the record. Q (quiet) means that there was no flare of class B or above.",
        tuple(parts),
    )


def _flow(sources: Sources) -> Part:
    counts = [product.counts for product in sources.ingested]
    train = [
        product.counts for product in sources.ingested if product.path.stem in sources.one.train
    ]
    planned, ids = sources.plan.counts, sources.ids.counts
    flow = Flow("records")
    if sources.swan:
        catalogued = [product.counts for product in sources.swan]
        flow.total("windows of SWAN-SF", sum(count["windows"] for count in catalogued))
        for reason, count in _by_reason(catalogued).items():
            flow.leaves(f"rejected in the catalogue: {_words(reason)}", count)
    flow.total(f"{sources.one.item}s read", sum(count["lines"] for count in counts))
    if others := sum(count["lines"] for count in counts) - sum(count["lines"] for count in train):
        flow.leaves("in the test file", others)
        flow.total("in the training files", sum(count["lines"] for count in train))
    flow.leaves("blank", sum(count["blank"] for count in train))
    for reason, count in _by_reason(train).items():
        flow.leaves(f"rejected: {_words(reason)}", count)
    flow.total("valid", sum(count["valid"] for count in train))
    flow.leaves("identical to another record", ids["dropped_identical"])
    flow.total("kept", ids["kept"])
    flow.leaves("removed by undersampling", sum(planned["removed_by_label"].values()))
    by_split = planned["by_split"]
    methods = {
        method: sum(part["by_method"][method] for part in by_split.values())
        for method in next(iter(by_split.values()))["by_method"]
    }
    flow.total("originals in the data set", methods.pop("original"))
    for method, count in methods.items():
        flow.joins(f"synthetic: {method}", count)
    flow.total("in the data set", planned["records"])
    flow.parts({name: by_split[name]["records"] for name in TRAIN_SPLITS})
    return Part(
        "flow",
        "From lines to splits",
        "Every line of the raw files is in a split, or the chart shows where and why the line was "
        "removed. The counts come from several jobs, and they add up.",
        flow.body("Records from the raw files to the splits"),
    )


def _balance(planned: Mapping) -> Part:
    train = planned["by_split"]["train"]
    values = {
        label: {
            "clean records of all splits": planned["clean_by_label"][label],
            "train, originals": train["originals_by_label"][label],
            "train, with synthetic records": train["by_label"][label],
        }
        for label in LABELS
    }
    splits = [
        [name, *(planned["by_split"][name]["by_label"][label] for label in LABELS)]
        for name in TRAIN_SPLITS
    ]
    alt = "; ".join(
        f"class {label}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items())
        for label, counts in values.items()
    )
    return Part(
        "class_balance",
        "Class balance before and after augmentation",
        "The number of records of each class: in all splits before records were removed or added, "
        "in train without synthetic records, and in train with them. The axis is logarithmic.",
        drawing(grouped(values, unit="records", log=True), alt)
        + table(["split", *LABELS], splits, "Records of each split by class"),
    )


def _published(sources: Sources) -> list[Part]:
    """Return found and published counts of the classes. They are published for 2020 only."""
    if sources.one is not CUP:
        return []
    found = {"this run": sources.plan.counts["clean_by_label"], "published": PUBLISHED_RECORDS}
    totals = {name: max(1, sum(counts.values())) for name, counts in found.items()}
    shares = {
        label: {name: 100 * counts[label] / totals[name] for name, counts in found.items()}
        for label in LABELS
    }
    shown = {
        label: {name: f"{share:.2f}%" for name, share in one.items()}
        for label, one in shares.items()
    }
    alt = "; ".join(
        f"{label}: {one['this run']} in this run, {one['published']} published"
        for label, one in shown.items()
    )
    rows = [
        [
            label,
            found["this run"][label],
            shown[label]["this run"],
            PUBLISHED_RECORDS[label],
            shown[label]["published"],
        ]
        for label in LABELS
    ]
    header = ["class", "this run", "share", "published", "published share"]
    return [
        Part(
            "published_counts",
            "Classes compared with the published counts",
            "Clean records of the training files, by class. The published pipeline kept "
            f"{totals['published']:,} records. If your run has fewer records, compare the shares.",
            drawing(grouped(shares, unit="% of the records", shown=shown), alt)
            + table(header, rows, "Clean records by class: this run and the published run"),
        )
    ]


def _splits(plan: pd.DataFrame, sources: Sources) -> Part:
    """Return a chart of the regions: each region is a square in the block of its split."""
    planned = sources.plan.counts
    regions = pd.DataFrame(
        {
            "region": plan["region"],
            "split": plan["split"].astype(str),
            "rank": plan["label"].astype(str).map({name: n for n, name in enumerate(LABELS)}),
        }
    )
    by_region = regions.groupby("region").agg(
        splits=("split", "nunique"), split=("split", "first"), rank=("rank", "min")
    )
    torn = "in several splits"
    by_region.loc[by_region["splits"] > 1, "split"] = torn
    chosen = smallest(
        by_region.index.to_numpy(np.int64), REGIONS, key(sources.settings["seed"], "report")
    )
    shown = by_region.loc[chosen].sort_values(["rank", "region"])
    names = [*TRAIN_SPLITS, torn]
    blocks = {
        name: [LABELS[int(rank)] for rank in shown.loc[shown["split"] == name, "rank"]]
        for name in names
    }
    totals = by_region["split"].value_counts()
    ends = {name: f"{int(totals.get(name, 0)):,} regions" for name in names}
    records = {
        label: {
            name: planned["by_split"][name]["originals_by_label"][label] for name in TRAIN_SPLITS
        }
        for label in LABELS
    }
    rows = [
        [
            name,
            *(planned["by_split"][name]["regions_by_label"][label] for label in LABELS),
            planned["by_split"][name]["regions"],
        ]
        for name in TRAIN_SPLITS
    ]
    sample = ""
    if len(by_region) > len(chosen):
        sample = (
            f" The chart shows {len(chosen):,} of {len(by_region):,} regions, chosen at random."
        )
    alt = ", ".join(f"{name}: {end}" for name, end in ends.items())
    return Part(
        "splits_and_regions",
        "Splits and regions",
        "Each square is a region: a group of windows that may show the same part of the Sun. The "
        "pattern shows the strongest class among the records of the region. With the setting "
        'split.unit: region, each region is in one split, and the block "in several splits" is '
        f"empty.{sample}",
        drawing(units(blocks, LABELS, series_title="strongest class", ends=ends), alt)
        + drawing(
            stacked(records, unit="original records", series_title="split", share=True),
            "Shares of train, dev and test in the original records of each class",
        )
        + table(
            ["split", *LABELS, "all"], rows, "Regions of each split with records of each class"
        ),
    )


def _leaks(receipt: Mapping) -> Part:
    rows = [
        [
            name.replace("_", " "),
            leak["in_several_splits"],
            leak["records"],
            "none" if not leak["in_several_splits"] else "LEAK",
        ]
        for name, leak in receipt["leaks"].items()
    ]
    body = table(
        ["item", "in several splits", "affected records", "result"],
        rows,
        "Items in two splits or more",
    )
    body += paragraph(f"Proven: {receipt['proven']}")
    body += paragraph(f"Not proven: {receipt['not_proven']}")
    if overlap := receipt["overlap_with_test_file"]:
        body += paragraph(
            f"{overlap['training_records']:,} training records share a step with "
            f"{overlap['test_records']:,} records of the test file."
        )
    return Part(
        "leaks",
        "Leaks between splits, and what is proven",
        "Windows that overlap in time are almost equal. If one is in train and another in test, "
        "test scores are too high: this is a leak. Each row counts items in two splits or more.",
        body,
    )


def _copies(plan: pd.DataFrame, sources: Sources) -> list[Part]:
    """Return a record with its changed copies, or nothing if the run makes no copies."""
    everything = sources.settings["split.augment"] == "all"
    rows = planned_records(sources.plan_path, everything=everything).reset_index(drop=True)
    changed = rows[rows["method"].isin(CHANGED)]
    if changed.empty:
        return []
    label = next(label for label in LABELS if (changed["label"] == label).any())
    parents = changed.loc[changed["label"] == label, "parent"].unique().astype(np.int64)
    record = int(smallest(parents, 1, key(sources.settings["seed"], "report"))[0])
    family = changed[(changed["parent"] == record) & (changed["copy"] == 1)]
    positions, names = [], []
    original = rows.index[rows["record_id"] == record]
    if len(original):
        positions, names = [int(original[0])], ["the record"]
    positions += [int(place) for place in family.index]
    names += [f"copy by {method}" for method in family["method"]]
    order = np.argsort(positions)
    columns = _raw_columns(sources)[:4]
    values = RecordStore(sources.augmented).read(np.array(positions, np.int64)[order], columns)
    pictures = []
    for column, series in zip(columns, values, strict=True):
        is_missing = missing_steps(series, column)
        paths = {
            names[place]: [
                (hour, None if lacks else float(value))
                for hour, value, lacks in zip(HOURS, series[row], is_missing[row], strict=True)
            ]
            for row, place in enumerate(order)
        }
        shown = {name: paths[name] for name in names}
        chart = lines(shown, x="hours, 0 is the last step", title=column)
        pictures.append(drawing(chart, f"{column} over 12 hours: {', '.join(names)}"))
    return [
        Part(
            "record_and_copies",
            "A record and its synthetic copies",
            f"Record {record} of class {label}, with its copies. Warping multiplies all parameters "
            "by one smooth curve. Scaling multiplies each parameter by its own factor. With the "
            "setting split.augment: train, copies are in the same split as their record.",
            line_key(names) + side_by_side(pictures),
        )
    ]


def _distributions(plan: pd.DataFrame, sources: Sources) -> list[Part]:
    originals = plan[(plan["split"] == "train") & (plan["method"] == "original")]
    train = plan[plan["split"] == "train"]["record_id"].to_numpy(np.int64)
    chosen = {}
    for label in LABELS:
        found = originals.loc[originals["label"] == label, "record_id"].to_numpy(np.int64)
        chosen[label] = smallest(found, OF_A_CLASS, key(sources.settings["seed"], "report", label))
    clean = read_table(sources.ids_path, ["record_id"])["record_id"].to_numpy()
    raw = _raw_columns(sources)[:COLUMNS]
    engineered = sources.settings["features"]["columns"][:COLUMNS]
    drawn = ", ".join(f"{label} {len(ids):,}" for label, ids in chosen.items())
    caption = (
        "Diamond: median. Bar: middle half of the values. Line: 5 % to 95 %. The values are from "
        f"all steps of original training records, at most {OF_A_CLASS} of each class ({drawn})."
    )
    return [
        Part(
            "raw_distributions",
            "Raw parameters by class",
            caption,
            _quantile_charts(sources.clean, clean, chosen, raw),
        ),
        Part(
            "engineered_distributions",
            "Engineered columns by class",
            caption,
            _quantile_charts(sources.train, train, chosen, engineered),
        ),
    ]


def _quantile_charts(
    store: Product, ids: np.ndarray, chosen: Mapping[str, np.ndarray], columns: Sequence[str]
) -> str:
    """Return a chart of each column. `ids` are the ids of the records in the store, ascending."""
    values = {
        label: RecordStore(store).read(np.searchsorted(ids, wanted), columns)
        for label, wanted in chosen.items()
    }
    pictures = []
    for place, column in enumerate(columns):
        quantiles = {}
        for label, found in values.items():
            finite = found[place][np.isfinite(found[place])]
            at = np.quantile(finite, AT).tolist() if len(finite) else []
            quantiles[label] = dict(zip(AT, at, strict=False))
        alt = "; ".join(
            f"class {label}: median {found[0.5]:.4g}" if found else f"class {label}: no values"
            for label, found in quantiles.items()
        )
        pictures.append(drawing(ranges(quantiles, x="", title=column), f"{column}, {alt}"))
    return side_by_side(pictures)


def _raw_columns(sources: Sources) -> list[str]:
    """Return the raw parameters that the engineered columns are computed from."""
    return list(Columns(sources.settings["features"]).parameters)


def _missing(sources: Sources) -> Part:
    parameters = sources.one.parameters
    frame = read_frame(
        sources.records_path, ["split", "method", *(f"missing_{name}" for name in parameters)]
    )
    frame = frame[frame["method"] == "original"]
    shares = {
        name: float(frame[f"missing_{name}"].mean()) if len(frame) else 0.0 for name in parameters
    }
    lacking = {name: share for name, share in shares.items() if share}
    lacking = dict(sorted(lacking.items(), key=lambda entry: (-entry[1], entry[0])))
    if not lacking:
        body = paragraph("No step of any parameter is missing.")
    else:
        shown = {name: f"{share:.2%}" for name, share in lacking.items()}
        alt = ", ".join(f"{name} {share}" for name, share in shown.items())
        body = drawing(
            bars(
                {name: 100 * share for name, share in lacking.items()},
                unit="missing steps, %",
                shown=shown,
            ),
            f"Share of missing steps: {alt}",
        )
    complete = sorted(set(parameters) - set(lacking))
    if lacking and complete:
        body += paragraph(f"Parameters without missing steps: {', '.join(complete)}.")
    return Part(
        "missing_data",
        "Missing data",
        f"Share of steps without a value in {len(frame):,} original records. A step has no value "
        "if it is NaN, exactly 0 in a sum over the region, or the sentinel of XR_MAX. The setting "
        "features.fill says how missing steps are filled.",
        body,
    )


def _rejected(sources: Sources) -> Part:
    counts = {product.path.stem: product.counts for product in sources.ingested}
    item = sources.one.item
    rows = [
        [file_name(name), count["lines"], count["valid"], count["rejected"], count["blank"]]
        for name, count in counts.items()
    ]
    body = ""
    if reasons := _by_reason(counts.values()):
        by_file = {
            _words(reason): {
                file_name(name): count["rejected_by_reason"].get(reason, 0)
                for name, count in counts.items()
            }
            for reason in reasons
        }
        alt = ", ".join(f"{_words(reason)} {count:,}" for reason, count in reasons.items())
        body = drawing(
            stacked(by_file, unit=f"rejected {item}s", series_title="file"),
            f"Rejected {item}s by reason: {alt}",
        )
    else:
        body = paragraph(f"No {item} was rejected.")
    header = ["file", f"{item}s", "valid", "rejected", "blank"]
    body += table(header, rows, f"{item.capitalize()}s of each file")
    if sources.swan:
        lost = [
            [
                product.path.parent.name,
                product.counts["windows"],
                product.counts["valid"],
                product.counts["rejected"],
            ]
            for product in sources.swan
        ]
        body += table(
            ["partition", "windows", "valid", "rejected"],
            lost,
            "Windows in the catalogue of SWAN-SF, before they become records",
        )
    labels = sorted({label for count in counts.values() for label in count["rejected_by_label"]})
    if labels:
        totals = [
            [label, sum(count["rejected_by_label"].get(label, 0) for count in counts.values())]
            for label in labels
        ]
        body += folded(
            "Rejected by class", table(["class", "rejected"], totals, "Rejected by class")
        )
    return Part(
        "rejected_records",
        "Rejected records by reason",
        f"A quarantine file lists each rejected {item} with its place and the reason.",
        body,
    )


def _doubts(planned: Mapping) -> Part:
    said = doubts(planned)
    return Part(
        "what_to_doubt",
        "Warnings about the splits",
        "Read these warnings before you trust a score on these splits.",
        bullets(said) if said else paragraph("There are no warnings."),
    )


def _settings(settings: Mapping) -> Part:
    return Part(
        "settings",
        "Settings",
        "The settings of this branch in this run.",
        table(["setting", "value"], setting_rows(settings), "Settings of the magnetic branch"),
        is_folded=True,
    )


def _by_reason(counts) -> dict[str, int]:
    """Return the number of rejected items by reason, over all files, largest first."""
    reasons: dict[str, int] = {}
    for count in counts:
        for reason, number in count["rejected_by_reason"].items():
            reasons[reason] = reasons.get(reason, 0) + number
    return dict(sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0])))


def _words(reason: str) -> str:
    return reason.replace("_", " ")
