"""Assign each sample to a split. Validation takes whole groups of regions from training.

Samples of one region show the same spots hours apart. So a validation set that shares a region with
training would measure memorisation. Two numbers may name one patch of the Sun: see solar_regions.
The official test set is not changed; samples that it shares with training are counted.
"""

import logging
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.engine.errors import SkymillError
from skymill.engine.randomness import key, keyed_hash
from skymill.engine.tables import categorical
from skymill.sdo.goes import LABELS, goes_class, label
from skymill.sdo.names import SETS, SPLITS
from skymill.solar_regions import group_regions, harps_of

logger = logging.getLogger(__name__)

OFFICIAL, CLEANED = "official", "cleaned"
"""Training samples that share a group with the test set: `official` keeps them, `cleaned` excludes
them."""

PLAN_SCHEMA = pa.schema(
    [
        categorical("set", SETS, nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("ar_num", pa.int32(), nullable=False),
        categorical("label", LABELS, nullable=False),
        pa.field("goes_class", pa.string(), nullable=False),
        categorical("split", SPLITS, nullable=False),
        pa.field("group", pa.int32(), nullable=False),
        pa.field("harps", pa.string(), nullable=False),
    ]
)
"""`harps` has the HARP numbers of the region, separated by `;`; it is empty if they are unknown."""


def make_plan(
    samples: pd.DataFrame, *, flux_scale: float, split: str, validation_fraction: float, seed: int
) -> tuple[pa.Table, dict]:
    """Decide label, class and split of every sample.

    Parameters
    ----------
    samples
        The catalogue's samples: set, row, sample_id, ar_num, start, end, peak_flux (as text).
    flux_scale, split, validation_fraction, seed
        The settings of the configuration.

    Returns
    -------
    plan
        A table with PLAN_SCHEMA, a row for each sample, in the order of `samples`.
    counts
        Samples, regions and groups of each split, by label; the validation fraction that was
        reached; samples that training and test share.

    Raises
    ------
    SkymillError
        When a region is in two splits, or training or validation would be empty.
    """
    fluxes = samples["peak_flux"].tolist()
    labels = np.array([label(flux, flux_scale) for flux in fluxes], dtype=object)
    in_train = (samples["set"] == "train").to_numpy()
    regions = samples["ar_num"].to_numpy(np.int64)
    group = group_regions(regions)
    shares_group = in_train & np.isin(group, group[~in_train])
    splits = np.full(len(samples), "test", dtype=object)
    splits[in_train] = "train"
    if split == CLEANED:
        splits[shares_group] = "excluded"
    left = splits == "train"
    if in_train.any() and not left.any():
        raise SkymillError(
            "no training sample is left: all share a group of regions with the test set. "
            f"Use more data, or set sdo.split: {OFFICIAL}."
        )
    held_out = cut_validation(group[left], labels[left], validation_fraction, seed)
    splits[left] = np.where(held_out, "validation", "train")
    require_none_shared(regions, splits, "active regions")
    # Only the official sets may share a group, and only if the setting keeps them unchanged.
    apart = splits != "excluded" if split == CLEANED else in_train
    require_none_shared(group[apart], splits[apart], "groups of active regions")
    if validation_fraction and left.any() and not held_out.any():
        raise SkymillError(
            "the validation split is empty: no class has two groups of active regions in the "
            "training set. Use more data, or set sdo.validation_fraction: 0."
        )
    known = harps_of()
    harps = [known.get(region, frozenset()) for region in regions.tolist()]
    columns = {
        "set": samples["set"].to_numpy(object),
        "row": samples["row"].to_numpy(np.int32),
        "sample_id": samples["sample_id"].to_numpy(object),
        "ar_num": regions,
        "label": labels,
        "goes_class": [goes_class(flux, flux_scale) for flux in fluxes],
        "split": splits,
        "group": group,
        "harps": [";".join(map(str, sorted(own))) for own in harps],
    }
    plan = pa.table(
        [pa.array(columns[field.name], type=field.type) for field in PLAN_SCHEMA],
        schema=PLAN_SCHEMA,
    )
    counts = _describe(regions, group, labels, splits)
    shared = counts["shared_with_test"] = shared_with_test(samples, harps, shares_group)
    if split == OFFICIAL and shared["training_samples_by_group"]:
        logger.warning(
            "SDOBenchmark: %s training samples share a group of regions with test samples, and the "
            "windows of %s test samples overlap windows of training samples in the same HARP. "
            "Set sdo.split: cleaned to leave these training samples out.",
            f"{shared['training_samples_by_group']:,}",
            f"{shared['test_samples_by_harp_and_time']:,}",
        )
    return plan, counts


def shared_with_test(
    samples: pd.DataFrame, harps: list[frozenset[int]], shares_group: np.ndarray
) -> dict[str, int]:
    """Count the samples that the official training and test sets share.

    Parameters
    ----------
    samples
        See `make_plan`.
    harps
        The HARPs of each sample's region.
    shares_group
        bool, shape (samples,): whether it is a training sample whose group is also in the test set.

    Returns
    -------
    Training samples that share a group with a test sample; training samples that share a HARP with
    a test sample; test samples that share a HARP with a training sample; test samples whose window
    also overlaps the window of such a training sample; and samples of both sets whose region is in
    no HARP of the table, so that sharing is unknown.
    """
    in_train = (samples["set"] == "train").to_numpy()
    start, end = samples["start"].to_numpy("M8[ns]"), samples["end"].to_numpy("M8[ns]")
    members: dict[int, list[int]] = {}
    for number, own in enumerate(harps):
        for harp in own:
            members.setdefault(harp, []).append(number)
    shares_harp, overlaps = np.zeros((2, len(samples)), dtype=bool)
    for one in members.values():
        inside = np.array(one)
        train, test = inside[in_train[inside]], inside[~in_train[inside]]
        if not (len(train) and len(test)):
            continue
        shares_harp[inside] = True
        before = np.searchsorted(np.sort(end[train]), start[test], side="right")
        begun = np.searchsorted(np.sort(start[train]), end[test], side="left")
        overlaps[test[begun > before]] = True
    return {
        "training_samples_by_group": int(shares_group.sum()),
        "training_samples_by_harp": int((shares_harp & in_train).sum()),
        "test_samples_by_harp": int((shares_harp & ~in_train).sum()),
        "test_samples_by_harp_and_time": int(overlaps.sum()),
        "samples_without_harp": sum(not own for own in harps),
    }


def cut_validation(group: np.ndarray, labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose whole groups of regions for validation, stratum by stratum.

    A stratum contains the groups with the same strongest class. Groups are taken in the order of
    their keyed hashes, as long as each group brings the share of samples nearer to the fraction. A
    stratum of two or more groups gives at least one group to validation and keeps at least one in
    training. A single group stays in training.

    Parameters
    ----------
    group, labels
        int64 group and label of each training sample, shape (samples,).
    fraction
        Share of the samples that validation should have; 0 means no validation.

    Returns
    -------
    bool, shape (samples,): whether a sample is held out. The order of samples does not matter.
    """
    if not fraction:
        return np.zeros(len(group), dtype=bool)
    names, member_of = np.unique(group, return_inverse=True)
    sizes = np.bincount(member_of, minlength=len(names))
    strength = np.array([LABELS.index(name) for name in labels], dtype=np.int64)
    strongest = np.full(len(names), len(LABELS))
    np.minimum.at(strongest, member_of, strength)
    hashes = keyed_hash(names, key(seed, "sdo", "validation"))
    taken = np.zeros(len(names), dtype=bool)
    for stratum in range(len(LABELS)):
        members = np.flatnonzero(strongest == stratum)
        members = members[np.argsort(hashes[members])]
        target, have, count = fraction * sizes[members].sum(), 0, 0
        for unit in members:
            nearer = abs(have + sizes[unit] - target) < abs(have - target)
            if count == len(members) - 1 or not (nearer or count == 0):
                break
            taken[unit] = True
            have, count = have + sizes[unit], count + 1
    return taken[member_of]


def require_none_shared(name: np.ndarray, split: np.ndarray, what: str) -> None:
    """Raise SkymillError when a region (or a group, see `what`) has samples in two splits."""
    pairs = pd.DataFrame({"name": name, "split": split}).drop_duplicates()
    shared = pairs[pairs.duplicated("name", keep=False)].sort_values(["name", "split"])
    if len(shared):
        first = shared["name"].iloc[0]
        splits = " and ".join(shared.loc[shared["name"] == first, "split"])
        raise SkymillError(
            f"{shared['name'].nunique():,} {what} are in two splits, {first} in {splits}. The "
            "official sets share no region, so this is not the published data set. Fetch it again."
        )


def _describe(region: np.ndarray, group: np.ndarray, labels: np.ndarray, split: np.ndarray) -> dict:
    """Return the counts of a plan."""
    by_split = {}
    for name in SPLITS:
        chosen = split == name
        found = Counter(labels[chosen])
        by_split[name] = {
            "samples": int(chosen.sum()),
            "regions": len(np.unique(region[chosen])),
            "groups": len(np.unique(group[chosen])),
            "by_label": {label: found[label] for label in LABELS},
        }
    total = Counter(labels)
    held_out = by_split["validation"]["samples"]
    return {
        "samples": len(split),
        "records_by_label": {label: total[label] for label in LABELS},
        "by_split": by_split,
        "validation_fraction_reached": round(
            held_out / max(1, held_out + by_split["train"]["samples"]), 6
        ),
    }
