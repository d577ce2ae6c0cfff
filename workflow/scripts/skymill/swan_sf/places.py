"""A place in SWAN-SF: HARP and time of a step in one number, in the order of both."""

import numpy as np
import pyarrow as pa

_TIME_BITS = 40
"""Of the place of a step: seconds below, the HARP above."""


def place_of(harp: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return one int64 for each pair of HARP and time (seconds, int64), in the order of both."""
    return (np.asarray(harp, dtype=np.int64) << _TIME_BITS) + time


def harp_and_time(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return HARPs and times of places, see place_of."""
    return place >> _TIME_BITS, place & ((1 << _TIME_BITS) - 1)


def seconds_of(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of times in seconds since 1970-01-01 of its scale, int64."""
    return table[name].to_numpy().astype("M8[s]").astype(np.int64)
