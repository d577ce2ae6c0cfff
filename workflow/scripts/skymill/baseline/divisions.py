"""Divide records into train, validation and test for a trial, by the rules of the project.

The plan of a data set is not changed. Each unit of `split.unit` is tried, with clean and with
augmented train. The published order is tried as well, which augments before it splits.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.engine.errors import SkymillError
from skymill.engine.randomness import key
from skymill.magnetic.placement import UNITS
from skymill.magnetic.plan import make_plan
from skymill.magnetic.plan_table import METHODS
from skymill.magnetic.schema import TRAIN_SPLITS
from skymill.ztf.object_hashes import fractions, name_hashes

CLEAN, AUGMENTED, BEFORE = "clean", "augmented", "augmented before the split"
"""Train sets: only records; with copies of train records; with copies made before the split."""


@dataclass(frozen=True)
class Division:
    """Rows of a table of statistics, int64, in each split.

    Train may contain a row several times: a duplicate has the row of its original.
    """

    unit: str
    train_set: str
    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray


def divide_records(
    originals: pd.DataFrame, keys: pd.DataFrame, settings: Mapping
) -> tuple[list[Division], dict[str, str]]:
    """Divide magnetic records by each unit.

    Parameters
    ----------
    originals
        The originals of plan.make_plan, sorted by record_id.
    keys
        The rows of the statistics: record_id, method and copy, see records.KEYS.
    settings
        `seed`, `augmentation`, `magnetic.quiet_per_flare`, `split.fractions` and
        `split.partitions`, as in the configuration.

    Returns
    -------
    The divisions, and by unit the reasons why a unit has no division.

    Raises
    ------
    SkymillError
        If no unit has a division. The message contains the reasons.
    """
    seed, augmentation = settings["seed"], settings["augmentation"]
    quiet = settings["magnetic.quiet_per_flare"]
    find = _RowsOfPlan(originals, keys)
    found, left_out = [], {}
    for unit in UNITS:
        split = {
            "unit": unit,
            "augment": "train",
            "fractions": settings["split.fractions"],
            "partitions": settings["split.partitions"],
        }
        try:
            plans = {
                CLEAN: make_plan(originals, split, {}, seed)[0],
                AUGMENTED: make_plan(originals, split, augmentation, seed, quiet)[0],
            }
            if unit == "record":
                first = {**split, "augment": "all"}
                plans[BEFORE] = make_plan(originals, first, augmentation, seed, quiet)[0]
            found += [find.division(unit, name, plan) for name, plan in plans.items()]
        except SkymillError as error:
            left_out[unit] = str(error)
    if not found:
        reasons = " ".join(f"{unit}: {why}" for unit, why in left_out.items())
        raise SkymillError(f"the records cannot be divided for the baseline. {reasons}")
    return found, left_out


class _RowsOfPlan:
    """Find the statistics of planned records."""

    def __init__(self, originals: pd.DataFrame, keys: pd.DataFrame):
        self._record_id = originals["record_id"].to_numpy(np.int64)
        self._copies = int(keys["copy"].max()) + 1
        number = self._number(keys["record_id"], keys["method"], keys["copy"])
        self._order = np.argsort(number)
        self._number_of_row = number[self._order]

    def _number(self, record_id, method, copy) -> np.ndarray:
        """Return a number for each record or copy. A duplicate has the number of its original."""
        place = np.searchsorted(self._record_id, record_id.to_numpy(np.int64))
        method = method.to_numpy(object)
        rank = np.zeros(len(method), dtype=np.int64)
        for number, name in enumerate(METHODS):
            rank[method == name] = 0 if name == "duplicate" else number
        copy = np.where(rank > 0, copy.to_numpy(np.int64), 0)
        return (place * len(METHODS) + rank) * self._copies + copy

    def division(self, unit: str, name: str, plan: pa.Table) -> Division:
        """Return the division of a plan. Raise SkymillError if one of its splits is empty."""
        parent = plan["parent"].to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        record_id = plan["record_id"].to_pandas()
        method = plan["method"].cast(pa.string()).to_pandas()
        number = self._number(parent.fillna(record_id), method, plan["copy"].to_pandas())
        rows = self._order[np.searchsorted(self._number_of_row, number)]
        split = plan["split"].cast(pa.string()).to_numpy(zero_copy_only=False)
        parts = {part: rows[split == part] for part in TRAIN_SPLITS}
        for part, members in parts.items():
            if not len(members):
                setting = "split.partitions" if unit == "partition" else "split.fractions"
                raise SkymillError(f"{setting} leaves {part} without a record.")
        return Division(unit, name, **parts)


def divide_alerts(keys: pa.Table, split: dict, seed: int) -> list[Division]:
    """Divide alerts by groups of objects at the same place, and by single alerts.

    Parameters
    ----------
    keys
        `group` (string) and `candid` (int64) of the rows of the statistics.
    split
        Shares of `validation` and `test`, as in `ztf.split`.
    """
    names = {"group": keys["group"], "alert": keys["candid"].cast(pa.string())}
    found = []
    for unit, name in names.items():
        share = fractions(name_hashes(name, key(seed, "ztf", "split")))
        in_test = share < split["test"]
        in_dev = ~in_test & (share < split["test"] + split["validation"])
        parts = map(np.flatnonzero, (~in_test & ~in_dev, in_dev, in_test))
        found.append(Division(unit, CLEAN, *parts))
    return found
