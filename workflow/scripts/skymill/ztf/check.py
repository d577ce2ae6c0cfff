"""Check extracted nights: stop if a night lost too many alerts, kept no alert, or is not whole."""

import json
import logging
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from skymill.engine.errors import SkymillError

logger = logging.getLogger(__name__)

UNREAD = ("tar", "avro")
"""Causes why a packet cannot be read. Even its object is unknown."""

CORRUPT = (*UNREAD, "values", "gzip", "jpeg", "fits")
"""Causes why a packet counts as corrupt."""

WITHOUT_STAMPS = {
    "null_cutout": "with a null cutout",
    "wrong_shape": "with stamps of a wrong shape",
    "dropped_at_edge": "dropped at the edge of the detector",
    "no_data": "with a stamp that is NaN everywhere",
}
"""Reasons why a sound packet has no usable stamps, and the text for messages."""

OTHER_REASONS = ("unlabelled", *WITHOUT_STAMPS)
"""Reasons why a sound packet is not kept."""

OFFENDERS = 5
"""Number of lost packets that a message shows."""

FEW = 5
"""If fewer alerts of a night have a labelled object, their shares are not compared with limits."""


class Loss(NamedTuple):
    """A kind of loss: the setting of its limit, the lost items, all items, and a description."""

    limit: str
    lost: int
    of: int
    what: str

    def exceeds(self, limits: dict) -> bool:
        """Return whether the share is larger than the configuration allows."""
        return self.lost > limits[self.limit] * self.of


def losses(counts: dict) -> list[Loss]:
    """Return the losses of a night, by kind.

    Records that cannot be read are compared with all records. Records with damaged values or
    stamps, and sound records without stamps, are compared with the records that were decoded.
    Unlabelled records are not decoded. If only a few records were decoded, their shares mean
    nothing.
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
        Loss("max_lost_stamps_fraction", without, looked_at, "alerts have no usable stamps"),
        Loss(
            "max_repeated_fraction",
            counts["duplicates"],
            counts["kept"] + counts["duplicates"],
            "alerts repeat the candid of another alert",
        ),
        Loss("max_ignored_fraction", ignored, files, "files are not alert files"),
    ]
    few = counts["unlabelled"] and looked_at < FEW
    return [loss for loss in found if not (few and loss.of == looked_at)]


def exceeded(counts: dict, limits: dict) -> list[str]:
    """Return the names of the limits that a night exceeds, each once."""
    return [*dict.fromkeys(loss.limit for loss in losses(counts) if loss.exceeds(limits))]


def is_cut_short(night: str, document: dict, accept_truncated: list) -> bool:
    """Return whether a night's archive is not whole and the settings do not accept this."""
    # YAML reads a bare 20181129 as a number.
    return document["truncated"] and night not in map(str, accept_truncated)


def gives_nothing(counts: dict) -> bool:
    """Return whether a night had alerts or files to read, but kept no alert.

    A night of which only a few alerts were decoded may lose all of them by chance.
    """
    if counts["kept"]:
        return False
    if not counts["records"]:
        return counts["members"] > 0 or counts["ignored_members"] > counts["notes_of_macos"]
    lost = counts["records"] - counts["unlabelled"]
    return lost > 0 and not (counts["unlabelled"] and lost < FEW)


def describe_losses(counts: dict) -> str:
    """Return the losses of a night as a part of a sentence; an empty text if there is no loss."""
    causes = counts["corrupt_by_cause"]
    by_cause = ", ".join(f"{cause} {count:,}" for cause, count in causes.items())
    parts = [f"{counts['corrupt']:,} corrupt ({by_cause})"] if counts["corrupt"] else []
    parts += [
        f"{counts[reason]:,} {text}" for reason, text in WITHOUT_STAMPS.items() if counts[reason]
    ]
    if ignored := counts["ignored_members"] - counts["notes_of_macos"]:
        parts.append(f"{ignored:,} other files are not alert files")
    return ", ".join(parts)


def require_sound(
    night: str, manifest: dict, quarantine: Path, *, limits: dict, accept_truncated: list
) -> None:
    """Raise SkymillError when a night is cut short, kept no alert, or lost more than is allowed.

    Smaller losses are logged as a warning.

    Parameters
    ----------
    night, manifest, quarantine
        The night's name, and the manifest and quarantine that `extract_night` wrote.
    limits
        The section `limits` of the configuration.
    accept_truncated
        Nights whose archives need not be whole.
    """
    counts = manifest["counts"]
    records = counts["records"]
    if is_cut_short(night, manifest, accept_truncated):
        raise SkymillError(
            f"the archive of night {night} is not whole: {manifest['broken_off']}. "
            f"{records:,} alerts were read before, {counts['kept']:,} of them kept. The number of "
            "missing alerts is unknown. Fetch the archive again, or add the night to "
            "ztf.accept_truncated to use the alerts that were read."
        )
    if gives_nothing(counts):
        raise SkymillError(
            f"night {night} has no usable alert: it has {_described(manifest)}, and none could "
            f"be kept.\n{_first_losses(quarantine)}Replace its files, or remove the night from "
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
    if lost := describe_losses(counts):
        logger.warning("night %s: of %s alerts %s", night, f"{records:,}", lost)


def require_some(documents: Iterable[dict]) -> None:
    """Raise SkymillError when nights had alerts to keep, but no night kept an alert."""
    counts = [document["counts"] for document in documents]
    lost = sum(found["records"] - found["unlabelled"] for found in counts)
    if lost and not any(found["kept"] for found in counts):
        raise SkymillError(
            f"the nights have no usable alert: all {lost:,} alerts that were decoded are lost. "
            "The quarantine of each night (interim/ztf/quarantine in the results folder) says why."
        )


def _described(manifest: dict) -> str:
    """Describe the alerts and files of a night that kept no alert."""
    counts = manifest["counts"]
    if counts["records"]:
        return f"{counts['records']:,} alerts ({describe_losses(counts)})"
    if counts["members"]:
        return f"{counts['members']:,} alert files without any alert"
    return f"{counts['ignored_members']:,} files, but no alert file ({_names(manifest)})"


def _names(manifest: dict) -> str:
    """Return the first names of files that are not alert files."""
    names = manifest["ignored"][:OFFENDERS]
    return ", ".join([*names, "..."] if len(manifest["ignored"]) > len(names) else names)


def _first_losses(quarantine: Path, loss: Loss | None = None) -> str:
    """Return the first lines of the quarantine about a loss, and the path of the quarantine."""
    by_limit = {"max_corrupt_fraction": CORRUPT, "max_lost_stamps_fraction": (*WITHOUT_STAMPS,)}
    causes = by_limit.get(loss.limit, ()) if loss else OTHER_REASONS + CORRUPT
    with open(quarantine, encoding="utf-8") as stream:
        lines = (line.rstrip("\n") for line in stream if json.loads(line)["cause"] in causes)
        first = list(islice(lines, OFFENDERS))
    if not first:
        return ""
    return "".join(f"  {line}\n" for line in first) + f"All are listed in {quarantine}. "
