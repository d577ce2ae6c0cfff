"""Tables of SWAN-SF: its distinct steps, and its windows.

All times of SWAN-SF are assumed to be TAI, because JSOC's series use TAI. They are stored as plain
TAI dates in whole seconds. The names of their columns end in `_tai`.
"""

import pyarrow as pa

from skymill.swan_sf.schema import PARAMETERS

# Parquet has no unit of seconds, so a Parquet file returns milliseconds.
TIME = pa.timestamp("ms")
NUMBERS = pa.list_(pa.field("element", pa.int32()))

STEPS_SCHEMA = pa.schema(
    [
        pa.field("harp", pa.int32(), nullable=False),
        pa.field("time_tai", TIME, nullable=False),
        pa.field("noaa", NUMBERS, nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in PARAMETERS),
        pa.field("quality", pa.int64()),
        pa.field("is_tmfi", pa.bool_()),
        pa.field("windows", pa.int32(), nullable=False),
    ]
)
"""One row per distinct step of a partition, sorted by (harp, time_tai). `noaa` has the NOAA numbers
in the HARP at this step, ascending; the list is often empty. A missing value is NaN. `windows` is
the number of windows with these values."""

STEPS_PER_ROW_GROUP = 2**14
"""Steps that are read together when one of them is needed: the steps of some twenty HARPs."""

WINDOWS_SCHEMA = pa.schema(
    [
        pa.field("partition", pa.int8(), nullable=False),
        pa.field("harp", pa.int32(), nullable=False),
        pa.field("start_tai", TIME, nullable=False),
        pa.field("end_tai", TIME, nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("goes", pa.string()),
        pa.field("flare_id", pa.int64()),
        pa.field("event", pa.string()),
        pa.field("role", pa.string()),
        pa.field("member", pa.string(), nullable=False),
        pa.field("noaa", NUMBERS, nullable=False),
    ]
)
"""One row per valid window of a partition, sorted by (harp, start_tai). `end_tai` is the time of
the last step. `label` is one of LABELS. `goes` is the class with its digit (M1.0), or null if the
name has no flare of class A or above. `flare_id` and `event` (such as Primary) describe this flare.
`role` is the folder, FL or NF. `noaa` has all numbers of the window's steps, ascending."""
