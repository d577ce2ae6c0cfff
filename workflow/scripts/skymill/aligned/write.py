"""The data set of pairs: one row per pair, with series, engineered columns and the tensors' row.

Images are not copied: `set` and `row` say where they are in SDOBenchmark's tensors.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skymill.aligned.plan import PAIRS_SCHEMA
from skymill.engine.errors import SkymillError
from skymill.engine.products import Product, new_directory
from skymill.engine.tables import ParquetFile, write_parquet
from skymill.magnetic.columns import Columns
from skymill.magnetic.features import FeatureSet
from skymill.magnetic.fingerprints import is_measured
from skymill.magnetic.schema import STEPS
from skymill.swan_sf.places import place_of
from skymill.swan_sf.schema import PARAMETERS, STEP_SECONDS

PAIRS_PER_FILE = 2048
PAIRS_PER_ROW_GROUP = 256


def read_series(pairs: pa.Table, steps: list[Path]) -> np.ndarray:
    """Return the steps of each pair, float64, shape (pairs, 60, 24).

    Steps that are missing or were not measured are NaN.

    Parameters
    ----------
    pairs
        A table of PAIRS_SCHEMA.
    steps
        The catalogue's table of each partition, see swan_sf.tables.STEPS_SCHEMA. If a step is in
        several tables, the first table is used.

    Raises
    ------
    SkymillError
        When a pair has more or fewer steps than in the plan.
    """
    start = pairs["start_tai"].to_numpy().astype("M8[s]").astype(np.int64)
    slots = place_of(
        pairs["harp"].to_numpy()[:, None], start[:, None] + np.arange(STEPS) * STEP_SECONDS
    ).reshape(-1)
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    series = np.full((len(slots), len(PARAMETERS)), np.nan)
    there = np.zeros(len(slots), dtype=bool)
    for path in steps:
        file = ParquetFile(path)
        for group in range(file.metadata.num_row_groups):
            keys = file.read_row_group(group, columns=["harp", "time_tai"])
            time = keys["time_tai"].to_numpy().astype("M8[s]").astype(np.int64)
            place = place_of(keys["harp"].to_numpy(), time)
            if not len(place):
                continue
            low, high = np.searchsorted(ordered, [place[0], place[-1] + 1])
            wanted = order[low:high]
            wanted = wanted[~there[wanted]]
            at = np.minimum(np.searchsorted(place, slots[wanted]), len(place) - 1)
            found = place[at] == slots[wanted]
            if not found.any():
                continue
            table = file.read_row_group(group, columns=list(PARAMETERS))
            values = np.stack([table[name].to_numpy()[at[found]] for name in PARAMETERS])
            there[wanted[found]] = True
            series[wanted[found]] = np.where(is_measured(values), values, np.nan).T
    there = ~np.isnan(series).all(axis=1)
    present = there.reshape(-1, STEPS).sum(axis=1)
    planned = pairs["steps_present"].to_numpy()
    if wrong := np.flatnonzero(present != planned).tolist():
        raise SkymillError(
            f"{pairs['sample_id'][wrong[0]]} has {present[wrong[0]]} steps in the catalogue of "
            f"SWAN-SF, but {planned[wrong[0]]} in the plan. Delete preprocessed/aligned in the "
            "results folder and run again."
        )
    return series.reshape(-1, STEPS, len(PARAMETERS))


def available_columns(features: dict) -> list[str]:
    """Return the engineered columns whose parameters are in SWAN-SF, in their order."""
    columns = Columns(features)
    return [name for name in columns.names if columns.parameter_of(name) in PARAMETERS]


def data_schema(engineered: list[str], sdo_identity: dict[str, str]) -> pa.Schema:
    """Return the schema of the data set: the columns of the plan, the series, engineered columns.

    Parameters
    ----------
    engineered
        Names of the engineered columns.
    sdo_identity
        The identity of the tensors of each official set, which is stored in the schema's metadata.
    """
    shape = {
        "shape": json.dumps([STEPS, len(PARAMETERS)]),
        "axes": json.dumps(["step", "parameter"]),
        "parameters": json.dumps(PARAMETERS),
    }
    steps = {"shape": json.dumps([STEPS]), "axes": json.dumps(["step"])}
    series = pa.list_(pa.float32(), STEPS * len(PARAMETERS))
    return pa.schema(
        [
            *PAIRS_SCHEMA,
            pa.field("series", series, nullable=False, metadata=shape),
            *(
                pa.field(name, pa.list_(pa.float32(), STEPS), nullable=False, metadata=steps)
                for name in engineered
            ),
        ],
        metadata={"sdo_identity": json.dumps(sdo_identity, sort_keys=True)},
    )


def write_pairs(
    pairs: pa.Table,
    steps: list[Path],
    output: Path,
    *,
    features: dict,
    sdo_identity: dict[str, str],
) -> list[dict]:
    """Write the pairs of one split; return the manifest's `files`.

    Parameters
    ----------
    pairs
        The pairs of the split, a table of PAIRS_SCHEMA.
    steps
        See read_series.
    output
        Directory of Parquet files, PAIRS_PER_FILE pairs each.
    features
        The `features` of the configuration.
    sdo_identity
        See data_schema.
    """
    engineered = available_columns(features)
    schema = data_schema(engineered, sdo_identity)
    feature_set = FeatureSet({**features, "columns": engineered})
    chosen = [PARAMETERS.index(name) for name in feature_set.parameters]
    series = read_series(pairs, steps)
    files = []
    with new_directory(output) as directory:
        for first in range(0, max(1, pairs.num_rows), PAIRS_PER_FILE):
            part = pairs.slice(first, PAIRS_PER_FILE)
            values = series[first : first + PAIRS_PER_FILE]
            columns, _ = feature_set.compute(np.moveaxis(values, 2, 0)[chosen].copy())
            lists = {"series": values, **columns}
            arrays = [
                _list_array(lists[field.name], field.type)
                if field.name in lists
                else part[field.name].combine_chunks()
                for field in schema
            ]
            path = directory / f"part-{first // PAIRS_PER_FILE:05d}.parquet"
            table = pa.Table.from_arrays(arrays, schema=schema)
            files.append(write_parquet(path, table, rows_per_group=PAIRS_PER_ROW_GROUP))
    return files


def require_same_tensors(identity: dict[str, str], tensors: list[Product]) -> None:
    """Raise SkymillError unless the tensors have the rows of the catalogue.

    Parameters
    ----------
    identity
        The identity of the samples of each official set.
    tensors
        The tensors of each set; an empty list if no tensors are written.
    """
    for product in tensors:
        name = product.path.stem
        if product.document["identity"] != identity[name]:
            raise SkymillError(
                f"{product.path} has other samples than the catalogue of SDOBenchmark, so their "
                "rows do not match. Delete the tensors and run again."
            )


def of_split(pairs: pa.Table, split: str) -> pa.Table:
    """Return the pairs of a split."""
    return pairs.filter(pc.equal(pairs["split"].cast(pa.string()), split))


def _list_array(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    flat = pa.array(values.astype(np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)
