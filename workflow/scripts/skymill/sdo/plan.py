"""Which split each sample goes to: validation is cut from training by whole active regions.

The official test set stays as it is. Samples of one region show the same spots hours apart, so a
validation set that shared a region with training would measure memory.
"""

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.engine.errors import SkymillError
from skymill.engine.randomness import key, keyed_hash
from skymill.sdo.goes import LABELS, goes_class, label
from skymill.sdo.names import SPLITS

_WORD = pa.dictionary(pa.int8(), pa.string())
PLAN_SCHEMA = pa.schema(
    [
        pa.field("set", _WORD, nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("ar_num", pa.int32(), nullable=False),
        pa.field("label", _WORD, nullable=False),
        pa.field("goes_class", pa.string(), nullable=False),
        pa.field("split", _WORD, nullable=False),
    ]
)


def make_plan(
    samples: pd.DataFrame, *, flux_scale: float, validation_fraction: float, seed: int
) -> tuple[pa.Table, dict]:
    """Decide label, class and split of every sample.

    Parameters
    ----------
    samples
        The catalogue's samples: set, row, sample_id, ar_num, peak_flux (as text).
    flux_scale, validation_fraction, seed
        As in the configuration.

    Returns
    -------
    plan
        A table with PLAN_SCHEMA, a row for each sample in the order given.
    counts
        Samples and regions of each split, by label, and the fraction reached.

    Raises
    ------
    SkymillError
        When a region stands in two splits, or validation would be empty.
    """
    fluxes = samples["peak_flux"].tolist()
    labels = np.array([label(flux, flux_scale) for flux in fluxes], dtype=object)
    in_train = (samples["set"] == "train").to_numpy()
    regions = samples["ar_num"].to_numpy(np.int64)
    split = np.full(len(samples), "test", dtype=object)
    held_out = cut_validation(regions[in_train], labels[in_train], validation_fraction, seed)
    split[in_train] = np.where(held_out, "validation", "train")
    require_no_shared_region(regions, split)
    if validation_fraction and in_train.any() and not held_out.any():
        raise SkymillError(
            "the validation split is empty: no class has two active regions in the training set. "
            "Use more data, or set sdo.validation_fraction: 0."
        )
    columns = {
        "set": samples["set"].to_numpy(object),
        "row": samples["row"].to_numpy(np.int32),
        "sample_id": samples["sample_id"].to_numpy(object),
        "ar_num": regions,
        "label": labels,
        "goes_class": [goes_class(flux, flux_scale) for flux in fluxes],
        "split": split,
    }
    plan = pa.table(
        [pa.array(columns[field.name], type=field.type) for field in PLAN_SCHEMA],
        schema=PLAN_SCHEMA,
    )
    return plan, _describe(regions, labels, split, in_train)


def cut_validation(
    region: np.ndarray, labels: np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """Choose whole regions for validation, stratum by stratum.

    A stratum is the regions whose strongest class is the same. In the order of their keyed hashes
    they are taken while that brings the samples taken nearer to the fraction; a stratum of two
    regions or more gives at least one and keeps at least one, a single region stays in training.

    Parameters
    ----------
    region, labels
        int64 region and label of each training sample, shape (samples,).
    fraction
        Share of the samples that validation should have; 0 takes none.

    Returns
    -------
    bool, shape (samples,): whether a sample is held out, whatever order samples come in.
    """
    if not fraction:
        return np.zeros(len(region), dtype=bool)
    names, member_of = np.unique(region, return_inverse=True)
    sizes = np.bincount(member_of, minlength=len(names))
    strength = np.array([LABELS.index(name) for name in labels], dtype=np.int64)
    strongest = np.full(len(names), len(LABELS))
    np.minimum.at(strongest, member_of, strength)
    hashes = keyed_hash(names, key(seed, "sdo", "validation"))
    taken = np.zeros(len(names), dtype=bool)
    for stratum in range(len(LABELS)):
        members = np.flatnonzero(strongest == stratum)
        members = members[np.argsort(hashes[members])]
        wanted, have, count = fraction * sizes[members].sum(), 0, 0
        for unit in members:
            nearer = abs(have + sizes[unit] - wanted) < abs(have - wanted)
            if count == len(members) - 1 or not (nearer or count == 0):
                break
            taken[unit] = True
            have, count = have + sizes[unit], count + 1
    return taken[member_of]


def require_no_shared_region(region: np.ndarray, split: np.ndarray) -> None:
    """Raise SkymillError when a region has samples in two splits."""
    pairs = pd.DataFrame({"region": region, "split": split}).drop_duplicates()
    shared = pairs[pairs.duplicated("region", keep=False)].sort_values(["region", "split"])
    if len(shared):
        first = shared["region"].iloc[0]
        splits = " and ".join(shared.loc[shared["region"] == first, "split"])
        raise SkymillError(
            f"{shared['region'].nunique():,} active regions stand in two splits, {first} in "
            f"{splits}. The official sets share none: the data set is not the published one. "
            "Fetch it again."
        )


def _describe(
    region: np.ndarray, labels: np.ndarray, split: np.ndarray, in_train: np.ndarray
) -> dict:
    """Return the counts of a plan."""
    by_split = {}
    for name in SPLITS:
        chosen = split == name
        found = Counter(labels[chosen])
        by_split[name] = {
            "samples": int(chosen.sum()),
            "regions": len(np.unique(region[chosen])),
            "by_label": {label: found[label] for label in LABELS},
        }
    total = Counter(labels)
    held_out = by_split["validation"]["samples"]
    return {
        "samples": len(split),
        "records_by_label": {label: total[label] for label in LABELS},
        "by_split": by_split,
        "validation_fraction_reached": round(held_out / max(1, int(in_train.sum())), 6),
    }
