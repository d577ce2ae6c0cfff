"""The page integrity.md: contents, problems and splits of the SDOBenchmark tree."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from skymill.engine.markdown import escaped, markdown_table
from skymill.engine.products import Product
from skymill.engine.tables import read_frame
from skymill.sdo.check import describe_shift
from skymill.sdo.goes import LABELS
from skymill.sdo.images import STATUSES
from skymill.sdo.names import CHANNELS, SETS, SPLITS, STEPS
from skymill.sdo.plan import CLEANED
from skymill.solar_regions import TABLE_NAME

EXAMPLES = 5
PUBLISHED_SAMPLES = {"train": 8336, "test": 886}
"""Samples of each set as published by Bolzern and Aerni (2018)."""
PUBLISHED_REGIONS = {"train": 1091, "test": 91}

MEANINGS = {
    "duplicate_content": "files of several samples with identical bytes",
    "folder_without_row": "folders that the metadata does not list",
    "image_all_black": "images with only zeros",
    "image_degenerate": "images with a single grey value, or with rows of a single value (AIA)",
    "image_not_256_8bit": "images that are not 256 x 256 pixels with one band of 8 bits",
    "image_superseded": "images that are not the nearest of their channel and step",
    "image_undecodable": "files that are not JPEG, or are cut short",
    "image_unparsable_name": "files of a sample whose name is not the name of an image",
    "image_unplaced": "images more than 2 s from every step",
    "malformed_row": "rows of the metadata that cannot be read",
    "region_in_both_sets": "active regions in the training set and in the test set",
    "repeated_id": "ids of several rows of a set",
    "row_without_folder": "rows of the metadata without a folder of images",
    "stray_file": "files outside the folders of samples",
    "unparsable_folder": "folders whose name is not the name of a sample",
}
"""Descriptions of the kinds of problems."""


def describe(
    *,
    samples: Path,
    images: Path,
    problems: Path,
    located: Product,
    catalogue: Product,
    plan: Product,
    flux_scale: float,
    split: str,
) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    samples, images, problems
        The files of the catalogue.
    located, catalogue, plan
        The receipt of the tree, the catalogue and the plan.
    flux_scale
        The factor that multiplies fluxes before they are classed.
    split
        The setting `sdo.split`: whether training samples that share a group with the test set stay
        in training.
    """
    sample_frame, image_frame = read_frame(samples), read_frame(images)
    counts, planned = catalogue.counts, plan.document
    rounding = "not rounded" if flux_scale == 1 else "rounded to the two digits of a class"
    parts = [
        "# SDOBenchmark: integrity",
        f"Source: {planned['source']}",
        "## Samples",
        _samples(sample_frame, counts),
        "## Images",
        _statuses(counts),
        _completeness(sample_frame, image_frame),
        *_shifts(counts),
        "## Slots with a good image",
        "A sample has 40 slots: 4 time steps of 10 channels. A slot is filled if it has a good "
        "image.",
        _filled(counts),
        _slots(sample_frame, image_frame),
        "## Outside the solar disk",
        _off_disk(counts),
        "## Problems",
        _problems(problems),
        "## Not read",
        _not_read(located),
        "## Splits",
        _splits(planned["counts"]),
        f"The fluxes were multiplied by {flux_scale:g} and {rounding}. The validation split "
        "consists of whole groups of active regions from the training set. It has "
        f"{planned['counts']['validation_fraction_reached']:.2%} of the training samples that are "
        "not excluded.",
        "## Leaks between training and test",
        _shared(planned["counts"], split),
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
    rows += [["all files", counts["images"]], ["flagged as noisy", counts["images_flagged"]]]
    return markdown_table(["file", "number"], rows)


def _completeness(samples: pd.DataFrame, images: pd.DataFrame) -> str:
    """Return how many samples have all, some or none of their images."""
    good = images[images["status"] == "ok"].groupby(["set", "row"]).size().to_numpy()
    full = STEPS * len(CHANNELS)
    complete = int((good == full).sum())
    return (
        f"Of {len(samples):,} samples, {complete:,} have all {full} images, "
        f"{len(good) - complete:,} have some, and {len(samples) - len(good):,} have none."
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


def _shifts(counts: dict) -> list[str]:
    """Return the most frequent shift of the images that are not at a time step."""
    return [
        f"{found['unplaced']:,} images of the {name} set are not at a time step. Of these images, "
        f"{found['images']:,} are {describe_shift(found['seconds'])} a step."
        for name, found in counts["images_shifted"].items()
    ]


def _filled(counts: dict) -> str:
    """Return the number of filled slots of each set and each year."""
    slots = counts["slots"]
    total = [sum(numbers) for numbers in zip(*slots["by_set"].values(), strict=True)]
    lines = {"all": total, **slots["by_set"], **slots["by_year"]}
    rows = [
        [where, filled, of, f"{filled / max(1, of):.1%}"] for where, (filled, of) in lines.items()
    ]
    return markdown_table(["samples", "filled slots", "slots", "share"], rows)


def _off_disk(counts: dict) -> str:
    """Return how much of HMI's images is outside the solar disk, where they are constant."""
    rows = [
        [
            name,
            part["images"],
            part["images_with_some"],
            part["images_by_half"],
            f"{part['share']:.2%}",
        ]
        for name, part in counts["off_disk"].items()
    ]
    header = [
        "channel",
        "good images",
        "images with such pixels",
        "images with more than half",
        "share of all pixels",
    ]
    return (
        "Outside the solar disk, HMI's pixels are constant (magnetogram 128, continuum 0). Images "
        "with such pixels count as good.\n\n" + markdown_table(header, rows)
    )


def _not_read(located: Product) -> str:
    """Return the files of the zip that were not unpacked, and the roots that were not used."""
    lines = [
        f"- {escaped(reason.replace('_', ' '))}: {', '.join(map(escaped, names[:EXAMPLES]))}"
        f"{', ...' if len(names) > EXAMPLES else ''}"
        for reason, names in located.document["ignored"].items()
    ]
    if lines:
        number = located.counts["members_ignored"]
        lines.insert(
            0, f"{number:,} of {located.counts['members']:,} files of the zip were not unpacked:\n"
        )
    for root, rows in located.document["roots"].items():
        if root != located.document["root"]:
            size = "its tables cannot be read" if rows is None else f"{rows:,} rows"
            lines.append(f"- another root, {escaped(root)}: {size}")
    return "\n".join(lines) or "All files were read."


def _problems(problems: Path) -> str:
    """Return the number of problems of each kind, with the first examples."""
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
    parts = [markdown_table(["kind", "number", "description"], rows)]
    for kind, shown in sorted(examples.items()):
        lines = [
            f"- {escaped(problem['where'])}: {escaped(problem['detail'])}" for problem in shown
        ]
        if counts[kind] > len(shown):
            lines.append(f"- and {counts[kind] - len(shown):,} more in {escaped(problems)}")
        parts.append("\n".join([f"### {kind}", "", *lines]))
    return "\n\n".join(parts)


def _splits(planned: dict) -> str:
    rows = []
    for name in SPLITS:
        split = planned["by_split"][name]
        by_label = [split["by_label"][label] for label in LABELS]
        rows.append([name, split["samples"], split["regions"], split["groups"], *by_label])
    return markdown_table(["split", "samples", "regions", "groups", *LABELS], rows)


def _shared(planned: dict, split: str) -> str:
    """Return what training and test share, what is proven about leaks, and what is not proven."""
    table = markdown_table(["samples", "number"], shared_rows(planned))
    proven, not_proven = proofs(split)
    return (
        f"The table counts samples of the official sets, according to {TABLE_NAME}. A group is a "
        f"set of regions that HARPs link.\n\n{table}\n\n{proven}\n\n{not_proven}"
    )


def shared_rows(planned: dict) -> list[list]:
    """Return rows of a description and a number: what official training and test set share."""
    shared = planned["shared_with_test"]
    return [
        ["training samples in a group that has test samples", shared["training_samples_by_group"]],
        ["training samples in a HARP that has test samples", shared["training_samples_by_harp"]],
        ["test samples in a HARP that has training samples", shared["test_samples_by_harp"]],
        [
            "test samples whose window overlaps the window of such a training sample",
            shared["test_samples_by_harp_and_time"],
        ],
        ["samples whose region is not in the table of HARPs", shared["samples_without_harp"]],
    ]


def proofs(split: str) -> tuple[str, str]:
    """Return what is proven about the splits, and what is never proven."""
    if split == CLEANED:
        proven = (
            "Proven: no two of train, validation and test share a NOAA number, or regions that "
            f"HARPs link according to {TABLE_NAME}. Training samples that share them with test are "
            "excluded."
        )
    else:
        proven = (
            "Proven: train, validation and test share no NOAA number, and train and validation "
            f"share no regions that HARPs link according to {TABLE_NAME}. Not proven: that "
            "training and test show different patches of the Sun. This is untrue if training "
            "samples are in a group that has test samples. Set `sdo.split: cleaned` to exclude "
            "these training samples."
        )
    return proven, (
        "Never proven: that images do not show parts of neighbouring patches, that the table is "
        "complete, and that no region returns with another number after a rotation of the Sun."
    )
