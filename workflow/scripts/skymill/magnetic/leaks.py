"""The leak check: do two splits contain the same regions, parents or contents?"""

import logging

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.engine.errors import SkymillError
from skymill.magnetic.fingerprints import TRIVIAL
from skymill.magnetic.inputs import CUP, SWAN
from skymill.magnetic.places import pairs_of_numbers
from skymill.magnetic.schema import TRAIN_SPLITS

logger = logging.getLogger(__name__)

SHOWN = 5

_OF_CUP = {
    "proven": "If all three counts are 0, no two splits contain windows that share a time step, "
    "directly or by a chain of other windows. A shared step is equal in all 32 magnetic "
    "parameters, and eight or more of them are finite and not 0. No two splits contain copies of "
    "the same record, or records with equal values.",
    "not_proven": "That no two splits contain windows of the same active region. The files have no "
    "region numbers. Here a region is a chain of windows that share steps. If windows in between "
    "are missing, the chain breaks, and its parts count as several regions. Overlap with the test "
    "file is counted, not prevented.",
}
_OF_SWAN = {
    "proven": "If all five counts are 0, no two splits contain windows of the same HARP, or of "
    "HARPs with a common NOAA number (by SWAN-SF's steps or JSOC's table). No two splits contain "
    "windows that share a time step, directly or by a chain of other windows. A shared step is "
    "equal in all 24 parameters, and eight or more of them are finite and not 0. No two splits "
    "contain copies of the same record, or records with equal values.",
    "not_proven": "That no two splits contain windows of the same time: several regions are on the "
    "Sun at the same time. That a region stays in its split when it returns after a rotation of "
    "the Sun: the region gets a new HARP and a new NOAA number.",
}
STATEMENTS = {CUP.name: _OF_CUP, SWAN.name: _OF_SWAN}
"""What the receipt proves and what it does not prove, by `magnetic.input`."""


def find_leaks(plan: pd.DataFrame, content: pd.Series, places: pa.Table | None = None) -> dict:
    """Count the regions, parents and contents that are in more than one split of a plan.

    Parameters
    ----------
    plan
        A row per record: record_id, parent (null for originals), region, split.
    content
        Content digest of each clean record, indexed by record_id. A synthetic record has the
        content of its parent.
    places
        The plan as a table, if it has the columns of places.PLACES.

    Returns
    -------
    For regions, parents and contents, and in SWAN-SF also for HARPs and NOAA numbers: how many are
    in two splits or more, and the first few records.
    """
    origin = plan["parent"].fillna(plan["record_id"]).astype(np.int64)
    rows = np.arange(len(plan))
    kinds = {
        "regions": (rows, plan["region"].to_numpy()),
        "parents": (rows, origin.to_numpy()),
        "contents": (rows, pd.factorize(content.loc[origin])[0]),
    }
    if places is not None:
        numbers, carriers = pairs_of_numbers(places, "harp")
        kinds["harps"] = (rows, places["harp"].to_numpy())
        kinds["noaa_numbers"] = (carriers, numbers[:, 1])
    return {name: _torn(plan, *kind) for name, kind in kinds.items()}


def _torn(plan: pd.DataFrame, rows: np.ndarray, value: np.ndarray) -> dict:
    """Count the values that are in rows of several splits. A row may have several values."""
    torn = plan["split"].iloc[rows].groupby(value).nunique()
    torn = torn[torn > 1].index
    inside = plan.iloc[np.unique(rows[np.isin(value, torn.to_numpy())])]
    return {
        "in_several_splits": len(torn),
        "records": len(inside),
        "first_records": [int(number) for number in inside["record_id"].head(SHOWN)],
    }


def find_overlap(
    split: pd.Series, train_ids: np.ndarray, train_steps: np.ndarray, test_steps: np.ndarray
) -> dict:
    """Count training records that share a non-trivial step with the test file, per split.

    Parameters
    ----------
    split
        Split of each planned original, indexed by record_id.
    train_ids
        int64, shape (records,): the training records that `train_steps` describes.
    train_steps, test_steps
        uint64 fingerprints, shape (records, 60).
    """
    known = np.unique(test_steps)
    shared = (np.isin(train_steps, known) & (train_steps != TRIVIAL)).any(axis=1)
    in_split = split.reindex(train_ids[shared]).value_counts()
    seen = np.unique(train_steps[shared])
    reverse = (np.isin(test_steps, seen) & (test_steps != TRIVIAL)).any(axis=1)
    return {
        "test_records": int(reverse.sum()),
        "training_records": int(shared.sum()),
        "by_split": {name: int(in_split.get(name, 0)) for name in TRAIN_SPLITS},
    }


def require_no_leak(leaks: dict, unit: str) -> None:
    """Raise SkymillError on a leak if `split.unit` is region.

    With another unit, HARPs in several splits cause a warning.
    """
    if unit != "region":
        harps = leaks.get("harps", {"in_several_splits": 0})
        if harps["in_several_splits"]:
            logger.warning(
                "%s HARPs have windows in several splits (%s records, split.unit: %s): their "
                "windows overlap in time",
                f"{harps['in_several_splits']:,}",
                f"{harps['records']:,}",
                unit,
            )
        return
    torn = {name: leak for name, leak in leaks.items() if leak["in_several_splits"]}
    if torn:
        said = "; ".join(
            f"{leak['in_several_splits']:,} {name} in several splits (records "
            f"{', '.join(map(str, leak['first_records']))} ...)"
            for name, leak in torn.items()
        )
        raise SkymillError(
            f"the plan leaks between splits: {said}. With split.unit: region, a leak is a bug in "
            "Skymill. Please report it and attach plan.parquet."
        )
