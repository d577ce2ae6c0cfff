"""The section of the report about SDOBenchmark.

Counts come from documents. The table of images says which slots are filled. Pixels of only one
sample are read, from the tensors.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skymill.engine.randomness import key, keyed_hash
from skymill.engine.words import counted
from skymill.report.charts import bars, grouped, stacked
from skymill.report.flow import Flow
from skymill.report.parts import (
    Part,
    Section,
    absent,
    bullets,
    drawing,
    image,
    note,
    paragraph,
    picture_table,
    table,
)
from skymill.report.pictures import grey_png, halved
from skymill.sdo.goes import LABELS, QUIET
from skymill.sdo.images import STATUSES, WIDTH
from skymill.sdo.index import ends_at_peak, overlaps
from skymill.sdo.names import CHANNELS, SETS, SPLITS, STEPS
from skymill.sdo.plan import CLEANED
from skymill.sdo.report import (
    EXAMPLES,
    MEANINGS,
    PUBLISHED_REGIONS,
    PUBLISHED_SAMPLES,
    proofs,
    shared_rows,
)
from skymill.solar_regions import TABLE_NAME

TITLE = "SDO images"
HOURS = ("0 h", "7 h", "10 h 30", "11 h 50")
"""Times of a sample's images, after the start of its window."""
SLOTS = STEPS * len(CHANNELS)
SHOWN_WIDTH = WIDTH // 2
"""Width of an image on the page, in pixels."""
PUBLISHED_CLASSES = {"X": 35, "M": 479, "C": 2891, "Q": 4931}
"""Training samples of each class without scaling of the stored flux."""


@dataclass(frozen=True)
class SampleSheet:
    """The images of one sample.

    Attributes
    ----------
    sample_id, goes, split
        Its id, GOES class and split.
    pixels
        Its images: uint8, shape (4, 10, 256, 256).
    there, flagged
        Whether each image is present, and whether it is flagged as noisy: bool, shape (4, 10).
    """

    sample_id: str
    goes: str
    split: str
    pixels: np.ndarray
    there: np.ndarray
    flagged: np.ndarray


def draw_section(
    *,
    samples: pd.DataFrame,
    images: pd.DataFrame,
    located: Mapping,
    catalogue: Mapping,
    plan: Mapping,
    sample: SampleSheet | None,
    flux_scale: float,
    split: str,
) -> Section:
    """Return the section about SDOBenchmark.

    Parameters
    ----------
    samples
        set, ar_num, time_id, start, end and goes_class of each sample.
    images
        set, row, channel, step and status of each file of a sample.
    located, catalogue, plan
        The receipt of the tree, and the manifests of the catalogue and of the plan.
    sample
        The sample whose images are shown; None without tensors or without any good image.
    flux_scale, split
        As in the configuration.
    """
    counts = catalogue["counts"]
    good = images[(images["status"] == "ok").to_numpy()]
    return Section(
        "sdo",
        TITLE,
        "A sample of SDOBenchmark shows one active region of the Sun during a window of 12 hours. "
        "It has images of 10 channels at 4 time steps. The class of a sample is the class of the "
        "strongest flare in the 24 hours after the window. Q (quiet) means that no flare reached "
        "C1.0.",
        (
            Part(
                "flow",
                "From files to splits",
                "Each row of the metadata is in a split, or the first chart shows why the row was "
                "removed. Each file is a good image, or the second chart shows why the file is not "
                "used. All counts add up.",
                flow_of_samples(counts, plan["counts"]).body("From rows of the metadata to splits")
                + flow_of_images(located["counts"], counts).body("From files to good images")
                + _not_read(located),
            ),
            _classes(plan["counts"], flux_scale),
            _published(counts, plan["counts"], flux_scale),
            _leaks(plan["counts"], split),
            _completeness(counts),
            _slots(good, counts),
            _sheet(sample),
            _problems(counts),
            _doubts(samples, counts),
        ),
    )


