"""Keys of the steps of the magnetic records, file by file."""

import numpy as np
import pyarrow as pa

from skymill.aligned.keys import keys
from skymill.engine.parallel import map_pieces
from skymill.engine.products import Product
from skymill.engine.tables import read_table
from skymill.swan_sf.schema import PARAMETERS

RECORD_KEYS_SCHEMA = pa.schema(
    [
        pa.field("exact", pa.uint64(), nullable=False),
        pa.field("rounded", pa.uint64(), nullable=False),
    ]
)
"""One row per step, in the order of the partition's ingested values; keys as in `keys.keys`."""


def key_records(values: Product, workers: int = 1) -> pa.Table:
    """Return the keys of all steps of a partition, a table of RECORD_KEYS_SCHEMA.

    Parameters
    ----------
    values
        The ingested values of the partition.
    workers
        Processes. The keys do not depend on them.
    """
    pieces = [(values, number) for number in range(len(values.entries))]
    parts = map_pieces(_key_file, pieces, workers=workers, what=f"keys of {values.name}")
    exact, rounded = (
        np.concatenate([np.zeros(0, dtype=np.uint64), *(part[number] for part in parts)])
        for number in range(2)
    )
    return pa.table([pa.array(exact), pa.array(rounded)], schema=RECORD_KEYS_SCHEMA)


def _key_file(piece: tuple[Product, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of the steps in one file of the values; the file is given by its number."""
    values, number = piece
    table = read_table(values.files()[number], columns=list(PARAMETERS))
    return keys(np.stack([table[name].to_numpy() for name in PARAMETERS]))
