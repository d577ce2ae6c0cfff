"""Active regions: groups of records that must stay in one split.

The files of 2020 have no region numbers and no times. But their windows slide over one time series,
so two windows of one region often share steps with equal values. Windows that share a time step
are therefore one region. In SWAN-SF, HARP and NOAA numbers link windows as well.
"""

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from skymill.magnetic.fingerprints import TRIVIAL

REGIONS_SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.int64(), nullable=False),
        pa.field("region", pa.int64(), nullable=False),
    ]
)
"""One row per training record, sorted by record_id. A region is named by its smallest record_id."""


def find_regions(record_id: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the region of each record: the smallest record_id among the linked records.

    Parameters
    ----------
    record_id
        int64, shape (records,), unique.
    steps
        uint64, shape (records, 60): fingerprints as in `fingerprints.fingerprint`. Records that
        share a non-trivial fingerprint are linked, transitively.

    Returns
    -------
    int64, shape (records,).
    """
    first, second = shared_steps(steps)
    return name_components(record_id, first, second)


def group_harps(
    record_id: np.ndarray,
    harp: np.ndarray,
    numbers: np.ndarray,
    step_harp: np.ndarray,
    step: np.ndarray,
) -> np.ndarray:
    """Return the region of each window of SWAN-SF: the smallest record_id among the linked windows.

    Windows of one HARP are linked. HARPs with a common NOAA number or a common step are linked.

    Parameters
    ----------
    record_id, harp
        int64, shape (records,).
    numbers
        Pairs (HARP, NOAA number), int64, shape (pairs, 2).
    step_harp, step
        HARP and fingerprint of measured steps, int64 and uint64, shape (steps,).

    Returns
    -------
    int64, shape (records,).
    """
    order = np.argsort(step, kind="stable")
    value, owner = step[order], step_harp[order]
    same = (value[1:] == value[:-1]) & (owner[1:] != owner[:-1])
    harps = np.unique(np.concatenate([harp, numbers[:, 0], step_harp]))
    regions = np.unique(numbers[:, 1])
    records, first_region = len(record_id), len(record_id) + len(harps)
    links = [
        (np.arange(records), records + np.searchsorted(harps, harp)),
        (
            records + np.searchsorted(harps, numbers[:, 0]),
            first_region + np.searchsorted(regions, numbers[:, 1]),
        ),
        tuple(records + np.searchsorted(harps, part[same]) for part in (owner[:-1], owner[1:])),
    ]
    first, second = (np.concatenate(part) for part in zip(*links, strict=True))
    # HARPs and NOAA numbers link windows, but a region is named by a record_id only.
    nameless = np.full(len(harps) + len(regions), np.iinfo(np.int64).max)
    return name_components(np.concatenate([record_id, nameless]), first, second)[:records]


def shared_steps(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return links (i, j) between records that share a non-trivial step.

    Records that share one step form a chain, so there are fewer links than steps. `steps` is
    uint64, shape (records, width).
    """
    width = steps.shape[1]
    flat = steps.reshape(-1)
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    same = (ordered[1:] == ordered[:-1]) & (ordered[1:] != TRIVIAL)
    owner = order // width
    first, second = owner[:-1][same], owner[1:][same]
    different = first != second
    return first[different], second[different]


def name_components(record_id: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the smallest record_id of each record's connected component."""
    count = len(record_id)
    ones = np.ones(len(first), dtype=bool)
    _, component = connected_components(
        coo_array((ones, (first, second)), shape=(count, count)), directed=False
    )
    smallest = np.full(component.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, component, record_id)
    return smallest[component]


def regions_table(record_id: np.ndarray, region: np.ndarray) -> pa.Table:
    """Return the table of REGIONS_SCHEMA."""
    return pa.Table.from_arrays([pa.array(record_id), pa.array(region)], schema=REGIONS_SCHEMA)


def describe_regions(region: np.ndarray) -> dict:
    """Return the number and sizes of the regions; `region` is int64, shape (records,)."""
    names, sizes = np.unique(region, return_counts=True)
    edges = [1, 2, 3, 5, 10, 20, 50, 100, 1000]
    bins = np.searchsorted(edges, sizes, side="right") - 1
    upper = [str(edge - 1) for edge in edges[1:]] + ["more"]
    named = [
        f"{low}" if high == str(low) else f"{low}-{high}"
        for low, high in zip(edges, upper, strict=True)
    ]
    return {
        "regions": len(names),
        "records": len(region),
        "largest": int(sizes.max(initial=0)),
        "largest_region": int(names[sizes.argmax()]) if len(names) else None,
        "median_size": float(np.median(sizes)) if len(sizes) else 0.0,
        "regions_by_size": {name: int((bins == number).sum()) for number, name in enumerate(named)},
    }