def flow_of_samples(counts: Mapping, planned: Mapping) -> Flow:
    """Return the flow from the rows of the metadata to the splits.

    `counts` are those of the catalogue, `planned` those of the plan.
    """
    malformed = sum(counts["malformed_rows"].values())
    by_split = planned["by_split"]
    flow = Flow("samples")
    flow.total("rows of the metadata", sum(counts["samples"].values()) + malformed)
    flow.leaves("row cannot be read", malformed)
    flow.total("samples", planned["samples"])
    flow.leaves("excluded: group is also in test", by_split["excluded"]["samples"])
    kept = {name: by_split[name]["samples"] for name in SPLITS if name != "excluded"}
    flow.total("samples in splits", sum(kept.values()))
    flow.parts(kept)
    return flow


def flow_of_images(located: Mapping, counts: Mapping) -> Flow:
    """Return the flow from the files of the tree to the good images.

    `located` are the counts of the receipt of the tree, `counts` those of the catalogue.
    """
    by_status, by_set = counts["images_by_status"], counts["slots"]["by_set"]
    flow = Flow("files")
    flow.total("files in the folder", located["files"])
    flow.leaves("not in the folder of a sample", located["files"] - counts["images"])
    flow.total("files of samples", counts["images"])
    for status in STATUSES[1:]:
        flow.leaves(status.replace("_", " "), by_status[status])
    flow.total("good images", by_status["ok"])
    flow.parts({f"of the {SETS[name]} set": by_set[name][0] for name in SETS})
    return flow


