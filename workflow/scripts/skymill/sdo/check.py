"""The gate behind the catalogue: how much may be lost or damaged before a run gives up."""

import json
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from skymill.engine.errors import SkymillError

logger = logging.getLogger(__name__)

DAMAGED = ("undecodable", "not_256_8bit", "all_black", "degenerate")
"""Statuses of an image that count as damage."""
NO_SLOT = ("unparsable_name", "unplaced", "superseded")
"""Statuses of a file that is no image of a step and a channel, or not the only one."""

SHOWN = 5
SHOWN_MEMBERS = 10
_FEW = 0.5
"""Share of the slots below which a channel or a year is named though its limit holds."""


class Loss(NamedTuple):
    """How many of what are lost, and what share the limit allows; the kinds of problem they are."""

    setting: str
    what: str
    bad: int
    met: int
    allowed: float
    kinds: tuple[str, ...] = ()

    @property
    def exceeds(self) -> bool:
        """Whether more are lost than may be; nothing at all is lost as well."""
        return not self.met or self.bad > self.allowed * self.met

    def __str__(self) -> str:
        share = self.bad / max(1, self.met)
        return f"{self.bad:,} of {self.met:,} {self.what} ({share:.2%}, allowed {self.allowed:.2%})"


class Gap(NamedTuple):
    """How many of the slots of a set, a channel or a year are filled, and the least share."""

    setting: str
    where: str
    filled: int
    slots: int
    least: float

    @property
    def share(self) -> float:
        """Share of the slots that are filled."""
        return self.filled / max(1, self.slots)

    @property
    def exceeds(self) -> bool:
        """Whether fewer are filled than must be; where there is no slot, none is."""
        return not self.slots or self.share < self.least

    def __str__(self) -> str:
        return f"{self.where} {self.share:.1%}"


def losses(counts: dict, limits: dict) -> list[Loss]:
    """Return what is lost by each cause.

    A row of the metadata and a folder of images make a sample. A malformed row often has a folder,
    so rows and folders are counted apart, each as a share of its own kind.

    Parameters
    ----------
    counts
        Those of `catalogue`, with `members` and `members_ignored` of the zip.
    limits
        Those of the configuration.
    """
    malformed = sum(counts["malformed_rows"].values())
    rows = sum(counts["samples"].values())
    unlisted, without_folder = counts["folders_without_row"], counts["samples_without_folder"]
    lost = "limits.max_lost_samples_fraction", limits["max_lost_samples_fraction"]
    found = [
        Loss(
            lost[0],
            "rows of the metadata are malformed or have no folder",
            without_folder + malformed,
            rows + malformed,
            lost[1],
            ("malformed_row", "row_without_folder"),
        ),
        Loss(
            lost[0],
            "folders of images have no row in the metadata",
            unlisted,
            # Without any folder the rows tell what is wrong.
            max(1, rows - without_folder + unlisted),
            lost[1],
            ("folder_without_row", "unparsable_folder"),
        ),
        Loss(
            "limits.max_unplaced_fraction",
            "files of samples belong to no channel and time step, or another file is nearer",
            counts["images_without_slot"],
            counts["images"],
            limits["max_unplaced_fraction"],
            tuple(f"image_{status}" for status in NO_SLOT),
        ),
        Loss(
            "limits.max_damaged_fraction",
            "images are damaged",
            counts["images_damaged"],
            counts["images"],
            limits["max_damaged_fraction"],
            tuple(f"image_{status}" for status in DAMAGED),
        ),
    ]
    # A tree that was put there by hand has no members.
    if counts["members"]:
        ignored = Loss(
            "limits.max_ignored_members_fraction",
            "members of the zip were not unpacked",
            counts["members_ignored"],
            counts["members"],
            limits["max_ignored_members_fraction"],
        )
        found.insert(0, ignored)
    return found


def gaps(counts: dict, limits: dict) -> list[Gap]:
    """Return how far each set, each channel of it and each year is filled, see `losses`."""
    kinds = {
        "by_set": "min_slots_filled",
        "by_channel": "min_slots_filled_by_channel",
        "by_year": "min_slots_filled_by_year",
    }
    return [
        Gap(f"limits.{key}", where, *numbers, limits[key])
        for kind, key in kinds.items()
        for where, numbers in counts["slots"][kind].items()
    ]


def exceeded(counts: dict, limits: dict) -> list[str]:
    """Return the limits that do not hold."""
    found = [*losses(counts, limits), *gaps(counts, limits)]
    return list(dict.fromkeys(one.setting for one in found if one.exceeds))


