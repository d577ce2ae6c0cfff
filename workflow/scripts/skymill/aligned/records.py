"""Keys and values of the magnetic records of an ids table."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from skymill.aligned.keys import ROUNDED_PARAMETERS
from skymill.engine.products import Product
from skymill.engine.tables import read_table
from skymill.magnetic.schema import STEPS
from skymill.magnetic.store import RecordStore


def keys_of_ids(ids: pd.DataFrame, tables: dict[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact and rounded keys of the records of an ids table, uint64, (records, 60).

    Parameters
    ----------
    ids
        partition and position of each record.
    tables
        The table of catalogue.RECORD_KEYS_SCHEMA of each partition.
    """
    exact, rounded = np.empty((2, len(ids), STEPS), dtype=np.uint64)
    position = ids["position"].to_numpy(np.int64)
    for name in ids["partition"].unique():
        rows = np.flatnonzero(ids["partition"] == name)
        table = read_table(tables[name])
        exact[rows] = table["exact"].to_numpy().reshape(-1, STEPS)[position[rows]]
        rounded[rows] = table["rounded"].to_numpy().reshape(-1, STEPS)[position[rows]]
    return exact, rounded


def values_of_ids(
    ids: pd.DataFrame, stores: dict[str, Product]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that reads values by rows of an ids table, see nearest.Values."""
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
