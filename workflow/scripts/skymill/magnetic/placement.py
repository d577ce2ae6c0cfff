"""The split of each record and, if there are folds, its fold.

`split.unit` says what a unit is. Units that share content are one unit. The functions of splits.py
assign the units.
"""

import numpy as np
import pandas as pd

from skymill.engine.errors import SkymillError
from skymill.magnetic.inputs import PARTITION_NAMES
from skymill.magnetic.regions import name_components
from skymill.magnetic.schema import LABELS, TRAIN_SPLITS
from skymill.magnetic.splits import (
    fold_records,
    fold_units,
    require_no_empty_fold,
    require_no_empty_split,
    required_splits,
    split_records,
    split_units,
    splits_of_folds,
)


def place(records: pd.DataFrame, split: dict, seed: int) -> pd.DataFrame:
    """Return the records with their split and fold.

    Parameters
    ----------
    records
        As `originals` of plan.make_plan. Synthetic records are placed like originals.
    split, seed
        As for plan.make_plan.

    Returns
    -------
    The records with `split`, by name, and `fold`, a nullable Int8 that is null without folds.

    Raises
    ------
    SkymillError
        When a required split or a fold would be empty, when no choice of whole regions puts every
        class into every split, or when a file has no split.
    """
    label = pd.Categorical(records["label"], categories=LABELS).codes.astype(np.int8)
    by_fractions, by_folds = UNITS[split["unit"]]
    if folds := split.get("folds"):
        fold = by_folds(records, label, folds, seed)
        require_no_empty_fold(fold, folds)
        numbers = splits_of_folds(fold, folds, split.get("fold") or 0)
        fold = pd.array(fold, dtype="Int8")
    else:
        numbers, required = by_fractions(records, label, split, seed)
        require_no_empty_split(numbers, required)
        fold = pd.array([pd.NA] * len(records), dtype="Int8")
    return records.assign(split=np.array(TRAIN_SPLITS, dtype=object)[numbers], fold=fold)


def _by_record(
    records: pd.DataFrame, label: np.ndarray, split: dict, seed: int
) -> tuple[np.ndarray, list]:
    fractions = split["fractions"]
    return split_records(_names(records), label, fractions, seed), required_splits(fractions)


def _by_region(
    records: pd.DataFrame, label: np.ndarray, split: dict, seed: int
) -> tuple[np.ndarray, list]:
    required = required_splits(split["fractions"])
    numbers, unmet = split_units(_units(records), label, split["fractions"], seed)
    if unmet:
        names = ", ".join(LABELS[code] for code in unmet)
        count = ("one region", "two regions", "three regions")[len(required) - 1]
        raise SkymillError(
            f"class {names} has {count} or more, but no choice of whole regions puts every class "
            f"into {', '.join(TRAIN_SPLITS[number] for number in required)}: the same few regions "
            "have several classes. Use more data. Or set split.unit to record and accept the leak."
        )
    return numbers, required


def _by_partition(
    records: pd.DataFrame, label: np.ndarray, split: dict, seed: int
) -> tuple[np.ndarray, list]:
    chosen = records["partition"].map(split["partitions"])
    if chosen.isna().any():
        missing = sorted(records["partition"][chosen.isna()].unique())
        raise SkymillError(
            f"split.partitions has no split for {', '.join(missing)}. List every training file "
            "there."
        )
    number = {name: n for n, name in enumerate(TRAIN_SPLITS)}
    required = sorted({number[name] for name in split["partitions"].values()})
    return chosen.map(number).to_numpy(np.int8), required


def _folds_of_records(
    records: pd.DataFrame, label: np.ndarray, folds: int, seed: int
) -> np.ndarray:
    return fold_records(_names(records), label, folds, seed)


def _folds_of_regions(
    records: pd.DataFrame, label: np.ndarray, folds: int, seed: int
) -> np.ndarray:
    return fold_units(_units(records), label, folds, seed)


def _folds_of_partitions(
    records: pd.DataFrame, label: np.ndarray, folds: int, seed: int
) -> np.ndarray:
    """Return the number of each record's file among the training files, in file order."""
    there = [name for name in PARTITION_NAMES if (records["partition"] == name).any()]
    if folds != len(there):
        raise SkymillError(
            f"split.folds is {folds}, but with split.unit: partition each training file is a fold, "
            f"and there are {len(there)} ({', '.join(there)}). Set split.folds to that number."
        )
    return records["partition"].map({name: n for n, name in enumerate(there)}).to_numpy(np.int8)


UNITS = {
    "region": (_by_region, _folds_of_regions),
    "record": (_by_record, _folds_of_records),
    "partition": (_by_partition, _folds_of_partitions),
}
"""By `split.unit`: the function that assigns units to splits (and returns the splits that must not
be empty), and the function that assigns units to folds. A unit is never divided between splits."""


def _names(records: pd.DataFrame) -> np.ndarray:
    return records["record_id"].to_numpy(np.int64)


def _units(records: pd.DataFrame) -> np.ndarray:
    """Return the units that must stay together: regions, joined if they share identical content.

    Windows with only placeholder values share no step that links regions. But an identical record
    in two splits would be a leak.
    """
    region = records["region"].to_numpy(np.int64)
    names, number = np.unique(region, return_inverse=True)
    content = records["content"].to_numpy()
    order = np.argsort(content, kind="stable")
    same = content[order[1:]] == content[order[:-1]]
    unit = name_components(names, number[order[:-1]][same], number[order[1:]][same])
    return unit[number]
