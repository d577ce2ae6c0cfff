"""A place in SWAN-SF: the HARP and time of a step in one number, which sorts by HARP and time."""

import numpy as np
import pyarrow as pa

_TIME_BITS = 40
"""The bits of a place: the seconds are in the low bits, the HARP is in the high bits."""


def place_of(harp: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return one int64 per pair of HARP and time (seconds, int64), which sorts by HARP and time."""
    return (np.asarray(harp, dtype=np.int64) << _TIME_BITS) + time


def harp_and_time(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the HARPs and times of places, see place_of."""
    return place >> _TIME_BITS, place & ((1 << _TIME_BITS) - 1)


def seconds_of(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of times in seconds since 1970-01-01 of its scale, int64."""
    return table[name].to_numpy().astype("M8[s]").astype(np.int64)
