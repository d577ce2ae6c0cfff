"""Checks between stages: too many records lost, regions too large, counts that do not agree."""

import logging
from itertools import islice
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.engine.products import Product
from skymill.magnetic.inputs import file_name, input_with
from skymill.magnetic.schema import STEPS

logger = logging.getLogger(__name__)


def lost_too_many(counts: dict, max_rejected_fraction: float) -> bool:
    """Return whether a raw file has no valid record, or lost more lines than allowed.

    `ingest` returns the counts. The fraction is a share of the lines that are not blank.
    """
    total = counts["valid"] + counts["rejected"]
    return not counts["valid"] or counts["rejected"] > max_rejected_fraction * total


def require_accepted(
    partition: str, counts: dict, quarantine: Path, max_rejected_fraction: float
) -> None:
    """Raise SkymillError when too many lines were rejected; the message lists the first of them.

    `ingest` returns the counts. The fraction is a share of the lines that are not blank. A smaller
    loss is a warning.
    """
    name, items = file_name(partition), f"{input_with(partition).item}s"
    total = counts["valid"] + counts["rejected"]
    reasons = ", ".join(f"{name} {count:,}" for name, count in counts["rejected_by_reason"].items())
    if not lost_too_many(counts, max_rejected_fraction):
        if counts["rejected"]:
            logger.warning(
                "%s lost %s of %s %s (%s)",
                name,
                f"{counts['rejected']:,}",
                f"{total:,}",
                items,
                reasons,
            )
        return
    # Read line by line: str.splitlines would also cut at separators inside a quoted beginning.
    with open(quarantine, encoding="utf-8") as stream:
        lines = [line.rstrip("\n") for line in islice(stream, 5)]
    if counts["valid"]:
        what = (
            f"{counts['rejected']:,} of {total:,} {items} of {name} were rejected "
            f"({counts['rejected'] / total:.2%}, allowed {max_rejected_fraction:.2%})"
        )
    else:
        what = f"{name} contains no valid record ({counts['rejected']:,} {items} rejected)"
    raise SkymillError(
        f"{what}: {reasons or 'the file is empty'}.\n"
        + "".join(f"  {line}\n" for line in lines)
        + f"{quarantine} lists all of them. Fix or replace the file, or raise "
        "limits.max_rejected_fraction if you expect this loss."
    )


def dropped_too_many(counts: dict, max_dropped_fraction: float) -> bool:
    """Return whether more valid records were dropped as identical than allowed.

    `conserve` returns the counts.
    """
    return counts["dropped_identical"] > max_dropped_fraction * counts["valid"]


def require_few_dropped(collection: str, counts: dict, max_dropped_fraction: float) -> None:
    """Raise SkymillError when `collisions: drop_identical` dropped too many records.

    `conserve` returns the counts. A smaller loss is a warning.
    """
    dropped, valid = counts["dropped_identical"], counts["valid"]
    said = (
        f"{dropped:,} of {valid:,} valid records of the {collection} files repeat the id and the "
        "values of an earlier one and were dropped (collisions: drop_identical)"
    )
    if dropped_too_many(counts, max_dropped_fraction):
        raise SkymillError(
            f"{said}: {dropped / valid:.2%}, allowed {max_dropped_fraction:.2%}. Is one file there "
            "under two names? If not, raise limits.max_dropped_fraction."
        )
    if dropped:
        logger.warning(said)


def is_too_large(counts: dict, max_fraction: float) -> bool:
    """Return whether a region has more than `max_fraction` of the records."""
    return counts["largest"] > max_fraction * counts["records"]


def require_small_regions(counts: dict, max_fraction: float) -> None:
    """Raise SkymillError when a region has more than `max_fraction` of the records.

    `regions.describe_regions` returns the counts.
    """
    largest, records = counts["largest"], counts["records"]
    if is_too_large(counts, max_fraction):
        raise SkymillError(
            f"region {counts['largest_region']} has {largest:,} of {records:,} records "
            f"({largest / records:.1%}, allowed {max_fraction:.1%}): a whole region goes into one "
            "split, so the splits could not come near their fractions. Look at regions.parquet: "
            "steps without information may link records of different regions. If the data have "
            "only a few regions, raise limits.max_region_fraction."
        )


def conserve(
    ingested: list[Product],
    ids: Product,
    clean: Product,
    plan: Product | None = None,
    augmented: Product | None = None,
) -> dict:
    """Reconcile the counts of one collection: every line is kept, or its loss is counted.

    Parameters
    ----------
    ingested
        The ingested values of each partition.
    ids, clean, plan, augmented
        Products; `plan` and `augmented` are None for the test file, which is not augmented.

    Returns
    -------
    The counts, if they agree.

    Raises
    ------
    SkymillError
        When two counts differ; the message has both.
    """
    counts = [product.counts for product in ingested]
    identified = ids.counts
    numbers = {
        name: sum(count[name] for count in counts)
        for name in ("lines", "valid", "rejected", "blank")
    }
    numbers["dropped_identical"] = identified["dropped_identical"]
    numbers["kept"] = identified["kept"]
    numbers["clean_files"] = clean.rows // STEPS
    equations = [
        ("lines read", "lines", "valid + rejected + blank", ("valid", "rejected", "blank")),
        ("valid records", "valid", "kept + dropped_identical", ("kept", "dropped_identical")),
        ("records kept", "kept", "records in the clean files", ("clean_files",)),
    ]
    if plan and augmented:
        planned = plan.counts
        numbers["planned"] = planned["records"]
        numbers["removed"] = sum(planned["removed_by_label"].values())
        by_method = [split["by_method"] for split in planned["by_split"].values()]
        numbers["originals"] = sum(methods["original"] for methods in by_method)
        numbers["synthetic"] = sum(
            count for methods in by_method for name, count in methods.items() if name != "original"
        )
        numbers["augmented_planned"] = planned["augmented_records"]
        numbers["augmented_files"] = augmented.rows // STEPS
        equations += [
            ("records kept", "kept", "originals + removed", ("originals", "removed")),
            ("records planned", "planned", "originals + synthetic", ("originals", "synthetic")),
            (
                "augmented records planned",
                "augmented_planned",
                "records in the augmented files",
                ("augmented_files",),
            ),
        ]
    for left_name, left, right_name, right in equations:
        total = sum(numbers[name] for name in right)
        if numbers[left] != total:
            raise SkymillError(
                f"the counts do not agree: {left_name} {numbers[left]:,}, {right_name} {total:,}. "
                "The products come from different runs: delete interim and "
                "preprocessed/solar_flare_2020 in the results folder and run again."
            )
    return numbers