def count_filled(images: pd.DataFrame, samples: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return the number of good images of each sample, by set: int64, shape (samples,).

    Parameters
    ----------
    images
        set and row of each good image.
    samples
        The number of samples of each set.
    """
    rows = {name: images.loc[(images["set"] == name).to_numpy(), "row"] for name in SETS}
    return {
        name: np.bincount(rows[name].to_numpy(np.int64), minlength=samples[name]) for name in SETS
    }


def choose_sample(plan: pd.DataFrame, filled: Mapping[str, np.ndarray], seed: int) -> int | None:
    """Return the row of the plan whose images are shown, or None if no sample has images.

    The sample is a training sample of the strongest class. It has nearly all images but not all, so
    the page shows a missing image. The choice does not depend on the order of rows.

    Parameters
    ----------
    plan
        set, row, split and label of each sample.
    filled
        The number of good images of each sample, see count_filled.
    seed
        As in the configuration.
    """
    images = np.array(
        [filled[name][row] for name, row in zip(plan["set"], plan["row"], strict=True)], np.int64
    )
    place = plan["row"].to_numpy(np.int64) * len(SETS) + (plan["set"] == "test").to_numpy()
    ranked = pd.DataFrame(
        {
            "empty": images == 0,
            "elsewhere": (plan["split"] != "train").to_numpy(),
            "strength": plan["label"].map(LABELS.index).to_numpy(np.int64),
            "whole": images == SLOTS,
            "missing": SLOTS - images,
            "hash": keyed_hash(place, key(seed, "sdo", "report")),
        }
    )
    if ranked["empty"].all():
        return None
    return int(ranked.sort_values([*ranked.columns]).index[0])


def flags_of(images: pd.DataFrame, name: str, row: int) -> np.ndarray:
    """Return which images of a sample are flagged as noisy: bool, shape (4, 10).

    Parameters
    ----------
    images
        set, row, channel, step and flagged of each good image.
    name, row
        The set of the sample, and its row in the set.
    """
    own = images[((images["set"] == name) & (images["row"] == row)).to_numpy()]
    flagged = np.zeros((STEPS, len(CHANNELS)), dtype=bool)
    flagged[own["step"].to_numpy(), own["channel"].to_numpy()] = own["flagged"].to_numpy(bool)
    return flagged


def _not_read(located: Mapping) -> str:
    """Return the files of the zip that were not unpacked; an empty text if there are none."""
    lines = [
        f"{reason.replace('_', ' ')}: {', '.join(names[:EXAMPLES])}"
        f"{', ...' if len(names) > EXAMPLES else ''}"
        for reason, names in located["ignored"].items()
    ]
    if not lines:
        return ""
    counts = located["counts"]
    total = f"{counts['members_ignored']:,} of {counts['members']:,} files of the zip"
    return paragraph(f"{total} were not unpacked:") + bullets(lines)


def _classes(planned: Mapping, flux_scale: float) -> Part:
    by_split = {name: planned["by_split"][name] for name in SPLITS}
    by_label = {
        name: {label: found["by_label"][label] for label in LABELS}
        for name, found in by_split.items()
    }
    drawn = {name: found for name, found in by_label.items() if by_split[name]["samples"]}
    rows = [
        [
            name,
            *by_label[name].values(),
            *(found[what] for what in ("samples", "regions", "groups")),
        ]
        for name, found in by_split.items()
    ]
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{label} {number:,}" for label, number in found.items())
        for name, found in drawn.items()
    )
    fluxes = (
        "The classes come from the stored peak fluxes, without scaling."
        if flux_scale == 1
        else f"The stored peak fluxes are multiplied by {flux_scale:g} and rounded to the digits "
        "of a GOES class."
    )
    return Part(
        "classes",
        "Classes by split",
        f"{fluxes} Validation has {planned['validation_fraction_reached']:.1%} of the training "
        "samples that are not excluded.",
        drawing(
            stacked(drawn, unit="share of the samples", series_title="class", share=True),
            f"Samples by split and class. {alt}",
        )
        + table(
            ["split", *LABELS, "samples", "regions", "groups"],
            rows,
            "Samples of each split by class, with active regions and groups of regions that HARPs "
            "link",
        ),
    )


def _published(counts: Mapping, planned: Mapping, flux_scale: float) -> Part:
    by_split = planned["by_split"]
    training = [name for name in SPLITS if name != "test"]
    regions = {
        "train": sum(by_split[name]["regions"] for name in training),
        "test": by_split["test"]["regions"],
    }
    sizes = [
        [
            SETS[name],
            counts["samples"][name],
            PUBLISHED_SAMPLES[name],
            regions[name],
            PUBLISHED_REGIONS[name],
        ]
        for name in SETS
    ]
    classes = [
        [
            label,
            sum(by_split[name]["by_label"][label] for name in training),
            PUBLISHED_CLASSES[label],
        ]
        for label in LABELS
    ]
    scale = "" if flux_scale == 1 else f" This run multiplies the flux by {flux_scale:g}."
    return Part(
        "published_counts",
        "Counts compared with the published counts",
        f"The published classes of the training set use the stored flux without scaling.{scale}",
        table(
            ["set", "samples", "as published", "regions", "as published"],
            sizes,
            "Samples and active regions of the official sets",
        )
        + table(["class", "samples", "as published"], classes, "Samples of the training set"),
    )


def _leaks(planned: Mapping, split: str) -> Part:
    samples, shared = planned["by_split"], shared_rows(planned)
    drawn = {
        "training samples": planned["samples"] - samples["test"]["samples"],
        "training: in a group with test samples": shared[0][1],
        "training: in a HARP with test samples": shared[1][1],
        "test samples": samples["test"]["samples"],
        "test: in a HARP with training samples": shared[2][1],
        "test: and at the same time": shared[3][1],
    }
    alt = ", ".join(f"{name} {number:,}" for name, number in drawn.items())
    left = (
        "Training samples of groups that are also in test are excluded (sdo.split: cleaned)."
        if split == CLEANED
        else "Training samples of groups that are also in test stay (sdo.split: official)."
    )
    return Part(
        "leaks",
        "Leaks between training and test, and what is proven",
        "The chart counts samples whose region is in both official sets, training and test, "
        f"according to {TABLE_NAME}. A HARP is a patch of the Sun; a group is a set of regions "
        f"that HARPs link. {left}",
        drawing(bars(drawn, unit="samples"), f"What the official sets share: {alt}")
        + paragraph(f"{shared[4][1]:,} {shared[4][0]}. It is unknown whether these samples leak.")
        + bullets(text.replace("`", "") for text in proofs(split)),
    )


def _completeness(counts: Mapping) -> Part:
    slots = counts["slots"]
    values: dict[str, dict[str, float]] = {}
    shown: dict[str, dict[str, str]] = {}
    for channel in CHANNELS:
        for name in SETS:
            filled, of = slots["by_channel"][f"{name} {channel}"]
            if of:
                values.setdefault(channel, {})[f"{SETS[name]} set"] = 100 * filled / of
                shown.setdefault(channel, {})[f"{SETS[name]} set"] = f"{filled / of:.1%}"
    years = {year: 100 * filled / of for year, (filled, of) in slots["by_year"].items() if of}
    alt = "; ".join(
        f"{channel}: " + ", ".join(f"{name} {share}" for name, share in found.items())
        for channel, found in shown.items()
    )
    filled, of = (sum(numbers) for numbers in zip(*slots["by_set"].values(), strict=True))
    rows = [
        [name, filled_of, of_all, f"{filled_of / max(1, of_all):.1%}"]
        for name, (filled_of, of_all) in {
            **{f"{SETS[name]} set": slots["by_set"][name] for name in SETS},
            **slots["by_year"],
        }.items()
    ]
    body = drawing(
        grouped(values, unit="filled slots (%)", shown=shown),
        f"Share of filled slots by channel. {alt}",
    )
    if len(years) > 1:
        year_shares = {year: f"{share:.1f}%" for year, share in years.items()}
        body += drawing(
            bars(years, unit="filled slots (%)", shown=year_shares),
            "Share of filled slots by year: "
            + ", ".join(f"{year} {share}" for year, share in year_shares.items()),
        )
    return Part(
        "completeness",
        "Images that are present",
        f"A sample has {SLOTS} slots: {STEPS} time steps of {len(CHANNELS)} channels. A slot is "
        f"filled if it has a good image. {filled:,} of {of:,} slots are filled "
        f"({filled / max(1, of):.1%}).",
        body + table(["samples", "filled", "slots", "share"], rows, "Filled slots"),
    )


def _slots(good: pd.DataFrame, counts: Mapping) -> Part:
    samples = counts["samples"]
    per_sample = np.concatenate([*count_filled(good, samples).values()])
    found = np.bincount(per_sample // 10, minlength=SLOTS // 10 + 1)
    whole = int((per_sample == SLOTS).sum())
    none = int((per_sample == 0).sum())
    spread = {
        "none": none,
        "1 to 9": int(found[0]) - none,
        "10 to 19": int(found[1]),
        "20 to 29": int(found[2]),
        "30 to 39": int(found[3]),
        f"all {SLOTS}": whole,
    }
    total = max(1, sum(samples.values()))
    by_slot = np.zeros((len(CHANNELS), STEPS), dtype=np.int64)
    np.add.at(by_slot, (good["channel"].to_numpy(), good["step"].to_numpy()), 1)
    rows = [
        [channel, *(f"{number / total:.1%}" for number in line)]
        for channel, line in zip(CHANNELS, by_slot.tolist(), strict=True)
    ]
    alt = ", ".join(f"{name}: {number:,}" for name, number in spread.items())
    return Part(
        "missing",
        "Images per sample",
        f"{whole:,} of {sum(samples.values()):,} samples have all {SLOTS} images; {none:,} have "
        "none. The tensors contain 0 for a missing image. Their array available says which images "
        "are present.",
        drawing(bars(spread, unit="samples"), f"Samples by number of images. {alt}")
        + table(["channel", *HOURS], rows, "Share of samples with each image"),
    )


def _sheet(sample: SampleSheet | None) -> Part:
    title = "Images of a sample"
    if sample is None:
        return Part(
            "sample",
            title,
            "There are no images to show.",
            paragraph(
                "The run wrote no tensors (sdo.tensors: false), or no sample has a good image."
            ),
        )
    there = int(sample.there.sum())
    what = f"Images of {sample.sample_id}: one channel per row, time from left to right"
    return Part(
        "sample",
        title,
        f"Sample {sample.sample_id} ({sample.split}) has class {sample.goes} and {there} of "
        f"{SLOTS} images. The grey values are the stored values. The names of AIA channels are "
        "wavelengths in angstroms.",
        sample_table(sample, CHANNELS, what),
    )


def sample_table(sample: SampleSheet, channels: Iterable[str], what: str) -> str:
    """Return a table of images: a row for each channel, a column for each time step.

    `what` is the caption of the table. A hatched square marks a missing image.
    """
    rows = []
    for channel in channels:
        number, cells = CHANNELS.index(channel), []
        for step, hour in enumerate(HOURS):
            if not sample.there[step, number]:
                cells.append(absent("no image"))
                continue
            png = grey_png(halved(sample.pixels[step, number]))
            flagged = note("flagged as noisy") if sample.flagged[step, number] else ""
            alt = f"Channel {channel} after {hour}"
            cells.append(image(png, alt, width=SHOWN_WIDTH) + flagged)
        rows.append((channel, cells))
    return picture_table(["channel", *HOURS], rows, what)


def _problems(counts: Mapping) -> Part:
    problems = counts["problems_by_kind"]
    rows = [
        [kind.replace("_", " "), number, MEANINGS.get(kind, "")]
        for kind, number in problems.items()
    ]
    body = table(["kind", "number", "description"], rows, "Problems by kind") if rows else ""
    return Part(
        "problems",
        "Problems of the files",
        f"{counted(sum(problems.values()), 'problem')}. The page integrity.md shows examples of "
        "each kind; interim/sdo/problems.jsonl lists all problems."
        if rows
        else "There are no problems.",
        body,
    )


def count_doubts(samples: pd.DataFrame) -> dict[str, int]:
    """Count the samples that end at the flare's peak, that may end there, and that overlap.

    `samples` has set, ar_num, time_id, start, end and goes_class; see index.ends_at_peak.
    """
    found = {"at_peak": 0, "unknown": 0, "overlapping": 0}
    for name in SETS:
        own = samples[(samples["set"] == name).to_numpy()]
        region = own["ar_num"].to_numpy(np.int64)
        start, end = (own[side].to_numpy("M8[ns]") for side in ("start", "end"))
        has_flare = (own["goes_class"] != QUIET).to_numpy(bool)
        peaks = ends_at_peak(region, own["time_id"].tolist(), end, has_flare)
        found["at_peak"] += int(peaks.fillna(False).sum())
        found["unknown"] += int(peaks.isna().sum())
        found["overlapping"] += int((overlaps(region, start, end) > 0).sum())
    return found


def _doubts(samples: pd.DataFrame, counts: Mapping) -> Part:
    found = count_doubts(samples)
    rows = [
        ["samples whose window ends at the flare's peak", found["at_peak"]],
        ["samples whose window may end at the flare's peak", found["unknown"]],
        ["samples that overlap in time with a sample of the same region", found["overlapping"]],
        ["images flagged as noisy", counts["images_flagged"]],
    ]
    rows += [
        [f"{channel}: images with pixels outside the solar disk", part["images_with_some"]]
        for channel, part in counts["off_disk"].items()
    ]
    return Part(
        "doubts",
        "Doubtful samples and images",
        "These samples and images stay in the data set. Columns of the index mark the samples, so "
        "you can leave them out of training.",
        table(["samples or images", "number"], rows, "Doubtful samples and images"),
    )
