"""The gate behind the extraction: nights that lost too much, gave nothing, or are not whole."""

import json
import logging
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from skymill.engine.errors import SkymillError

logger = logging.getLogger(__name__)

UNREAD = ("tar", "avro")
"""Causes for which a packet cannot be read, so that not even its object is known."""

CORRUPT = (*UNREAD, "values", "gzip", "jpeg", "fits")
"""Causes for which a packet counts as corrupt."""

WITHOUT_STAMPS = {
    "null_cutout": "with a null cutout",
    "wrong_shape": "with stamps of a wrong shape",
    "dropped_at_edge": "dropped at the edge of the detector",
    "no_data": "with a stamp that is NaN everywhere",
}
"""Reasons for which a sound packet gives no stamps, and how they are told."""

OTHER_REASONS = ("unlabelled", *WITHOUT_STAMPS)
"""Reasons for which a sound packet is not kept."""

OFFENDERS = 5
"""How many corrupt packets a message shows."""

FEW = 5
"""A night of which fewer alerts than these have a labelled object is not judged by their shares."""


class Loss(NamedTuple):
    """What was lost for one kind of cause: so many of so many, and the limit of their share."""

    limit: str
    lost: int
    of: int
    what: str

    def exceeds(self, limits: dict) -> bool:
        """Return whether it is more than the configuration allows."""
        return self.lost > limits[self.limit] * self.of


def losses(counts: dict) -> list[Loss]:
    """Return what a night lost, by kind.

    Records that cannot be read are compared with all records. Those with damaged values or stamps,
    and sound ones without stamps, are compared with those that were looked at: unlabelled ones
    were not, and where these leave only a few, shares say nothing.
    """
    unread = sum(counts["corrupt_by_cause"].get(cause, 0) for cause in UNREAD)
    damaged = counts["corrupt"] - unread
    looked_at = counts["records"] - counts["unlabelled"] - unread
    without = sum(counts[reason] for reason in WITHOUT_STAMPS)
    files = counts["members"] + counts["ignored_members"] - counts["notes_of_macos"]
    ignored = counts["ignored_members"] - counts["notes_of_macos"]
    found = [
        Loss("max_corrupt_fraction", unread, counts["records"], "alerts cannot be read"),
        Loss("max_corrupt_fraction", damaged, looked_at, "alerts are corrupt"),
        Loss("max_lost_stamps_fraction", without, looked_at, "alerts give no stamps"),
        Loss(
            "max_repeated_fraction",
            counts["duplicates"],
            counts["kept"] + counts["duplicates"],
            "alerts repeat the candid of another one",
        ),
        Loss("max_ignored_fraction", ignored, files, "files are no alert files"),
    ]
    few = counts["unlabelled"] and looked_at < FEW
    return [loss for loss in found if not (few and loss.of == looked_at)]


def exceeded(counts: dict, limits: dict) -> list[str]:
    """Return the names of the limits that what a night lost exceeds, each once."""
    return [*dict.fromkeys(loss.limit for loss in losses(counts) if loss.exceeds(limits))]


def is_cut_short(night: str, document: dict, accept_truncated: list) -> bool:
    """Return whether a night's archive is not whole, and that was not accepted."""
    # YAML reads a bare 20181129 as a number.
    return document["truncated"] and night not in map(str, accept_truncated)


def gives_nothing(counts: dict) -> bool:
    """Return whether a night had something to read, and none of it was kept.

    A night of which only a few alerts were looked at may have been unlucky.
    """
    if counts["kept"]:
        return False
    if not counts["records"]:
        return counts["members"] > 0 or counts["ignored_members"] > counts["notes_of_macos"]
    lost = counts["records"] - counts["unlabelled"]
    return lost > 0 and not (counts["unlabelled"] and lost < FEW)


def told(counts: dict) -> str:
    """Return what a night lost as a part of a sentence; nothing if it lost nothing."""
    causes = counts["corrupt_by_cause"]
    by_cause = ", ".join(f"{cause} {count:,}" for cause, count in causes.items())
    parts = [f"{counts['corrupt']:,} corrupt ({by_cause})"] if counts["corrupt"] else []
    parts += [
        f"{counts[reason]:,} {text}" for reason, text in WITHOUT_STAMPS.items() if counts[reason]
    ]
    if ignored := counts["ignored_members"] - counts["notes_of_macos"]:
        parts.append(f"{ignored:,} files beside them are no alert files")
    return ", ".join(parts)


