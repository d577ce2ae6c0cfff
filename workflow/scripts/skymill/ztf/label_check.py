"""Check the list of labels: stop if too many of its rows or objects are lost."""

import json
from itertools import islice
from pathlib import Path

from skymill.engine.errors import SkymillError

SHOWN = 5
"""Number of lost rows or objects that a message shows."""

_LIMITS = {
    "max_rejected_labels_fraction": ("rejected", "rows", "rows of the list of labels are rejected"),
    "max_conflicting_labels_fraction": (
        "undecided_objects",
        "objects",
        "objects of the list of labels are left out because they have several classes",
    ),
}
"""By limit: the counts of lost and of all items, and the text for messages."""


def exceeded(counts: dict, limits: dict) -> list[str]:
    """Return the limits that a list of labels exceeds. Rows that a filter removes are not lost."""
    return [
        limit
        for limit, (lost, all_of, _) in _LIMITS.items()
        if counts[lost] > limits[limit] * counts[all_of]
    ]


def require_sound(counts: dict, problems: Path, limits: dict) -> None:
    """Raise SkymillError when too many rows or objects are lost. The error shows the first ones.

    Parameters
    ----------
    counts, problems
        The counts of read_labels, and its file of problems.
    limits
        The section `limits` of the configuration.
    """
    for limit in exceeded(counts, limits):
        lost, all_of, what = _LIMITS[limit]
        with open(problems, encoding="utf-8") as stream:
            entries = (line for line in stream if _is_of(json.loads(line), lost))
            shown = "".join(f"  {line}" for line in islice(entries, SHOWN))
        reasons = ", ".join(f"{why} {n:,}" for why, n in counts["rejected_by_reason"].items())
        advice = f": {reasons}" if lost == "rejected" else ""
        raise SkymillError(
            f"{counts[lost]:,} of {counts[all_of]:,} {what} "
            f"({counts[lost] / counts[all_of]:.2%}, allowed {limits[limit]:.2%}){advice}.\n{shown}"
            f"All are listed in {problems}. Fix or replace the list, check labels.columns, or "
            f"raise limits.{limit} if that many are expected."
        )


def _is_of(entry: dict, lost: str) -> bool:
    """Return whether an entry of the problems counts for a limit."""
    return "line" in entry if lost == "rejected" else entry["reason"] == "conflict"
