"""Small nights of stamps and labels in the form that the decoding stages write."""

import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skymill.ztf.schema import stamps_schema

CROP = 21


def stamp_of(candid: int, crop: int = CROP) -> np.ndarray:
    """Return the stamps of an alert, float32 (3, crop, crop). They depend only on the candid."""
    random = np.random.default_rng(candid)
    return random.normal(100, 30, (3, crop, crop)).astype(np.float32)


def place_of(name: str) -> float:
    """Return the right ascension of an object in degrees. Objects of a test are far apart."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest()) / 2**32 * 360


def write_night(
    folder: Path, night: str, alerts: list[dict], *, crop: int = CROP, stamps=None, group=7
) -> Path:
    """Write a night. An alert has object_id, candid and all values that differ from defaults."""
    rows = [
        {
            "jd": 2458270.5,
            "fid": 1,
            "programid": 1,
            "isdiffpos": 1,
            "ra": place_of(alert["object_id"]),
            "dec": -3.5,
            "rb": 0.5,
            "drb": None,
            "magpsf": 18.25,
            "xpos": 100.5,
            "ypos": None,
            "field": 600,
            "night": night,
            "schema_version": "3.3",
            "nan_science": 0,
            "nan_template": 0,
            "nan_difference": 2,
            "recovered": False,
            "date": date(2018, 6, 1),
            **alert,
        }
        for alert in sorted(alerts, key=lambda alert: alert["candid"])
    ]
    schema = stamps_schema(crop)
    others = pa.schema([field for field in schema if field.name != "stamps"])
    table = pa.Table.from_pylist(rows, schema=others)
    if stamps is None:
        stamps = [stamp_of(row["candid"], crop) for row in rows]
    flat = np.concatenate([np.empty(0, np.float32), *(stamp.ravel() for stamp in stamps)])
    column = pa.FixedSizeListArray.from_arrays(
        pa.array(flat, pa.float32()), type=schema.field("stamps").type
    )
    path = folder / f"{night}.parquet"
    pq.write_table(table.append_column(schema.field("stamps"), column), path, row_group_size=group)
    return path


def write_labels(path: Path, labels: dict[str, str]) -> Path:
    """Write labels by object; every second object has no probability."""
    names = sorted(labels)
    table = pa.table(
        {
            "object_id": pa.array(names, pa.string()),
            "alerce_class": pa.array([f"class of {labels[name]}" for name in names], pa.string()),
            "label": pa.array([labels[name] for name in names], pa.string()),
            "probability": pa.array(
                [None if number % 2 else 0.75 for number in range(len(names))], pa.float32()
            ),
        }
    )
    pq.write_table(table, path)
    return path
