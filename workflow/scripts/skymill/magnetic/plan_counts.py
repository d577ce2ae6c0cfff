"""Counts of a plan by split, fold and class, and its weak points that a user should know."""

import logging

import pandas as pd

from skymill.magnetic.plan_table import METHODS
from skymill.magnetic.schema import LABELS, TRAIN_SPLITS
from skymill.magnetic.splits import FEWEST_REGIONS

logger = logging.getLogger(__name__)

RARE = ("X", "M")
"""Rare classes: a rate is measured on so few regions that the number of regions matters."""


def count_plan(
    originals: pd.DataFrame, placed: pd.DataFrame, plan: pd.DataFrame, removed: dict, split: dict
) -> dict:
    """Count a plan by split, class and method.

    Parameters
    ----------
    originals
        One row per clean training record, with its label.
    placed
        One row per record that was assigned to a split, as in PLAN_SCHEMA: the originals, if train
        is augmented after the split. Otherwise the originals that were kept, and all copies.
    plan
        One row per record of the data set that will be written, as in PLAN_SCHEMA.
    removed
        Records removed by undersampling, by class.
    split
        The settings, see plan.make_plan.

    Returns
    -------
    Records, original windows and regions per split and class, the fractions wanted and reached,
    and the removed records. If there are folds, also the records of each fold before train is
    augmented.
    """
    everything = split["augment"] == "all"
    inside = {name: by_label(placed[placed["split"] == name]) for name in TRAIN_SPLITS}
    total = by_label(placed)
    counts = {
        "clean_records": len(originals),
        "clean_by_label": by_label(originals),
        "removed_by_label": removed,
        "records": len(plan),
        "augmented_records": len(plan) if everything else int((plan["split"] == "train").sum()),
        "by_split": {name: _count_part(plan[plan["split"] == name]) for name in TRAIN_SPLITS},
        "fractions_wanted": _wanted(split),
        "fractions_reached": {
            name: round(sum(inside[name].values()) / len(placed), 6) for name in TRAIN_SPLITS
        },
        "fractions_reached_by_label": {
            name: {
                label: round(inside[name][label] / total[label], 6)
                for label in LABELS
                if total[label]
            }
            for name in TRAIN_SPLITS
        },
    }
    if folds := split.get("folds"):
        counts["by_fold"] = [
            _count_part(placed[placed["fold"] == number]) for number in range(folds)
        ]
    return counts


def by_label(frame: pd.DataFrame) -> dict[str, int]:
    """Return the number of rows of each class, in class order."""
    counts = frame["label"].value_counts()
    return {label: int(counts.get(label, 0)) for label in LABELS}


def _count_part(rows: pd.DataFrame) -> dict:
    regions = rows.groupby("label")["region"].nunique()
    methods = rows["method"].value_counts()
    return {
        "records": len(rows),
        "by_label": by_label(rows),
        "by_method": {method: int(methods.get(method, 0)) for method in METHODS},
        "originals_by_label": by_label(rows[rows["method"] == "original"]),
        "regions": int(rows["region"].nunique()),
        "regions_by_label": {label: int(regions.get(label, 0)) for label in LABELS},
    }


def _wanted(split: dict) -> dict | None:
    """Return the fractions that the splits should have; None if splits consist of whole files."""
    if split["unit"] == "partition":
        return None
    if folds := split.get("folds"):
        return {"train": 1 - 2 / folds, "dev": 1 / folds, "test": 1 / folds}
    return split["fractions"]


def doubts(counts: dict) -> list[str]:
    """Return the weak points of the splits, which a user should know before trusting a score.

    `count_plan` returns the counts. A split without any record is not a weak point: its fraction
    is 0. The result is a list of sentences.
    """
    said = []
    there = [label for label in LABELS if counts["clean_by_label"][label]]
    for label in LABELS:
        if label not in there:
            said.append(f"The training files have no record of class {label}.")
    for name in TRAIN_SPLITS:
        part = counts["by_split"][name]
        if not part["records"]:
            continue
        absent = [label for label in there if not part["by_label"][label]]
        if absent:
            said.append(f"The split {name} has no record of class {' or '.join(absent)}.")
        if name == "test":
            said += _few_regions(part)
        said += _missed(name, counts, set(absent))
    return said


def warn_of_doubts(counts: dict) -> None:
    """Log the sentences of `doubts` as warnings."""
    for doubt in doubts(counts):
        logger.warning("%s", doubt)


def _few_regions(test: dict) -> list[str]:
    """Return which rare classes have too few regions in the test split."""
    return [
        f"The split test has {test['by_label'][label]:,} records of class {label} from only "
        f"{regions:,} {'region' if regions == 1 else 'regions'}: a score on fewer than "
        f"{FEWEST_REGIONS} regions describes these regions more than the class."
        for label in RARE
        if 0 < (regions := test["regions_by_label"][label]) < FEWEST_REGIONS
    ]


def _missed(name: str, counts: dict, absent: set) -> list[str]:
    """Return the shares of a split that differ from its fraction by half of it or more.

    The shares are those of all records and of each class.
    """
    wanted = (counts["fractions_wanted"] or {}).get(name, 0)
    reached = {"the records": counts["fractions_reached"][name]} | {
        f"class {label}": share
        for label, share in counts["fractions_reached_by_label"][name].items()
        if label not in absent
    }
    far = [
        f"{share:.2%} of {what}"
        for what, share in reached.items()
        if abs(share - wanted) >= wanted / 2
    ]
    return [f"The split {name} should have {wanted:.2%}, but has {', '.join(far)}."] * bool(
        wanted and far
    )
