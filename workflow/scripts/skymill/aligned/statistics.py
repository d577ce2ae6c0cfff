"""Statistics of the parameters, engineered columns and classes of the training pairs."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from skymill.engine.arrays import shaped
from skymill.engine.statistics import class_weights, summarise
from skymill.engine.tables import read_table
from skymill.sdo.goes import LABELS

TRAIN, SERIES = "train", "series"


def measure(train: list[Path]) -> dict:
    """Return the content of `statistics.json`: see the data dictionary.

    `train` are the files of the training split, in order.
    """
    pairs = pa.concat_tables(map(read_table, train))
    lists = [field for field in pairs.schema if pa.types.is_fixed_size_list(field.type)]
    values = {field.name: shaped(pairs[field.name], field) for field in lists}
    series = values.pop(SERIES)
    parameters = json.loads(pairs.schema.field(SERIES).metadata[b"parameters"])
    found = Counter(pairs["label"].cast(pa.string()).to_pylist())
    return {
        "split": TRAIN,
        "records": pairs.num_rows,
        "parameters": {
            name: _without_missing(series[:, :, place]) for place, name in enumerate(parameters)
        },
        "columns": {name: _without_missing(columns) for name, columns in values.items()},
        "classes": class_weights({label: found[label] for label in LABELS}),
    }


def _without_missing(values: np.ndarray) -> dict:
    there = ~np.isnan(values)
    return summarise(values[there], missing=int(there.size - there.sum()))
