"""The records of 2020 for the aligned branch: keys of their steps, and where their values are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skymill.aligned.keys import ROUNDED_PARAMETERS, keys
from skymill.engine.parallel import map_pieces
from skymill.engine.products import Product
from skymill.magnetic.schema import STEPS
from skymill.magnetic.store import RecordStore
from skymill.swan_sf.schema import PARAMETERS

RECORD_KEYS_SCHEMA = pa.schema(
    [
        pa.field("exact", pa.uint64(), nullable=False),
        pa.field("rounded", pa.uint64(), nullable=False),
    ]
)
"""A row a step, in the order of the ingested values of a partition; keys as in `keys.keys`."""


def key_records(values: Product, workers: int = 1) -> pa.Table:
    """Return the keys of all steps of a partition, a table of RECORD_KEYS_SCHEMA.

    Parameters
    ----------
    values
        The ingested values of the partition.
    workers
        Processes; the keys do not depend on them.
    """
    files = values.files()
    parts = map_pieces(_key_file, files, workers=workers, what=f"keys of {values.name}")
    exact, rounded = (
        np.concatenate([np.zeros(0, dtype=np.uint64), *(part[number] for part in parts)])
        for number in range(2)
    )
    return pa.table([pa.array(exact), pa.array(rounded)], schema=RECORD_KEYS_SCHEMA)


def _key_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of the steps of one file of values."""
    table = pq.read_table(path, columns=list(PARAMETERS), use_threads=False)
    return keys(np.stack([table[name].to_numpy() for name in PARAMETERS]))


def keys_of_ids(ids: pd.DataFrame, tables: dict[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact and rounded keys of the records of an ids table, uint64, (records, 60).

    Parameters
    ----------
    ids
        partition and position of each record.
    tables
        The table of RECORD_KEYS_SCHEMA of each partition.
    """
    exact, rounded = np.empty((2, len(ids), STEPS), dtype=np.uint64)
    position = ids["position"].to_numpy(np.int64)
    for name in ids["partition"].unique():
        rows = np.flatnonzero(ids["partition"] == name)
        table = pq.read_table(tables[name], use_threads=False)
        exact[rows] = table["exact"].to_numpy().reshape(-1, STEPS)[position[rows]]
        rounded[rows] = table["rounded"].to_numpy().reshape(-1, STEPS)[position[rows]]
    return exact, rounded


def values_of_ids(
    ids: pd.DataFrame, stores: dict[str, Product]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that reads the values of records of an ids table, see nearest.Values."""
    position = ids["position"].to_numpy(np.int64)
    partition = ids["partition"].to_numpy(object)
    opened = {name: RecordStore(stores[name]) for name in ids["partition"].unique()}

    def read(rows: np.ndarray) -> np.ndarray:
        values = np.empty((len(ROUNDED_PARAMETERS), len(rows), STEPS))
        for name, store in opened.items():
            own = np.flatnonzero(partition[rows] == name)
            own = own[np.argsort(position[rows[own]])]
            values[:, own] = store.read(position[rows[own]], ROUNDED_PARAMETERS)
        return values

    return read
