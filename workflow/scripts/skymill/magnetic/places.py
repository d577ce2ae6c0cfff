"""The place and time of a record of SWAN-SF: columns that records of the 2020 files do not have."""

import numpy as np
import pyarrow as pa

from skymill.swan_sf.tables import NUMBERS, TIME

CATALOGUED = (
    pa.field("harp", pa.int32(), nullable=False),
    pa.field("noaa", NUMBERS, nullable=False),
    pa.field("start_tai", TIME, nullable=False),
    pa.field("end_tai", TIME, nullable=False),
)
"""The columns of the catalogue and the ids, as in SWAN-SF: see swan_sf.tables.WINDOWS_SCHEMA."""

PLACES = (
    *CATALOGUED[:2],
    pa.field("start", TIME, nullable=False),
    pa.field("end", TIME, nullable=False),
    *CATALOGUED[2:],
)
"""The columns of the plan and of records.parquet. `start` and `end` are the UTC of the first and
the last step."""


def have_places(table: pa.Table) -> bool:
    """Return whether a table has the columns of CATALOGUED."""
    return CATALOGUED[0].name in table.column_names


def append_columns(table: pa.Table, other: pa.Table, fields: tuple[pa.Field, ...]) -> pa.Table:
    """Return a table with columns of another table, which has the same number of rows."""
    for field in fields:
        table = table.append_column(field, other[field.name])
    return table


def pairs_of_numbers(table: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each pair (value of a column, NOAA number) of the rows, and the row of each pair.

    The pairs are int64, shape (pairs, 2); the rows int64, shape (pairs,).
    """
    lists = table["noaa"].combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays([pa.array([], lists.type), *lists.chunks])
    sizes = np.diff(lists.offsets.to_numpy().astype(np.int64))
    rows = np.repeat(np.arange(len(table)), sizes)
    numbers = lists.flatten().to_numpy().astype(np.int64)
    return np.stack([table[name].to_numpy().astype(np.int64)[rows], numbers], axis=1), rows
