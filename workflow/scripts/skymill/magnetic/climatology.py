"""Undersampling that keeps the climatology: fewer records in the same ratios.

X flares are rarer than M flares, and quiet hours are more frequent than weak flares. If every
class were balanced separately, a model would learn other ratios than those of the Sun. So records
are thinned in two groups: X and M, and C, B and Q. In each file, each class of a group loses the
same share.
"""

import logging
from fractions import Fraction

import numpy as np
import pandas as pd

from skymill.engine.randomness import key, smallest

logger = logging.getLogger(__name__)

FLARING = ("X", "M")
QUIET = ("C", "B", "Q")


def thinned(records: pd.DataFrame, quiet_per_flare: float, seed: int) -> np.ndarray:
    """Choose the records to remove, so that each file has the ratio `quiet_per_flare`.

    The group that is too large for the ratio is thinned. A file without records of one of the two
    groups has no ratio and is not thinned.

    Parameters
    ----------
    records
        record_id (int64), partition and label of each.
    quiet_per_flare
        Records of the classes QUIET per record of the classes FLARING, above 0.
    seed
        The seed of the choice within a class.

    Returns
    -------
    The ids of the records to remove, int64.
    """
    gone = [np.empty(0, np.int64)]
    for partition, part in records.groupby("partition", sort=True):
        counts = part["label"].value_counts().to_dict()
        for group in (FLARING, QUIET):
            if not any(counts.get(label) for label in group):
                logger.warning(
                    "%s has no record of class %s, so magnetic.quiet_per_flare does not apply: "
                    "its records are not thinned",
                    partition,
                    " or ".join(group),
                )
        for label, kept in kept_of_classes(counts, quiet_per_flare).items():
            members = part.loc[part["label"] == label, "record_id"].to_numpy(np.int64)
            drawn = key(seed, "climatology", str(partition), label)
            gone.append(smallest(members, len(members) - kept, drawn))
    return np.concatenate(gone)


def kept_of_classes(counts: dict[str, int], quiet_per_flare: float) -> dict[str, int]:
    """Return how many records of each class of a file are kept, see thinned.

    `counts` are the records of the file by class.
    """
    ratio = Fraction(str(quiet_per_flare))
    groups = [{name: counts.get(name, 0) for name in group} for group in (FLARING, QUIET)]
    flares, quiet = (sum(group.values()) for group in groups)
    if flares and quiet:
        if quiet > ratio * flares:
            quiet = int(ratio * flares)
        else:
            flares = int(quiet / ratio)
    return {
        name: kept
        for group, total in zip(groups, (flares, quiet), strict=True)
        for name, kept in in_proportion(group, total).items()
    }


def in_proportion(counts: dict[str, int], total: int) -> dict[str, int]:
    """Return `total` records in the proportions of the counts, by the largest remainders."""
    everything = sum(counts.values())
    if not everything:
        return counts
    shares = {name: Fraction(count * total, everything) for name, count in counts.items()}
    kept = {name: int(share) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: kept[name] - shares[name])
    for name in by_remainder[: total - sum(kept.values())]:
        kept[name] += 1
    return kept
