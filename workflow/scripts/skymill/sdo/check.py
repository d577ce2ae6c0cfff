"""Check the catalogue: stop the run if too many samples or images are lost or damaged."""

import json
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from skymill.engine.errors import SkymillError

logger = logging.getLogger(__name__)

DAMAGED = ("undecodable", "not_256_8bit", "all_black", "degenerate")
"""Statuses of damaged images."""
NO_SLOT = ("unparsable_name", "unplaced", "superseded")
"""Statuses of files that fill no slot: not an image of a step and a channel, or a second image."""

SHOWN = 5
SHOWN_MEMBERS = 10
_FEW = 0.5
"""If a smaller share of the slots of a channel or a year is filled, a warning names it, even if it
is within its limit."""


class Loss(NamedTuple):
    """The lost items of a kind, all items of the kind, and the share that the limit allows.

    `kinds` are the kinds of problem that count as this loss.
    """

    setting: str
    what: str
    bad: int
    total: int
    allowed: float
    kinds: tuple[str, ...] = ()

    @property
    def exceeds(self) -> bool:
        """Whether more items are lost than allowed, or there is no item at all."""
        return not self.total or self.bad > self.allowed * self.total

    def __str__(self) -> str:
        share = self.bad / max(1, self.total)
        return (
            f"{self.bad:,} of {self.total:,} {self.what} ({share:.2%}, allowed {self.allowed:.2%})"
        )


class Gap(NamedTuple):
    """The filled slots of a set, a channel or a year, and the least share that must be filled."""

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
        """Whether too few slots are filled, or there is no slot at all."""
        return not self.slots or self.share < self.least

    def __str__(self) -> str:
        return f"{self.where} {self.share:.1%}"


def losses(counts: dict, limits: dict) -> list[Loss]:
    """Return the losses by cause.

    A sample needs a row of the metadata and a folder of images. A malformed row often has a folder,
    so rows and folders are counted separately: lost rows as a share of all rows, lost folders as a
    share of all folders.

    Parameters
    ----------
    counts
        The counts of `catalogue`, with `members` and `members_ignored` of the zip.
    limits
        The limits of the configuration.
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
            # If there is no folder at all, the loss of rows reports the problem.
            max(1, rows - without_folder + unlisted),
            lost[1],
            ("folder_without_row", "unparsable_folder"),
        ),
        Loss(
            "limits.max_unplaced_fraction",
            "files of samples match no channel and time step, or another file is nearer",
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
    # A tree that a user unpacked has no members of a zip.
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
    """Return how many slots of each set, channel and year are filled, see `losses`."""
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
    """Return the settings of the limits that are exceeded."""
    found = [*losses(counts, limits), *gaps(counts, limits)]
    return list(dict.fromkeys(one.setting for one in found if one.exceeds))


def require_intact(
    counts: dict, problems: Path, limits: dict, *, ignored: dict[str, list[str]]
) -> None:
    """Raise SkymillError with the first problems when the tree is too damaged.

    Losses within the limits are logged as warnings.

    Parameters
    ----------
    counts
        The counts of `catalogue`, with `members` and `members_ignored` of the zip.
    problems
        The JSON lines of `catalogue`.
    limits
        The limits of the configuration.
    ignored
        By reason, the first members of the zip that were not unpacked.
    """
    _require_some(counts, problems)
    if regions := counts["regions_in_both_sets"]:
        raise SkymillError(
            f"{len(regions):,} active regions have samples in training and in test: "
            f"{', '.join(map(str, regions[:SHOWN]))}. The official sets share no region, so the "
            "files are not the published data set, and a test on them would be meaningless. Fetch "
            "the data set again."
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
            f"  {', '.join(str(gap) for gap in low if gap.setting == setting)}: {setting} requires "
            f"{limits[setting.removeprefix('limits.')]:.0%}\n"
            for setting in settings
        )
        raise SkymillError(
            "too few slots of the samples (4 time steps x 10 channels) contain a good image.\n"
            f"{listed}{_why_few(counts)}All problems are in {problems}. Fetch the data set "
            f"again, or lower {', '.join(settings)} if you expect that few."
        )
    if few := [str(gap) for gap in filled if gap.share < _FEW]:
        shown = ", ".join(few[:SHOWN]) + (f" and {len(few) - SHOWN:,} more" if few[SHOWN:] else "")
        logger.warning("SDOBenchmark: fewer than half of the slots contain an image: %s.", shown)


def _require_some(counts: dict, problems: Path) -> None:
    """Raise SkymillError when a set has no row, or the data set has no image."""
    for name, rows in counts["samples"].items():
        if rows:
            continue
        if malformed := counts["malformed_rows"][name]:
            raise SkymillError(
                f"every row of the metadata of the {name} set is malformed, all {malformed:,}.\n"
                f"{_shown(problems, ('malformed_row',))}"
                "The table does not have SDOBenchmark's form (id,start,end,peak_flux; times in "
                f"UTC). All problems are in {problems}. Fix the table, or fetch the data set again."
            )
        raise SkymillError(
            f"the metadata of the {name} set has no row. Fetch the data set again, or put a whole "
            "copy in its place."
        )
    if not counts["images"]:
        raise SkymillError(
            f"no sample has an image: 0 images for {sum(counts['samples'].values()):,} rows of the "
            f"metadata, {counts['samples_without_folder']:,} of them without a folder. See "
            f"{problems}, and put the whole data set in place."
        )


def _refuse(loss: Loss, counts: dict, problems: Path, ignored: dict[str, list[str]]) -> None:
    """Raise the error of a limit that is exceeded."""
    if loss.setting == "limits.max_ignored_members_fraction":
        causes = describe_ignored(ignored)
    elif loss.setting == "limits.max_unplaced_fraction":
        causes = _describe_shifts(counts)
    else:
        causes = ""
    raise SkymillError(
        f"{loss}.\n{causes}{_shown(problems, loss.kinds)}"
        f"All problems are in {problems}. Fix the data set or fetch it again, or raise "
        f"{loss.setting} if that many are expected."
    )


def _describe_shifts(counts: dict) -> str:
    """Return a line for each set whose unplaced images mostly have the same time shift."""
    return "".join(
        f"  {found['images']:,} of {found['unplaced']:,} unplaced images of the {name} set are "
        f"{describe_shift(found['seconds'])} their time steps: the times of its table and of its "
        "images are shifted.\n"
        for name, found in counts["images_shifted"].items()
        if found["images"] * 2 > found["unplaced"]
    )


def describe_shift(seconds: float) -> str:
    """Return a shift as text, such as `1:00:00 before`; days have 24 hours."""
    whole = int(abs(seconds))
    clock = f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{clock} {'before' if seconds < 0 else 'after'}"


def _why_few(counts: dict) -> str:
    """Return the statuses of the files that fill no slot."""
    statuses = {
        status: counts["images_by_status"][status]
        for status in (*NO_SLOT, *DAMAGED)
        if counts["images_by_status"][status]
    }
    said = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in statuses.items())
    return (f"Files that fill no slot: {said}. " if said else "") + "Other images are missing. "


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
    """Return a line for each reason why members were not unpacked, with the first members."""
    return "".join(
        f"  {reason.replace('_', ' ')}: {', '.join(names[:SHOWN_MEMBERS])}"
        f"{', ...' if len(names) > SHOWN_MEMBERS else ''}\n"
        for reason, names in ignored.items()
    )
