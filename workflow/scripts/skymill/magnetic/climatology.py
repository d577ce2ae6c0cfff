"""Undersampling that keeps the climatology: fewer records, and the same ratios among them.

Flares of class X are rarer than those of class M, and quiet hours more frequent than weak flares.
A model that is trained on classes balanced one by one learns other ratios than the Sun has. So
records are thinned in two groups, X with M and C with B and Q: each class of a group loses the same
share, file by file.
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
    """Choose the records that go, so that each file has so many quiet ones for each flare.

    The group that is too large for the other one is thinned. A file without one of the two groups
    has no such ratio, and stays as it is.

    Parameters
    ----------
    records
        record_id (int64), partition and label of each.
    quiet_per_flare
        Records of QUIET for each one of FLARING, above 0.
    seed
        Of the choice within a class.

    Returns
    -------
    The ids of the records that go, int64.
    """
    gone = [np.empty(0, np.int64)]
    for partition, part in records.groupby("partition", sort=True):
        counts = part["label"].value_counts().to_dict()
        for group in (FLARING, QUIET):
            if not any(counts.get(label) for label in group):
                logger.warning(
                    "%s has no record of class %s to keep a ratio to (magnetic.quiet_per_flare): "
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
    """Return how many records of each class of a file are kept; see thinned.

    `counts` are those of the file's records by class.
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
