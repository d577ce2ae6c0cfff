"""The columns that a night of stamps has."""

import numpy as np
import pyarrow as pa

from skymill.alerts.packet import OBJECT_ID_BYTES, VERSION_BYTES


def stamps_schema(crop: int) -> pa.Schema:
    """Return the columns of a night of stamps, each `crop` pixels wide and high."""
    required = [
        ("object_id", pa.string()),
        ("candid", pa.int64()),
        ("jd", pa.float64()),
        ("fid", pa.int8()),
        ("programid", pa.int8()),
        ("isdiffpos", pa.int8()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("rb", pa.float32()),
        ("drb", pa.float32()),
        ("magpsf", pa.float32()),
        ("xpos", pa.float32()),
        ("ypos", pa.float32()),
        ("field", pa.int32()),
        ("night", pa.string()),
        ("schema_version", pa.string()),
        ("nan_science", pa.int16()),
        ("nan_template", pa.int16()),
        ("nan_difference", pa.int16()),
        ("recovered", pa.bool_()),
        ("date", pa.date32()),
    ]
    nullable = {"rb", "drb", "xpos", "ypos", "field"}
    pixels = pa.field("element", pa.float32(), nullable=False)
    return pa.schema(
        [pa.field(name, kind, nullable=name in nullable) for name, kind in required]
        + [pa.field("stamps", pa.list_(pixels, 3 * crop * crop), nullable=False)]
    )


NULL_FIELD = -(2**31)
"""What stands for no field in rows; a null float is NaN there."""


def row_type(crop: int) -> np.dtype:
    """Return the fixed-width form of one alert, in which alerts wait to be sorted."""
    return np.dtype(
        [
            ("object_id", f"S{OBJECT_ID_BYTES}"),
            ("schema_version", f"S{VERSION_BYTES}"),
            ("candid", "<i8"),
            ("jd", "<f8"),
            ("ra", "<f8"),
            ("dec", "<f8"),
            ("rb", "<f4"),
            ("drb", "<f4"),
            ("magpsf", "<f4"),
            ("xpos", "<f4"),
            ("ypos", "<f4"),
            ("field", "<i4"),
            ("nan", "<i2", (3,)),
            ("fid", "i1"),
            ("programid", "i1"),
            ("isdiffpos", "i1"),
            ("recovered", "?"),
            # What alignment would leave here has no fixed bytes, and rows are compared by theirs.
            ("zero", "<i2"),
            ("stamps", "<f4", (3 * crop * crop,)),
        ],
        align=True,
    )
