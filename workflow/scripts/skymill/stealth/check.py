"""The check of the auxiliary table: too many of its lines lost."""

import logging
from itertools import islice
from pathlib import Path

from skymill.engine.errors import SkymillError

logger = logging.getLogger(__name__)

SHOWN = 5
"""A message shows so many of the rejected lines."""


def lost_too_many(counts: dict, max_rejected_fraction: float) -> bool:
    """Return whether no row is left, or more lines were rejected than allowed."""
    total = counts["valid"] + counts["rejected"]
    return not counts["valid"] or counts["rejected"] > max_rejected_fraction * total


def require_accepted(counts: dict, quarantine: Path, max_rejected_fraction: float) -> None:
    """Raise SkymillError when too many lines were rejected; the message shows the first lines.

    A smaller loss is a warning.
    """
    total = counts["valid"] + counts["rejected"]
    reasons = ", ".join(f"{name} {count:,}" for name, count in counts["rejected_by_reason"].items())
    if not lost_too_many(counts, max_rejected_fraction):
        if counts["rejected"]:
            lost = f"{counts['rejected']:,} of {total:,} lines ({reasons})"
            logger.warning("the auxiliary table lost %s", lost)
        return
    with open(quarantine, encoding="utf-8") as stream:
        shown = "".join(f"  {line}" for line in islice(stream, SHOWN))
    share = f"{counts['rejected'] / total:.2%}, " if total else ""
    raise SkymillError(
        f"{counts['rejected']:,} of {total:,} lines of the auxiliary table were rejected ({share}"
        f"allowed {max_rejected_fraction:.2%}), {counts['valid']:,} rows are left: "
        f"{reasons or 'there is no line below the names of the columns'}.\n{shown}"
        f"{quarantine} lists all of them. Fix or replace the file, or raise "
        "limits.max_rejected_fraction if you expect this loss."
    )
