"""The page diagnostics.md: lines that were read, kept and rejected, and the splits of the records.

The page answers two old questions about this archive: which records have the wrong number of steps,
and how the damaged records are distributed over the classes.
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from skymill.engine.markdown import markdown_table, settings_table
from skymill.engine.products import Product
from skymill.engine.tables import read_table
from skymill.magnetic.inputs import CUP, Input, file_name
from skymill.magnetic.plan_counts import doubts
from skymill.magnetic.schema import LABELS, TEST_PARTITION, TRAIN_SPLITS

SHOWN = 20
UNREADABLE = "not readable"
"""Class of a training line whose label cannot be read."""


def diagnose(
    *,
    catalogues: list[Path],
    quarantines: list[Path],
    ids: list[Product],
    regions: Product,
    plan: Product,
    leaks: Product,
    features: list[Product],
    settings: dict,
    one: Input = CUP,
    swan: list[Product] = (),
) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    catalogues, quarantines
        Parquet catalogue and JSON Lines quarantine of each raw file.
    ids, regions, plan, leaks, features
        Products and receipts.
    settings
        The settings of all rules of the branch, by their dotted names.
    one
        The input of the branch.
    swan
        The steps of SWAN-SF's catalogue of each partition, if the branch reads SWAN-SF.
    """
    tables = {path.stem: read_table(path) for path in catalogues}
    planned = plan.counts
    parts = [
        "# Magnetic records: diagnostics",
        f"Source: {plan.source}. Input: {one.title}.",
        f"## {one.item.capitalize()}s read",
        _lines_read(tables, one),
        "## Rejected records by class",
        _rejected_by_class(tables, one),
        *(
            ["## Windows rejected in the catalogue of SWAN-SF", _lost_in_catalogue(swan)]
            if swan
            else [
                "## Records with the wrong number of steps",
                _wrong_steps(tables, quarantines),
            ]
        ),
        "## Ids and regions",
        _ids_and_regions(ids, regions),
        "## Splits",
        _splits(planned),
        "## Original windows and regions of each class",
        _windows_and_regions(planned),
        "## Warnings about the splits",
        _doubts(planned),
        "## Leaks between splits, and overlap with the test file",
        _leaks(leaks.document),
        "## Records in which a parameter has no value",
        _never_measured(features),
        "## Settings",
        settings_table(settings),
    ]
    return "\n\n".join(parts) + "\n"


def _strings(table: pa.Table, name: str) -> list:
    return table[name].cast(pa.string()).to_pylist()


def _lines_read(tables: dict[str, pa.Table], one: Input) -> str:
    rows = []
    for partition, table in tables.items():
        counts = Counter()
        for status, lines in zip(
            _strings(table, "status"), table["lines"].to_pylist(), strict=True
        ):
            counts[status] += lines
        shown = (counts[status] for status in ("valid", "rejected", "blank"))
        rows.append([partition, counts.total(), *shown])
    absent = ", ".join(file_name(name) for name in one.files if name not in tables)
    note = f"\n\nNot read: {absent}." if absent else ""
    return markdown_table(["file", f"{one.item}s", "valid", "rejected", "blank"], rows) + note


def _lost_in_catalogue(swan: list[Product]) -> str:
    """Return the windows that the catalogue rejected in each partition."""
    names = ("windows", "valid", "rejected", "steps", "differing_steps", "infinite_values")
    rows = []
    for product in swan:
        counts = product.counts
        reasons = counts["rejected_by_reason"]
        shown = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
        rows.append([product.path.parent.name, *(counts[name] for name in names), shown or "none"])
    header = ["partition", *(name.replace("_", " ") for name in names), "reasons"]
    return markdown_table(header, rows)


def _rejected_by_class(tables: dict[str, pa.Table], one: Input) -> str:
    """Return the rejected lines of all files by reason and class, with the valid lines."""
    rejected, valid = Counter(), Counter()
    for partition, table in tables.items():
        unlabelled = TEST_PARTITION if partition == TEST_PARTITION else UNREADABLE
        columns = (_strings(table, name) for name in ("status", "label", "reason"))
        for status, label, reason, lines in zip(*columns, table["lines"].to_pylist(), strict=True):
            if status == "rejected":
                rejected[reason, label or unlabelled] += lines
            elif status == "valid":
                valid[label or unlabelled] += lines
    classes = [*LABELS, UNREADABLE, *([one.test] if one.test else [])]
    reasons = sorted({reason for reason, _ in rejected})
    rows = [[reason, *(rejected[reason, label] for label in classes)] for reason in reasons]
    totals = [sum(rejected[reason, label] for reason in reasons) for label in classes]
    rows.append(["all rejected", *totals])
    rows.append(["valid", *(valid[label] for label in classes)])
    shares = [
        f"{total / (total + valid[label]):.2%}" if total + valid[label] else "-"
        for total, label in zip(totals, classes, strict=True)
    ]
    rows.append(["share rejected", *shares])
    header = ["reason", *LABELS, UNREADABLE, "test file, unlabelled"]
    return markdown_table(header[: 1 + len(classes)], rows)


