"""The plan of the pairs: partners, labels, groups and splits.

A group is a connected component of HARPs and NOAA numbers. They are linked by JSOC's table, by
SWAN-SF's own steps, and by equal steps of two HARPs. Overlap in time is not a link. The images and
the series of a group are in the same split.
"""

import logging
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.aligned.join import REASONS, Series, Windows, find_records, find_series
from skymill.aligned.steps import Steps
from skymill.clock import Clock
from skymill.engine.tables import categorical
from skymill.magnetic.fingerprints import TRIVIAL
from skymill.magnetic.regions import name_components
from skymill.magnetic.schema import LABELS, PARTITIONS, STEPS
from skymill.sdo.goes import LABELS as SDO_LABELS
from skymill.sdo.goes import QUIET
from skymill.sdo.index import ends_at_peak
from skymill.sdo.names import SETS
from skymill.sdo.plan import cut_validation
from skymill.solar_regions import group_regions, harp_table
from skymill.swan_sf.schema import STEP_SECONDS

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
EXCLUDED = "excluded"
"""The split of training samples whose group is also in the official test set."""

SEVERAL_REGIONS, SEVERAL_HARPS = "several_regions", "several_harps"
ENDS_AT_PEAK, PEAK_UNKNOWN = "ends_at_peak", "ends_at_peak_unknown"
FLAGS = (SEVERAL_REGIONS, SEVERAL_HARPS, ENDS_AT_PEAK, PEAK_UNKNOWN)

LABEL_WITHIN = (STEPS - 1) * STEP_SECONDS
"""The most seconds between the end of a series and the end of the window whose label is compared.
The two overlap."""

PAIRS_SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        categorical("set", SETS, nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("ar_num", pa.int32(), nullable=False),
        pa.field("sample_start", pa.timestamp("ns"), nullable=False),
        pa.field("sample_end", pa.timestamp("ns"), nullable=False),
        pa.field("harp", pa.int32(), nullable=False),
        pa.field("start", pa.timestamp("ms"), nullable=False),
        pa.field("end", pa.timestamp("ms"), nullable=False),
        pa.field("start_tai", pa.timestamp("ms"), nullable=False),
        pa.field("end_tai", pa.timestamp("ms"), nullable=False),
        pa.field("offset_min", pa.float64(), nullable=False),
        pa.field("steps_present", pa.int8(), nullable=False),
        pa.field("share_with_number", pa.float64(), nullable=False),
        pa.field("regions_in_harp", pa.int16(), nullable=False),
        pa.field("record_id", pa.int64()),
        categorical("record_partition", PARTITIONS),
        pa.field("record_offset_min", pa.float64()),
        categorical("label", SDO_LABELS, nullable=False),
        categorical("label_sdo", SDO_LABELS, nullable=False),
        categorical("label_swan", LABELS),
        categorical("label_2020", LABELS),
        pa.field("goes_sdo", pa.string(), nullable=False),
        pa.field("goes_swan", pa.string()),
        pa.field("swan_offset_min", pa.float64()),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
        pa.field("group", pa.int32(), nullable=False),
        categorical("split", (*SPLITS, EXCLUDED), nullable=False),
    ]
)
"""One row per image sample with a partner, in the order of the sets and of their rows. An offset is
the time from the end of the series or record to the sample's end. `swan_offset_min` is the time
from the end of the series to the end of the window of label_swan. `label` is label_sdo."""

WITHOUT_PARTNER_SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        categorical("set", SETS, nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("ar_num", pa.int32(), nullable=False),
        pa.field("sample_end", pa.timestamp("ns"), nullable=False),
        categorical("reason", REASONS, nullable=False),
        pa.field("harp", pa.int32()),
        pa.field("steps_present", pa.int8(), nullable=False),
        pa.field("share_with_number", pa.float64()),
    ]
)
"""One row per sample without a partner; `harp` is the best HARP, or null with no_harp."""