def require_intact(
    counts: dict, problems: Path, limits: dict, *, ignored: dict[str, list[str]]
) -> None:
    """Raise SkymillError, naming the first offenders, when the tree is too damaged to go on.

    What is lost within the limits is a warning.

    Parameters
    ----------
    counts
        Those of `catalogue`, with `members` and `members_ignored` of the zip.
    problems
        Its JSON lines.
    limits
        Those of the configuration.
    ignored
        For each reason the first members of the zip that were not unpacked.
    """
    _require_some(counts, problems)
    if regions := counts["regions_in_both_sets"]:
        raise SkymillError(
            f"{len(regions):,} active regions have samples in training and in test: "
            f"{', '.join(map(str, regions[:SHOWN]))}. The official sets share none, so the files "
            "are not the data set as published, and a test on them would mean nothing. Fetch it "
            "again."
        )
    for loss in losses(counts, limits):
        if loss.exceeds:
            _refuse(loss, counts, problems, ignored)
        if loss.bad and loss.setting == "limits.max_ignored_members_fraction":
            reasons = ", ".join(reason.replace("_", " ") for reason in ignored)
            logger.warning("SDOBenchmark: %s: %s.", loss, reasons)
        elif loss.bad:
            logger.warning("SDOBenchmark: %s.", loss)
    filled = gaps(counts, limits)
    if low := [gap for gap in filled if gap.exceeds]:
        settings = dict.fromkeys(gap.setting for gap in low)
        listed = "".join(
            f"  {', '.join(str(gap) for gap in low if gap.setting == setting)}: {setting} asks for "
            f"{limits[setting.removeprefix('limits.')]:.0%}\n"
            for setting in settings
        )
        raise SkymillError(
            "too few of the slots of the samples (4 time steps of 10 channels each) hold a good "
            f"image.\n{listed}{_why_few(counts)}All problems are in {problems}. Fetch the data set "
            f"again, or lower {', '.join(settings)} if you expect that few."
        )
    if few := [str(gap) for gap in filled if gap.share < _FEW]:
        shown = ", ".join(few[:SHOWN]) + (f" and {len(few) - SHOWN:,} more" if few[SHOWN:] else "")
        logger.warning("SDOBenchmark: fewer than half of the slots hold an image: %s.", shown)


def _require_some(counts: dict, problems: Path) -> None:
    """Raise SkymillError when a set has no row, or the data set no image."""
    for name, rows in counts["samples"].items():
        if rows:
            continue
        if malformed := counts["malformed_rows"][name]:
            raise SkymillError(
                f"every row of the metadata of the {name} set is malformed, all {malformed:,}.\n"
                f"{_shown(problems, ('malformed_row',))}"
                "The table is not in SDOBenchmark's form (id,start,end,peak_flux; times in UTC). "
                f"All problems are in {problems}. Mend the table, or fetch the data set again."
            )
        raise SkymillError(
            f"the metadata of the {name} set has no row. Fetch the data set again, or put the "
            "whole of it in place."
        )
    if not counts["images"]:
        raise SkymillError(
            f"no sample has an image: 0 images for {sum(counts['samples'].values()):,} rows of the "
            f"metadata, {counts['samples_without_folder']:,} of them without a folder. Look at "
            f"{problems}, and put the whole data set in place."
        )


def _refuse(loss: Loss, counts: dict, problems: Path, ignored: dict[str, list[str]]) -> None:
    """Raise the error of a limit that does not hold."""
    if loss.setting == "limits.max_ignored_members_fraction":
        causes = describe_ignored(ignored)
    elif loss.setting == "limits.max_unplaced_fraction":
        causes = _describe_shifts(counts)
    else:
        causes = ""
    raise SkymillError(
        f"{loss}.\n{causes}{_shown(problems, loss.kinds)}"
        f"All problems are in {problems}. Mend or fetch the data set again, or raise "
        f"{loss.setting} if that many are expected."
    )


def _describe_shifts(counts: dict) -> str:
    """Return a line for each set most of whose unplaced images are off by the same time."""
    return "".join(
        f"  {found['images']:,} of {found['unplaced']:,} unplaced images of the {name} set are "
        f"{describe_shift(found['seconds'])} their time steps: the times of its table and of its "
        "images are shifted.\n"
        for name, found in counts["images_shifted"].items()
        if found["images"] * 2 > found["unplaced"]
    )


def describe_shift(seconds: float) -> str:
    """Say how far, and to which side, such as `1:00:00 before`; days have 24 hours."""
    whole = int(abs(seconds))
    clock = f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{clock} {'before' if seconds < 0 else 'after'}"


def _why_few(counts: dict) -> str:
    """Return what became of the files that fill no slot."""
    statuses = {
        status: counts["images_by_status"][status]
        for status in (*NO_SLOT, *DAMAGED)
        if counts["images_by_status"][status]
    }
    said = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in statuses.items())
    return (f"Files that fill none: {said}. " if said else "") + "Other images are not there. "


def _shown(problems: Path, kinds: tuple[str, ...]) -> str:
    """Return a line for each of the first problems of some kinds."""
    return "".join(
        f"  {problem['kind']}: {problem['where']}: {problem['detail']}\n"
        for problem in islice(_first(problems, kinds), SHOWN)
    )


def _first(problems: Path, kinds: tuple[str, ...]) -> Iterator[dict]:
    """Yield the problems of some kinds in file order."""
    with open(problems, encoding="utf-8") as stream:
        for line in stream:
            problem = json.loads(line)
            if problem["kind"] in kinds:
                yield problem


def describe_ignored(ignored: dict[str, list[str]]) -> str:
    """Return a line for each reason why members of the zip were not unpacked, with some of them."""
    return "".join(
        f"  {reason.replace('_', ' ')}: {', '.join(names[:SHOWN_MEMBERS])}"
        f"{', ...' if len(names) > SHOWN_MEMBERS else ''}\n"
        for reason, names in ignored.items()
    )