def _wrong_steps(tables: dict[str, pa.Table], quarantines: list[Path]) -> str:
    rows, count = [], 0
    for path in quarantines:
        table = tables[path.stem]
        lines = table["line"].to_numpy()
        with open(path, encoding="utf-8") as stream:
            for text in stream:
                entry = json.loads(text)
                if entry["reason"] == "wrong_steps":
                    count += entry["lines"]
                    if len(rows) < SHOWN:
                        place = int(np.searchsorted(lines, entry["line"]))
                        record = table.slice(place, 1).to_pylist()[0]
                        known = [str(record["source_id"]), record["label"] or "-"]
                        rows.append([entry["file"], entry["line"], *known, entry["detail"]])
    if not count:
        return "None."
    note = f"\n\nThe quarantine files list {count - len(rows):,} more." if count > len(rows) else ""
    return markdown_table(["file", "line", "id", "class", "problem"], rows) + note


def _ids_and_regions(ids: list[Product], regions: Product) -> str:
    names = {
        "kept": "records kept",
        "collisions": "records whose id was already taken",
        "collisions_with_identical_content": "of these: identical content",
        "collisions_with_identical_content_and_other_label": (
            "of these: identical content and another class"
        ),
        "renumbered": "records with a new id",
        "dropped_identical": "records dropped as identical",
    }
    counts = [product.counts for product in ids]
    rows = [[text, *(count[name] for count in counts)] for name, text in names.items()]
    found = regions.counts
    # A manifest's keys are in the order of text.
    by_size = sorted(found["regions_by_size"].items(), key=lambda entry: _smallest(entry[0]))
    sizes = ", ".join(f"{size}: {count:,}" for size, count in by_size if count)
    header = ["", "training files", "test file"]
    return (
        markdown_table(header[: 1 + len(ids)], rows)
        + _contradictions(counts)
        + f"\n\nThe {found['records']:,} training records are in {found['regions']:,} regions. The "
        f"largest region has {found['largest']:,} records, the median is "
        f"{found['median_size']:g} records. Regions by number of records: {sizes}."
    )


def _contradictions(counts: list[dict]) -> str:
    """Return the records that have the same values but different classes."""
    records = sum(count["contradictory"]["records"] for count in counts)
    if not records:
        return "\n\nNo two records have the same values and different classes."
    header = ["file", "line", "id", "class"]
    rows = [
        [file_name(each["partition"]), each["line"], str(each["source_id"]), each["label"]]
        for count in counts
        for each in count["contradictory"]["examples"]
    ]
    return (
        f"\n\n{records:,} records have the same values as another record but a different class, "
        "for example:"
        f"\n\n{markdown_table(header, rows)}"
    )


def _smallest(sizes: str) -> float:
    """Return the smallest size of a range such as `5-9`."""
    return float(sizes.partition("-")[0])


def _splits(planned: dict) -> str:
    rows = []
    for name in TRAIN_SPLITS:
        split = planned["by_split"][name]
        rows.append(
            [
                name,
                split["records"],
                *_in_class_order(split["by_label"]),
                split["regions"],
                f"{planned['fractions_reached'][name]:.4f}",
            ]
        )
    rows.append(["removed by undersampling", *_with_total(planned["removed_by_label"]), "", ""])
    rows.append(["clean records", *_with_total(planned["clean_by_label"]), "", ""])
    return markdown_table(["split", "records", *LABELS, "regions", "fraction reached"], rows)


def _windows_and_regions(planned: dict) -> str:
    """Return the windows and regions of each class in each split, and in each fold, if any."""
    parts = [(name, planned["by_split"][name]) for name in TRAIN_SPLITS]
    folds = planned.get("by_fold", [])
    parts += [(f"fold {number}", part) for number, part in enumerate(folds)]
    rows = [
        [
            name,
            *(
                count
                for label in LABELS
                for count in (part["originals_by_label"][label], part["regions_by_label"][label])
            ),
        ]
        for name, part in parts
    ]
    header = [f"{label} {what}" for label in LABELS for what in ("windows", "regions")]
    return (
        markdown_table(["", *header], rows)
        + "\n\nA region is counted in each class of its windows. Windows of one region are "
        "similar. So the number of regions, not of windows, says how far you can trust a score."
        + " The counts of folds include records that are later removed from train."
        * bool(folds)
    )


def _doubts(planned: dict) -> str:
    """Return the warnings of the job that made the plan."""
    return "\n".join(f"- {doubt}" for doubt in doubts(planned)) or "None."


def _with_total(by_label: dict) -> list[int]:
    return [sum(by_label.values()), *_in_class_order(by_label)]


def _in_class_order(by_label: dict) -> list[int]:
    return [by_label[label] for label in LABELS]


def _leaks(receipt: dict) -> str:
    rows = [
        [name, leak["in_several_splits"], leak["records"]]
        for name, leak in receipt["leaks"].items()
    ]
    said = f"{markdown_table(['item', 'in several splits', 'affected records'], rows)}\n\n"
    said += f"Proven: {receipt['proven']}\n\nNot proven: {receipt['not_proven']}\n\n"
    overlap = receipt["overlap_with_test_file"]
    if overlap is None:
        return f"{said}There is no test file."
    by_split = ", ".join(f"{name} {overlap['by_split'][name]:,}" for name in TRAIN_SPLITS)
    return (
        f"{said}{overlap['training_records']:,} training records share a step with "
        f"{overlap['test_records']:,} records of the test file ({by_split})."
    )


def _never_measured(features: list[Product]) -> str:
    counts = {product.path.name: product.counts for product in features}
    parameters = next(iter(counts.values()))["records_never_measured"]
    rows = [
        [split, count["records"], *(count["records_never_measured"][name] for name in parameters)]
        for split, count in counts.items()
    ]
    return markdown_table(["split", "records", *parameters], rows)
