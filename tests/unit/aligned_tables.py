"""Small tables of steps, windows, records and samples for the tests of the aligned branch."""

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.aligned.keys import keys
from skymill.aligned.steps import STEP_KEYS_SCHEMA, Steps
from skymill.clock import Clock
from skymill.engine.tables import write_table
from skymill.magnetic.schema import STEPS
from skymill.swan_sf.schema import PARAMETERS, STEP_SECONDS
from skymill.swan_sf.tables import STEPS_SCHEMA

BEGIN = int(np.datetime64("2014-01-15T00:00:00", "s").astype(int))
"""TAI seconds of the first step of a HARP, by default."""
CLOCK = Clock(np.datetime64("2013-12-31"), np.datetime64("2014-03-01"))


def series(seed, length):
    """Return values of a HARP: float64, shape (24, length); positive, as real values are."""
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.uniform(0, 20, len(PARAMETERS))
    return size[:, None] * np.exp(np.cumsum(rng.normal(0, 0.02, (len(PARAMETERS), length)), axis=1))


class Sky:
    """Steps of some HARPs. Each HARP has `values`, `time` (TAI seconds) and NOAA numbers."""

    def __init__(self):
        self.parts = []

    def add(self, harp, values, *, noaa=(), begin=BEGIN, missing=()):
        """Add a HARP. `noaa` has the numbers of all steps, or a list for each step."""
        count = values.shape[1]
        numbers = [sorted(noaa)] * count if not any(isinstance(n, list) for n in noaa) else noaa
        kept = [step for step in range(count) if step not in set(missing)]
        self.parts.append(
            (
                np.full(len(kept), harp),
                begin + np.array(kept, dtype=np.int64) * STEP_SECONDS,
                [numbers[step] for step in kept],
                values[:, kept],
            )
        )
        return self

    def table(self):
        """Return the steps as a table of STEP_KEYS_SCHEMA, sorted."""
        harp = np.concatenate([part[0] for part in self.parts])
        time = np.concatenate([part[1] for part in self.parts])
        noaa = [numbers for part in self.parts for numbers in part[2]]
        exact, rounded = keys(np.concatenate([part[3] for part in self.parts], axis=1))
        order = np.lexsort((time, harp))
        columns = {
            "harp": harp[order],
            "time_tai": time[order].astype("M8[s]"),
            "noaa": [noaa[row] for row in order],
            "exact": exact[order],
            "rounded": rounded[order],
        }
        return pa.table(
            [pa.array(columns[field.name], field.type) for field in STEP_KEYS_SCHEMA],
            schema=STEP_KEYS_SCHEMA,
        )

    def write(self, path, rows_per_group=2**17):
        """Write the steps as the catalogue does, a table of STEPS_SCHEMA."""
        harp = np.concatenate([part[0] for part in self.parts])
        time = np.concatenate([part[1] for part in self.parts])
        noaa = [numbers for part in self.parts for numbers in part[2]]
        values = np.concatenate([part[3] for part in self.parts], axis=1)
        order = np.lexsort((time, harp))
        columns = {
            "harp": harp[order],
            "time_tai": time[order].astype("M8[s]"),
            "noaa": [noaa[row] for row in order],
            **dict(zip(PARAMETERS, values[:, order], strict=True)),
            "quality": [0] * len(order),
            "is_tmfi": [True] * len(order),
            "windows": [1] * len(order),
        }
        table = pa.table(
            [pa.array(columns[field.name], field.type) for field in STEPS_SCHEMA],
            schema=STEPS_SCHEMA,
        )
        write_table(path, table, rows_per_group=rows_per_group)
        return path

    def steps(self):
        """Return the steps in the form that locate and join need."""
        return Steps([self.table()])


def record_keys(values):
    """Return two arrays of keys, shape (records, 60), for values float64 (24, records, 60)."""
    count = values.shape[1]
    exact, rounded = keys(values.reshape(len(PARAMETERS), -1))
    return exact.reshape(count, STEPS), rounded.reshape(count, STEPS)


def ids_of(count, label="Q", partition="train_partition1_data"):
    """Return an ids table with `count` records."""
    return pd.DataFrame(
        {
            "record_id": np.arange(1, count + 1),
            "partition": [partition] * count,
            "label": [label] * count,
        }
    )


def samples_of(rows, sets="train"):
    """Return samples: rows are (region, end in UTC as text, GOES class), 12 hours long."""
    end = np.array([row[1] for row in rows], dtype="M8[ns]")
    goes = [row[2] for row in rows]
    letters = [name[0] if name[0] in "XMC" else "Q" for name in goes]
    folders = [f"{str(time.astype('M8[s]')).translate(_FOLDER)}_0" for time in end]
    names = [sets] * len(rows) if isinstance(sets, str) else list(sets)
    return pd.DataFrame(
        {
            "set": names,
            "row": [names[:place].count(name) for place, name in enumerate(names)],
            "sample_id": [f"{row[0]}_{folder}" for row, folder in zip(rows, folders, strict=True)],
            "ar_num": [row[0] for row in rows],
            "time_id": folders,
            "start": end - np.timedelta64(12, "h"),
            "end": end,
            "label": letters,
            "goes_class": goes,
        }
    )


_FOLDER = str.maketrans("-T:", "___")


def windows_of(rows):
    """Return windows: rows are (HARP, end in TAI seconds, label, GOES class or None)."""
    return pd.DataFrame(rows, columns=["harp", "end", "label", "goes"])
