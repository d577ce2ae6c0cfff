"""The table of the plan: its columns, and functions that read them."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from skymill.engine.tables import categorical, read_frame
from skymill.magnetic.inputs import PARTITION_NAMES
from skymill.magnetic.schema import CLASSES, SPLITS

CHANGED = ("warp", "scale")
"""Methods that make several changed copies of each record; augment.FACTORS has the changes."""

METHODS = ("original", *CHANGED, "duplicate")
"""How a record of the augmented set was made."""

PLAN_SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.int64(), nullable=False),
        pa.field("parent", pa.int64()),
        categorical("partition", PARTITION_NAMES, nullable=False),
        pa.field("region", pa.int64(), nullable=False),
        categorical("label", CLASSES, nullable=False),
        categorical("method", METHODS, nullable=False),
        pa.field("copy", pa.int16(), nullable=False),
        categorical("split", SPLITS, nullable=False),
        pa.field("fold", pa.int8()),
    ]
)
"""Sorted by record_id. `parent` is null for originals. `copy` counts a parent's copies from 1.
`fold` is null if the configuration has no folds. The plan of SWAN-SF has the columns of
places.PLACES as well."""


def read_plan(path: Path) -> pd.DataFrame:
    """Read a plan, sorted by record_id; `parent` is a nullable Int64."""
    return read_frame(path, PLAN_SCHEMA.names)


def planned_records(plan: Path, *, everything: bool) -> pd.DataFrame:
    """Return the plan's rows of the augmented set, sorted by record_id."""
    table = read_plan(plan)
    return table if everything else table[table["split"] == "train"]
