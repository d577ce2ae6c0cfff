"""One readable page: what the SDOBenchmark tree holds, what is wrong with it, and where it went."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from skymill.engine.markdown import markdown_table
from skymill.engine.products import Product
from skymill.engine.tables import read_frame
from skymill.sdo.goes import LABELS
from skymill.sdo.images import STATUSES
from skymill.sdo.names import CHANNELS, SETS, SPLITS, STEPS

EXAMPLES = 5
PUBLISHED_SAMPLES = {"train": 8336, "test": 886}
"""Samples of each set by Bolzern and Aerni (2018), who published the data set."""
PUBLISHED_REGIONS = {"train": 1091, "test": 91}

MEANINGS = {
    "duplicate_content": "files of several samples are the same byte for byte",
    "folder_without_row": "folders that the metadata does not list",
    "image_all_black": "images of nothing but zeros",
    "image_not_256_8bit": "images that are not 256 x 256 in one band of 8 bits",
    "image_superseded": "images beside a nearer one of the same channel and step",
    "image_undecodable": "files that are no JPEG, or cut short",
    "image_unparsable_name": "files in a sample whose name is not that of an image",
    "image_unplaced": "images more than 40 minutes from every step",
    "malformed_row": "rows of the metadata that cannot be read",
    "region_in_both_sets": "active regions in training and in test",
    "repeated_id": "ids that several rows of a set have",
    "row_without_folder": "rows of the metadata without a folder of images",
    "stray_file": "files outside the folders of samples",
    "unparsable_folder": "folders whose name is not that of a sample",
}
"""What each kind of problem is."""


def describe(
    *,
    samples: Path,
    images: Path,
    problems: Path,
    catalogue: Product,
    plan: Product,
    flux_scale: float,
) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    samples, images, problems
        The files of the catalogue.
    catalogue, plan
        The catalogue and the plan.
    flux_scale
        What fluxes were multiplied by before they were classed.
    """
    sample_frame, image_frame = read_frame(samples), read_frame(images)
    counts, planned = catalogue.counts, plan.document
    rounding = "taken as they are" if flux_scale == 1 else "rounded to the two digits of a class"
    parts = [
        "# SDOBenchmark: integrity",
        f"Source: {planned['source']}",
        "## Samples",
        _samples(sample_frame, counts),
        "## Images",
        _statuses(counts),
        _completeness(sample_frame, image_frame),
        "## Good images by channel and step",
        _slots(sample_frame, image_frame),
        "## Problems",
        _problems(problems),
        "## Splits",
        _splits(planned["counts"]),
        f"Fluxes were multiplied by {flux_scale:g} and {rounding}. Validation was cut from the "
        f"training set by whole active regions and has "
        f"{planned['counts']['validation_fraction_reached']:.2%} of its samples.",
    ]
    return "\n\n".join(parts) + "\n"


def _samples(samples: pd.DataFrame, counts: dict) -> str:
    rows = []
    for name in SETS:
        part = samples[samples["set"] == name]
        rows.append(
            [
                SETS[name],
                len(part),
                PUBLISHED_SAMPLES[name],
                int(part["ar_num"].nunique()),
                PUBLISHED_REGIONS[name],
                counts["malformed_rows"][name],
                int((~part["has_folder"].to_numpy(bool)).sum()),
            ]
        )
    header = [
        "set",
        "samples",
        "as published",
        "active regions",
        "as published",
        "malformed rows",
        "without folder",
    ]
    return markdown_table(header, rows)


def _statuses(counts: dict) -> str:
    found = counts["images_by_status"]
    rows = [[status.replace("_", " "), found[status]] for status in STATUSES]
    rows += [["all files", counts["images"]], ["of them flagged", counts["images_flagged"]]]
    return markdown_table(["file", "number"], rows)


def _completeness(samples: pd.DataFrame, images: pd.DataFrame) -> str:
    """Tell how many samples have all, some or none of their images."""
    good = images[images["status"] == "ok"].groupby(["set", "row"]).size().to_numpy()
    full = STEPS * len(CHANNELS)
    complete = int((good == full).sum())
    return (
        f"Of {len(samples):,} samples {complete:,} have all {full} images, "
        f"{len(good) - complete:,} some of them and {len(samples) - len(good):,} none."
    )


def _slots(samples: pd.DataFrame, images: pd.DataFrame) -> str:
    good = images[images["status"] == "ok"]
    table = np.zeros((len(CHANNELS), STEPS), dtype=np.int64)
    np.add.at(table, (good["channel"].to_numpy(), good["step"].to_numpy()), 1)
    rows = [
        [name, *map(int, line), f"{line.sum() / max(1, STEPS * len(samples)):.1%}"]
        for name, line in zip(CHANNELS, table, strict=True)
    ]
    return markdown_table(["channel", "0 h", "7 h", "10 h 30", "11 h 50", "present"], rows)


def _problems(problems: Path) -> str:
    """Count the problems by kind, and give the first examples of each."""
    counts, examples = Counter(), {}
    with open(problems, encoding="utf-8") as stream:
        for line in stream:
            problem = json.loads(line)
            counts[problem["kind"]] += 1
            shown = examples.setdefault(problem["kind"], [])
            if len(shown) < EXAMPLES:
                shown.append(problem)
    if not counts:
        return "None."
    rows = [[kind, count, MEANINGS.get(kind, "")] for kind, count in sorted(counts.items())]
    parts = [markdown_table(["kind", "number", "what"], rows)]
    for kind, shown in sorted(examples.items()):
        lines = [f"- `{problem['where']}`: {problem['detail']}" for problem in shown]
        if counts[kind] > len(shown):
            lines.append(f"- and {counts[kind] - len(shown):,} more in {problems}")
        parts.append("\n".join([f"### {kind}", "", *lines]))
    return "\n\n".join(parts)


def _splits(planned: dict) -> str:
    rows = []
    for name in SPLITS:
        split = planned["by_split"][name]
        by_label = [split["by_label"][label] for label in LABELS]
        rows.append([name, split["samples"], split["regions"], *by_label])
    return markdown_table(["split", "samples", "regions", *LABELS], rows)