def require_sound(
    night: str, manifest: dict, quarantine: Path, *, limits: dict, accept_truncated: list
) -> None:
    """Raise SkymillError when a night is broken off, gave nothing, or lost more than is allowed.

    Less is a warning.

    Parameters
    ----------
    night, manifest, quarantine
        The night's name, and what `extract_night` wrote about it.
    limits
        The section `limits` of the configuration.
    accept_truncated
        Nights of which the part that was read is enough.
    """
    counts = manifest["counts"]
    records = counts["records"]
    if is_cut_short(night, manifest, accept_truncated):
        raise SkymillError(
            f"the archive of night {night} is not whole: {manifest['broken_off']}. "
            f"{records:,} alerts were read before, {counts['kept']:,} of them kept; how many are "
            "missing cannot be known. Fetch it again, or add the night to ztf.accept_truncated "
            "to go on with what was read."
        )
    if gives_nothing(counts):
        raise SkymillError(
            f"night {night} gives nothing: it has {_described(manifest)}, and none of them could "
            f"be kept.\n{_first_losses(quarantine)}Replace its files, or take the night out of "
            "ztf.nights."
        )
    for loss in losses(counts):
        if not loss.exceeds(limits):
            continue
        causes = ", ".join(f"{cause} {n:,}" for cause, n in counts["corrupt_by_cause"].items())
        details = {"max_corrupt_fraction": causes, "max_ignored_fraction": _names(manifest)}
        detail = f": {details[loss.limit]}" if loss.limit in details else ""
        raise SkymillError(
            f"{loss.lost:,} of {loss.of:,} {loss.what} in night {night} "
            f"({loss.lost / loss.of:.2%}, allowed {limits[loss.limit]:.2%}){detail}.\n"
            + _first_losses(quarantine, loss)
            + f"Fetch the night again, or raise limits.{loss.limit} if that many are expected."
        )
    if lost := told(counts):
        logger.warning("night %s: of %s alerts %s", night, f"{records:,}", lost)


def require_some(documents: Iterable[dict]) -> None:
    """Raise SkymillError when nights had alerts to keep, and all of them together give none."""
    counts = [document["counts"] for document in documents]
    lost = sum(found["records"] - found["unlabelled"] for found in counts)
    if lost and not any(found["kept"] for found in counts):
        raise SkymillError(
            f"the nights give nothing: each of the {lost:,} alerts that were looked at was lost. "
            "The quarantine of each night (interim/ztf/quarantine in the results folder) says why."
        )


def _described(manifest: dict) -> str:
    """Return what a night that gave nothing has."""
    counts = manifest["counts"]
    if counts["records"]:
        return f"{counts['records']:,} alerts ({told(counts)})"
    if counts["members"]:
        return f"{counts['members']:,} alert files without a single alert in them"
    return f"{counts['ignored_members']:,} files, no alert among them ({_names(manifest)})"


def _names(manifest: dict) -> str:
    """Return the first few names of files that are no alert files."""
    names = manifest["ignored"][:OFFENDERS]
    return ", ".join([*names, "..."] if len(manifest["ignored"]) > len(names) else names)


def _first_losses(quarantine: Path, loss: Loss | None = None) -> str:
    """Return the first lines of the quarantine that tell of a loss, and where the others are."""
    wanted = {"max_corrupt_fraction": CORRUPT, "max_lost_stamps_fraction": (*WITHOUT_STAMPS,)}
    causes = wanted.get(loss.limit, ()) if loss else OTHER_REASONS + CORRUPT
    with open(quarantine, encoding="utf-8") as stream:
        lines = (line.rstrip("\n") for line in stream if json.loads(line)["cause"] in causes)
        first = list(islice(lines, OFFENDERS))
    if not first:
        return ""
    return "".join(f"  {line}\n" for line in first) + f"All of them stand in {quarantine}. "
