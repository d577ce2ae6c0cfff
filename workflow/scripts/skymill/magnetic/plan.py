"""The plan: one row per training record of the data set that will be written.

The plan decides everything about splits and augmentation, using only ids, labels, regions and
digests. Later stages only execute the plan.
"""

from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.engine.errors import SkymillError
from skymill.engine.randomness import key, smallest
from skymill.magnetic.climatology import thinned
from skymill.magnetic.placement import place
from skymill.magnetic.plan_counts import count_plan
from skymill.magnetic.plan_table import CHANGED, METHODS, PLAN_SCHEMA
from skymill.magnetic.schema import LABELS


def make_plan(
    originals: pd.DataFrame,
    split: dict,
    augmentation: dict,
    seed: int,
    quiet_per_flare: float | None = None,
) -> tuple[pa.Table, dict]:
    """Choose the split of every record and the synthetic copies to make.

    Parameters
    ----------
    originals
        One row per clean training record, in any order: record_id (int64, unique), partition
        (str), label (str), region (int64), content (bytes).
    split
        The settings `unit` (region, record, partition), `augment` (`train`: split first, then
        augment only train records; `all`: augment everything, then split), and either `folds` with
        `fold` (the test fold; 0 if None), or `fractions` (for unit partition `partitions`: the
        split of each file).
    augmentation
        Per class: `warp` and `scale` (copies of each record), `duplicate` (fraction, times),
        `undersample` (fraction of the records removed).
    seed
        Seed of every random choice.
    quiet_per_flare
        The ratio to which records are thinned before augmentation, see climatology.thinned. None
        keeps all records.

    Returns
    -------
    plan
        A table of PLAN_SCHEMA.
    counts
        See plan_counts.count_plan.
    """
    originals = originals.sort_values("record_id", ignore_index=True)
    largest_id = int(originals["record_id"].max())
    if split["augment"] == "train":
        placed = _as_planned(place(originals, split, seed))
        # Each split has its own frame, so that no copy can be made from a held-out record.
        train = placed[placed["split"] == "train"]
        held_out = placed[placed["split"] != "train"]
        augmented, removed = _augment(train, augmentation, seed, largest_id, quiet_per_flare)
        plan = pd.concat([held_out, augmented], ignore_index=True)
    else:
        plan, removed = _augment(originals, augmentation, seed, largest_id, quiet_per_flare)
        plan = placed = place(plan, split, seed)
    plan = plan.sort_values("record_id", ignore_index=True)
    table = pa.Table.from_arrays(
        [pa.array(plan[field.name], type=field.type, from_pandas=True) for field in PLAN_SCHEMA],
        schema=PLAN_SCHEMA,
    )
    return table, count_plan(originals, placed, plan, removed, split)


def augmented_counts(records: int, label_settings: dict) -> dict[str, int]:
    """Return how many records of one class an augmentation makes, by method.

    The counts are floor(fraction x records), with the decimal fraction of the configuration: 0.29
    of 100 is 29, although 0.29 * 100 is less than 29 in binary.
    """
    duplicate = label_settings.get("duplicate", {"fraction": 0, "times": 0})
    removed = _share(label_settings.get("undersample", 0), records)
    return {
        "original": records - removed,
        **{method: records * label_settings.get(method, 0) for method in CHANGED},
        "duplicate": _share(duplicate["fraction"], records) * duplicate["times"],
    }


def _share(fraction: float, records: int) -> int:
    return int(Fraction(str(fraction)) * records)


def _as_planned(records: pd.DataFrame) -> pd.DataFrame:
    parent = pd.array([pd.NA] * len(records), dtype="Int64")
    return records.assign(parent=parent, method="original", copy=0)


def _augment(
    records: pd.DataFrame,
    augmentation: dict,
    seed: int,
    largest_id: int,
    quiet_per_flare: float | None,
) -> tuple[pd.DataFrame, dict]:
    """Return the kept originals with the synthetic records, and the removed records by class."""
    before = records["label"].value_counts()
    if quiet_per_flare is not None:
        records = records[~records["record_id"].isin(thinned(records, quiet_per_flare, seed))]
    kept, made, removed = [], [], {}
    for label in LABELS:
        settings = augmentation.get(label, {})
        members = records[records["label"] == label]
        identifiers = members["record_id"].to_numpy(np.int64)
        counts = augmented_counts(len(members), settings)
        removed[label] = int(before.get(label, 0)) - counts["original"]
        undersampled = len(members) - counts["original"]
        gone = smallest(identifiers, undersampled, key(seed, "undersample", label))
        kept.append(_as_planned(members[~members["record_id"].isin(gone)]))
        for method in CHANGED:
            for copy in range(1, settings.get(method, 0) + 1):
                made.append(members.assign(method=method, copy=copy))
        duplicate = settings.get("duplicate", {"fraction": 0, "times": 0})
        chosen = smallest(
            identifiers,
            _share(duplicate["fraction"], len(members)),
            key(seed, "duplicate", label),
        )
        twins = members[members["record_id"].isin(chosen)]
        for copy in range(1, duplicate["times"] + 1):
            made.append(twins.assign(method="duplicate", copy=copy))
    synthetic = (
        pd.concat(made, ignore_index=True) if made else records.iloc[:0].assign(method="", copy=0)
    )
    synthetic["parent"] = synthetic["record_id"].astype("Int64")
    rank = synthetic["method"].map(METHODS.index)
    order = np.lexsort([synthetic["copy"], rank, synthetic["record_id"]])
    synthetic = synthetic.iloc[order].reset_index(drop=True)
    synthetic["record_id"] = largest_id + 1 + np.arange(len(synthetic), dtype=np.int64)
    return pd.concat([*kept, synthetic], ignore_index=True), removed


def with_regions(originals: pd.DataFrame, regions: pa.Table) -> pd.DataFrame:
    """Return the ids table with the region of each record, joined by record_id.

    Raises
    ------
    SkymillError
        When the two tables list different records.
    """
    if not np.array_equal(originals["record_id"], regions["record_id"].to_numpy()):
        raise SkymillError(
            "the ids and the regions list different records. Delete "
            "preprocessed/solar_flare_2020/regions.parquet in the results folder and run again."
        )
    return originals.assign(region=regions["region"].to_numpy())