def make_pairs(
    samples: pd.DataFrame,
    steps: Steps,
    windows: Windows,
    clock: Clock,
    record_times: pd.DataFrame | None = None,
    *,
    follow_official: bool,
    fractions: dict[str, float],
    seed: int,
) -> tuple[pa.Table, pa.Table, dict]:
    """Join the image samples with the series of SWAN-SF, and choose groups and splits.

    Parameters
    ----------
    samples
        The samples of both sets: set, row, sample_id, ar_num, time_id, start, end, label,
        goes_class.
    steps, windows
        The steps and windows of SWAN-SF.
    clock
        A clock for all these times.
    record_times
        Records of 2020, see locate.RECORD_TIMES_SCHEMA; None if they were not located.
    follow_official
        Whether the official test set is the test split.
    fractions
        The shares of `validation` and, if the official set is not followed, of `test`.
    seed
        The seed of the splits.

    Returns
    -------
    Tables of PAIRS_SCHEMA and WITHOUT_PARTNER_SCHEMA, and counts.
    """
    region = samples["ar_num"].to_numpy(np.int64)
    end = clock.to_tai(samples["end"].to_numpy("M8[ns]"))
    series = find_series(region, end, steps)
    paired = series.reason == None  # noqa: E711 (elementwise)
    carried = numbers_of_harps(steps)
    group = group_regions(region, linked_by_value(carried, steps))
    split = split_groups(
        group,
        samples["set"].to_numpy(object),
        samples["label"].to_numpy(object),
        paired,
        follow_official=follow_official,
        fractions=fractions,
        seed=seed,
    )
    rows = np.flatnonzero(paired)
    chosen = samples.iloc[rows]
    harp = series.harp[rows]
    columns = {
        name: chosen[name].to_numpy() for name in ("sample_id", "set", "row", "ar_num", "label")
    }
    columns |= {
        "sample_start": chosen["start"].to_numpy(),
        "sample_end": chosen["end"].to_numpy(),
        "harp": harp,
        "offset_min": (end[rows] - series.end[rows].astype("M8[s]")) / np.timedelta64(1, "m"),
        "steps_present": series.present[rows],
        "share_with_number": _share(series, rows),
        "regions_in_harp": count_of(harp, carried[:, 0]),
        "label_sdo": chosen["label"].to_numpy(),
        "goes_sdo": chosen["goes_class"].to_numpy(),
        "group": group[rows],
        "split": split[rows],
        **_times(series, rows, clock),
        **_labels_of_windows(harp, series.end[rows], windows),
        **_records(harp, end[rows], record_times),
        "flags": _flags(samples, rows, harp, carried, steps),
    }
    pairs = pa.table([_column(columns, field) for field in PAIRS_SCHEMA], schema=PAIRS_SCHEMA)
    others = _without_partner(samples, series, np.flatnonzero(~paired))
    return pairs, others, _describe(pairs, others, samples, record_times)


def numbers_of_harps(steps: Steps) -> np.ndarray:
    """Return each pair (HARP, NOAA number) of JSOC's table and of the steps: int64, (pairs, 2)."""
    table = np.array(harp_table(), dtype=np.int64).reshape(-1, 2)
    return np.unique(np.concatenate([table, steps.links]), axis=0)


