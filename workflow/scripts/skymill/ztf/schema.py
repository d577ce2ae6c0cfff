"""The columns of a night of stamps."""

import json

import numpy as np
import pyarrow as pa

from skymill.alerts.packet import OBJECT_ID_BYTES, VERSION_BYTES

STAMPS = "stamps"
"""The column with science, template and difference, in a night and in the product."""
CUTOUTS = ("science", "template", "difference")
"""The images of an alert, in the order of the array's second axis."""


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
    return pa.schema(
        [pa.field(name, kind, nullable=name in nullable) for name, kind in required]
        + [stamps_field(crop)]
    )


def stamps_field(crop: int) -> pa.Field:
    """Return the column of the pixels: a list of float32 with shape and axes in its metadata."""
    pixels = pa.field("element", pa.float32(), nullable=False)
    shape = {
        "shape": json.dumps([len(CUTOUTS), crop, crop]),
        "axes": json.dumps(["cutout", "y", "x"]),
        "cutouts": json.dumps(CUTOUTS),
    }
    kind = pa.list_(pixels, len(CUTOUTS) * crop**2)
    return pa.field(STAMPS, kind, nullable=False, metadata=shape)


NULL_FIELD = -(2**31)
"""The value of a missing `field` in rows; missing floats are NaN in rows."""


def row_type(crop: int) -> np.dtype:
    """Return the fixed-width type of one alert. Alerts have this type until they are sorted."""
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
            # Without this field, alignment would leave bytes undefined here. Rows are compared by
            # their bytes.
            ("zero", "<i2"),
            ("stamps", "<f4", (3 * crop * crop,)),
        ],
        align=True,
    )
