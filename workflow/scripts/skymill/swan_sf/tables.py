"""Tables of SWAN-SF: its distinct steps, and its windows.

All times of SWAN-SF are taken as TAI, by inference: JSOC's series are. They are stored as
plain dates of that scale, whole seconds, in columns that end in `_tai`.
"""

import pyarrow as pa

from skymill.swan_sf.schema import PARAMETERS

# As they come back from a Parquet file, which has no seconds.
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
"""A row for each distinct step of a partition, sorted by (harp, time_tai). `noaa` are the NOAA
numbers in the HARP at this step, ascending, often none; a missing value is NaN; `windows` is the
number of windows with these values."""

STEPS_PER_ROW_GROUP = 2**14
"""Steps that are read together when one of them is wanted: those of some twenty HARPs."""

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
"""A row for each valid window of a partition, sorted by (harp, start_tai). `end_tai` is the time of
its last step. `label` is one of LABELS, `goes` the class with its digit (M1.0), null where no flare
of class A or above is named; `flare_id` and `event` (Primary and the like) are of this flare;
`role` is the folder, FL or NF; `noaa` are all numbers of its steps, ascending."""
