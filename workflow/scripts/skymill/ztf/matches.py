"""Check that the list of labels and the nights have objects in common."""

import logging
from pathlib import Path

import pyarrow as pa

from skymill.engine.errors import SkymillError
from skymill.engine.tables import read_table
from skymill.ztf.object_ids import respelt

logger = logging.getLogger(__name__)

SHOWN = 3
"""Number of objects of the list that a message names."""


def require_matches(counts: dict, nights: list[dict], labels: Path) -> None:
    """Raise SkymillError when no alert of the nights has an object with a label.

    The message says if objects do not match only because the list spells names differently from
    ZTF. If other objects match, a warning says it instead.

    Parameters
    ----------
    counts
        The counts of make_plan.
    nights
        The counts of each night: alerts of objects without a label may have been left out.
    labels
        The labels, Parquet with object_id.
    """
    unlabelled = sum(night["unlabelled"] for night in nights)
    alerts = unlabelled + counts["alerts"]
    missed = sum(night["respelt"] for night in nights)
    if not alerts or (counts["matched_objects"] and not missed and not counts["respelt_objects"]):
        return
    names = read_table(labels, columns=["object_id"])["object_id"].cast(pa.string())
    spellings = respelt(names)
    examples = ", ".join(f"{text} for {name}" for name, text in sorted(spellings.items())[:SHOWN])
    if missed or counts["respelt_objects"]:
        # If all alerts are kept, the plan has counted the objects; otherwise the nights have
        # counted the alerts.
        what = f"{missed:,} alerts" if missed else f"{counts['respelt_objects']:,} objects"
        hint = (
            f"{what} of these nights would match if the list used ZTF's spelling of names (it has "
            f"{examples})"
        )
    else:
        shown = ", ".join(sorted(names.to_pylist()[:SHOWN]))
        hint = f"the list has {len(names):,} objects, such as {shown}"
    if counts["matched_objects"]:
        logger.warning("Some objects of the nights are not matched: %s", hint)
        return
    raise SkymillError(
        f"none of the {alerts:,} alerts of these nights is of an object in the list of labels: "
        f"{hint}. Fix the names in the list, or use another list (labels.file, labels.source) or "
        "other nights (ztf.nights)."
    )
