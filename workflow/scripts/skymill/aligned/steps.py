"""The distinct steps of SWAN-SF, without their values: HARP, time, NOAA numbers and keys."""

import functools
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from skymill.aligned.keys import ROUNDED_PARAMETERS, keys
from skymill.engine.tables import ParquetFile, read_table
from skymill.magnetic.fingerprints import TRIVIAL
from skymill.swan_sf.places import harp_and_time, place_of
from skymill.swan_sf.schema import PARAMETERS

logger = logging.getLogger(__name__)

STEP_KEYS_SCHEMA = pa.schema(
    [
        pa.field("harp", pa.int32(), nullable=False),
        pa.field("time_tai", pa.timestamp("ms"), nullable=False),
        pa.field("noaa", pa.list_(pa.int32()), nullable=False),
        pa.field("exact", pa.uint64(), nullable=False),
        pa.field("rounded", pa.uint64(), nullable=False),
    ]
)
"""One row per step of a partition, in the order of the catalogue; keys as in `keys.keys`."""


def key_steps(steps: Path) -> pa.Table:
    """Return the keys of the steps of a partition, a table of STEP_KEYS_SCHEMA.

    `steps` is the catalogue's table, see swan_sf.tables.STEPS_SCHEMA, read by row groups.
    """
    file = ParquetFile(steps)
    tables = []
    for group in range(file.metadata.num_row_groups):
        columns = ["harp", "time_tai", "noaa", *PARAMETERS]
        table = file.read_row_group(group, columns=columns)
        exact, rounded = keys(np.stack([table[name].to_numpy() for name in PARAMETERS]))
        found = {name: table[name] for name in ("harp", "time_tai", "noaa")}
        found |= {"exact": pa.array(exact), "rounded": pa.array(rounded)}
        tables.append(
            pa.table(
                [found[field.name].cast(field.type) for field in STEP_KEYS_SCHEMA],
                schema=STEP_KEYS_SCHEMA,
            )
        )
    return pa.concat_tables([STEP_KEYS_SCHEMA.empty_table(), *tables]).combine_chunks()


class Steps:
    """Steps of one or several partitions: each HARP and time once, sorted by HARP and time.

    Parameters
    ----------
    tables
        Tables of STEP_KEYS_SCHEMA. If a step is in several tables, the first table is used.

    Attributes
    ----------
    harp
        int64, shape (steps,).
    time
        TAI, int64 seconds since 1970-01-01 of this scale.
    place
        HARP and time in one number, see place_of.
    exact, rounded
        The keys.
    measured
        Whether a step has enough values: bool, see fingerprints.is_measured.
    noaa_of
        int64, shape (steps + 1,): where the numbers of each step begin in `noaa`.
    noaa
        int64: the NOAA numbers of all steps, one after the other.
    differing
        The number of steps that are in several partitions with different values.
    """

    def __init__(self, tables: Iterable[pa.Table]):
        table = pa.concat_tables([STEP_KEYS_SCHEMA.empty_table(), *tables]).combine_chunks()
        harp = table["harp"].to_numpy().astype(np.int64)
        time = table["time_tai"].to_numpy().astype("M8[s]").astype(np.int64)
        place = place_of(harp, time)
        order = np.argsort(place, kind="stable")
        again = np.zeros(len(order), dtype=bool)
        again[1:] = place[order][1:] == place[order][:-1]
        exact = table["exact"].to_numpy()[order]
        self.differing = int((again[1:] & (exact[1:] != exact[:-1])).sum())
        kept = order[~again]
        self.harp, self.time, self.place = harp[kept], time[kept], place[kept]
        self.exact, self.rounded = exact[~again], table["rounded"].to_numpy()[kept]
        self.measured = self.exact != TRIVIAL
        numbers = table["noaa"].take(pa.array(kept)).combine_chunks()
        if isinstance(numbers, pa.ChunkedArray):
            numbers = pa.concat_arrays([pa.array([], numbers.type), *numbers.chunks])
        lengths = np.diff(numbers.offsets.to_numpy().astype(np.int64))
        self.noaa_of = np.concatenate([[0], np.cumsum(lengths)])
        self.noaa = numbers.flatten().to_numpy().astype(np.int64)

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.harp)

    @functools.cached_property
    def links(self) -> np.ndarray:
        """Each pair (HARP, NOAA number) of the steps once, sorted: int64, shape (pairs, 2)."""
        harp = np.repeat(self.harp, np.diff(self.noaa_of))
        pairs = np.unique(place_of(harp, self.noaa))
        return np.stack(harp_and_time(pairs), axis=1)

    def numbers_between(self, first: np.ndarray, last: np.ndarray) -> list[list[int]]:
        """Return the NOAA numbers, ascending, of the steps in each half-open range of positions."""
        low, high = self.noaa_of[first].tolist(), self.noaa_of[last].tolist()
        # Most ranges have the same number at every step.
        changes = np.concatenate([[0, 0], np.cumsum(self.noaa[1:] != self.noaa[:-1])])
        found = []
        for begin, end in zip(low, high, strict=True):
            if begin < end and changes[begin + 1] == changes[end]:
                found.append([int(self.noaa[begin])])
            else:
                found.append(sorted(set(self.noaa[begin:end].tolist())))
        return found


def read_steps(tables: list[Path]) -> Steps:
    """Read the steps from tables of STEP_KEYS_SCHEMA; warn if two tables contradict each other."""
    steps = Steps(read_table(path).cast(STEP_KEYS_SCHEMA) for path in tables)
    if steps.differing:
        logger.warning(
            "SWAN-SF: %s steps have other values in a second partition; the first values are kept.",
            f"{steps.differing:,}",
        )
    return steps


def values_of_steps(steps: Steps, tables: list[Path]) -> np.ndarray:
    """Return the values of ROUNDED_PARAMETERS of all steps, float64, shape (8, steps).

    `tables` are the catalogue's tables of all partitions, in the order of the tables of `steps`.
    """
    values = np.full((len(ROUNDED_PARAMETERS), len(steps)), np.nan)
    for path in reversed(tables):
        columns = ["harp", "time_tai", *ROUNDED_PARAMETERS]
        table = read_table(path, columns=columns)
        time = table["time_tai"].to_numpy().astype("M8[s]").astype(np.int64)
        at = np.searchsorted(steps.place, place_of(table["harp"].to_numpy(), time))
        for number, name in enumerate(ROUNDED_PARAMETERS):
            values[number, at] = table[name].to_numpy()
    return values