def linked_by_value(carried: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the pairs with one number for all HARPs that share a step with equal values.

    Parameters
    ----------
    carried
        Pairs (HARP, NOAA number), see numbers_of_harps.
    steps
        The steps of SWAN-SF.

    Returns
    -------
    int64, shape of `carried`: each HARP is replaced by the smallest HARP that is linked to it.
    """
    order = np.argsort(steps.exact, kind="stable")
    value, harp = steps.exact[order], steps.harp[order]
    same = (value[1:] == value[:-1]) & (value[1:] != TRIVIAL) & (harp[1:] != harp[:-1])
    names = np.unique(np.concatenate([carried[:, 0], harp]))
    first, second = (np.searchsorted(names, part[same]) for part in (harp[:-1], harp[1:]))
    name_of = name_components(names, first, second)
    return np.stack([name_of[np.searchsorted(names, carried[:, 0])], carried[:, 1]], axis=1)


def split_groups(
    group: np.ndarray,
    sets: np.ndarray,
    label: np.ndarray,
    paired: np.ndarray,
    *,
    follow_official: bool,
    fractions: dict[str, float],
    seed: int,
) -> np.ndarray:
    """Return the split of each sample: whole groups, see make_pairs.

    Parameters
    ----------
    group, sets, label
        The values of all samples, with or without a partner: shape (samples,).
    paired
        bool: which samples have a partner. The fractions are shares of these samples.
    """
    split = np.full(len(group), "train", dtype=object)
    if follow_official:
        official = sets == "test"
        split[np.isin(group, group[official])] = EXCLUDED
        split[official] = "test"
        cuts = [("validation", fractions["validation"])]
    else:
        # The share of the groups that are not in the test split.
        rest = fractions["validation"] / (1 - fractions["test"])
        cuts = [("test", fractions["test"]), ("validation", rest)]
    for name, fraction in cuts:
        left = np.flatnonzero((split == "train") & paired)
        taken = cut_validation(group[left], label[left], fraction, seed)
        if not taken.any():
            # No class has two groups, so the first group is chosen.
            alike = np.full(len(left), SDO_LABELS[-1], dtype=object)
            taken = cut_validation(group[left], alike, fraction, seed)
        split[left[taken]] = name
    return split


def count_of(wanted: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return how often each of `wanted` is in `values`, int64."""
    ordered = np.sort(values)
    after, before = (np.searchsorted(ordered, wanted, side=side) for side in ("right", "left"))
    return after - before


def _share(series: Series, rows: np.ndarray) -> np.ndarray:
    return series.numbered[rows] / np.maximum(series.present[rows], 1)


def _times(series: Series, rows: np.ndarray, clock: Clock) -> dict[str, np.ndarray]:
    """Return the start and end of each series in TAI and UTC."""
    columns = {}
    for name, seconds in (("start", series.start[rows]), ("end", series.end[rows])):
        columns[f"{name}_tai"] = seconds.astype("M8[s]")
        columns[name] = clock.to_utc(columns[f"{name}_tai"]).astype("M8[s]")
    return columns


def _labels_of_windows(harp: np.ndarray, end: np.ndarray, windows: Windows) -> dict:
    """Return the label of SWAN-SF for the HARP at the end of the series."""
    at = windows.nearest(harp, end, LABEL_WITHIN)
    some = at >= 0
    label, goes = np.full((2, len(harp)), None, dtype=object)
    label[some], goes[some] = windows.label[at[some]], windows.goes[at[some]]
    away = np.full(len(harp), np.nan)
    away[some] = (windows.end[at[some]] - end[some]) / 60
    return {"label_swan": label, "goes_swan": goes, "swan_offset_min": away}


def _records(harp: np.ndarray, end: np.ndarray, record_times: pd.DataFrame | None) -> dict:
    """Return the record of 2020 for each sample."""
    record_id = pd.array([None] * len(harp), dtype="Int64")
    partition, label = np.full((2, len(harp)), None, dtype=object)
    offset = np.full(len(harp), np.nan)
    if record_times is not None:
        located = record_times[(record_times["status"] == "located").to_numpy()]
        located = located.sort_values(["partition", "record_id"], kind="stable")
        own_end = located["end_tai"].to_numpy("M8[s]").astype(np.int64)
        row, offset = find_records(harp, end, located["harp"].to_numpy(np.int64), own_end)
        some = row >= 0
        record_id[some] = located["record_id"].to_numpy()[row[some]]
        partition[some] = located["partition"].to_numpy(object)[row[some]]
        label[some] = located["label"].to_numpy(object)[row[some]]
    return {
        "record_id": record_id,
        "record_partition": partition,
        "record_offset_min": offset / 60,
        "label_2020": label,
    }


def _flags(
    samples: pd.DataFrame,
    rows: np.ndarray,
    harp: np.ndarray,
    carried: np.ndarray,
    steps: Steps,
) -> list[list[str]]:
    """Return the flags of each pair, see FLAGS.

    The regions of a HARP are from JSOC's table and from the steps. The HARPs of a region are only
    from the steps, because no other HARP can be joined.
    """
    at_peak = ends_at_peak(
        samples["ar_num"].to_numpy(),
        samples["time_id"].tolist(),
        samples["end"].to_numpy("M8[ns]"),
        (samples["goes_class"] != QUIET).to_numpy(),
    )[rows]
    region = samples["ar_num"].to_numpy(np.int64)[rows]
    raised = {
        SEVERAL_REGIONS: count_of(harp, carried[:, 0]) > 1,
        SEVERAL_HARPS: count_of(region, steps.links[:, 1]) > 1,
        ENDS_AT_PEAK: at_peak.fillna(False).to_numpy(bool),
        PEAK_UNKNOWN: at_peak.isna(),
    }
    return [[name for name in FLAGS if raised[name][row]] for row in range(len(rows))]


def _without_partner(samples: pd.DataFrame, series: Series, rows: np.ndarray) -> pa.Table:
    """Return the table of WITHOUT_PARTNER_SCHEMA."""
    chosen, none = samples.iloc[rows], series.harp[rows] < 0
    columns = {name: chosen[name].to_numpy() for name in ("sample_id", "set", "row", "ar_num")}
    columns |= {
        "sample_end": chosen["end"].to_numpy(),
        "reason": series.reason[rows],
        "harp": pa.array(series.harp[rows], mask=none),
        "steps_present": series.present[rows],
        "share_with_number": pa.array(_share(series, rows), mask=none),
    }
    return pa.table(
        [_column(columns, field) for field in WITHOUT_PARTNER_SCHEMA],
        schema=WITHOUT_PARTNER_SCHEMA,
    )


def _column(columns: dict, field: pa.Field) -> pa.Array:
    values = columns[field.name]
    if not isinstance(values, pa.Array):
        is_text = pa.types.is_dictionary(field.type)
        kind = pa.string() if is_text else field.type if isinstance(values, list) else None
        values = pa.array(values, type=kind, from_pandas=True)
    return values.cast(field.type)


def _describe(
    pairs: pa.Table,
    others: pa.Table,
    samples: pd.DataFrame,
    record_times: pd.DataFrame | None,
) -> dict:
    """Return the counts of a plan."""
    split = pairs["split"].cast(pa.string()).to_pylist()
    label = pairs["label"].cast(pa.string()).to_pylist()
    group = pairs["group"].to_numpy()
    by_split = {}
    for name in (*SPLITS, EXCLUDED):
        chosen = [row for row, own in enumerate(split) if own == name]
        found = Counter(label[row] for row in chosen)
        by_split[name] = {
            "pairs": len(chosen),
            "groups": len(np.unique(group[chosen])),
            "by_label": {one: found[one] for one in SDO_LABELS},
        }
    reasons = Counter(others["reason"].cast(pa.string()).to_pylist())
    flags = Counter(flag for flags in pairs["flags"].to_pylist() for flag in flags)
    return {
        "samples": len(samples),
        "pairs": pairs.num_rows,
        "without_partner": others.num_rows,
        "without_partner_by_reason": {name: reasons[name] for name in REASONS},
        "pairs_with_record": len(pairs) - pairs["record_id"].null_count,
        "records_located": 0
        if record_times is None
        else int((record_times["status"] == "located").sum()),
        "flags": {name: flags[name] for name in FLAGS},
        "by_split": by_split,
        "groups_in_two_splits": groups_in_two_splits(group, np.array(split, dtype=object)),
    }


def groups_in_two_splits(group: np.ndarray, split: np.ndarray) -> list[int]:
    """Return the groups with pairs in two splits, ascending; `excluded` is not counted."""
    kept = split != EXCLUDED
    pairs = set(zip(group[kept].tolist(), split[kept].tolist(), strict=True))
    found = Counter(name for name, _ in pairs)
    return sorted(name for name, splits in found.items() if splits > 1)
