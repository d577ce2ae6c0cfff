"""Find the steps, the record of 2020 and the label of SWAN-SF that belong to an image sample.

No data after a sample's end may be used. The values of a step use light from about 11 minutes
before and after the step, so a series ends at least 12 minutes before its sample. Labels are found
only for comparison.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.aligned.steps import Steps
from skymill.engine.tables import read_table
from skymill.magnetic.schema import STEPS
from skymill.swan_sf.places import place_of
from skymill.swan_sf.schema import STEP_SECONDS

MARGIN = 720
"""The fewest seconds between the end of a series and the end of its sample."""
MIN_STEPS = 48
"""The fewest measured steps among the 60 steps of a series."""
MAX_RECORD_OFFSET = 3600
"""The most seconds between the last step of a record of 2020 and the end of its sample."""

REASONS = ("no_harp", "too_little_overlap", "several_harps")
"""Why a sample has no partner: no HARP has the sample's number at more than half of the HARP's
steps in this time; fewer than MIN_STEPS steps were measured; several HARPs have the number at
equally many steps."""


@dataclass(frozen=True)
class Series:
    """The steps of each sample; arrays of shape (samples,).

    Attributes
    ----------
    harp
        int64, -1 without a HARP.
    start, end
        TAI seconds of the first and the last of 60 steps, also if these steps are missing; 0
        without a HARP.
    present, numbered
        How many of these steps were measured, and how many of the measured steps have the sample's
        number.
    reason
        One of REASONS, None for a sample with a partner.
    """

    harp: np.ndarray
    start: np.ndarray
    end: np.ndarray
    present: np.ndarray
    numbered: np.ndarray
    reason: np.ndarray


def find_series(region: np.ndarray, end: np.ndarray, steps: Steps) -> Series:
    """Find the 60 steps before the end of each sample.

    The steps are from the HARP that has the sample's number at the most steps. They are on the
    HARP's own grid of 12 minutes, and the last step is at least MARGIN before the sample's end.

    Parameters
    ----------
    region
        NOAA number of each sample, int64, shape (samples,).
    end
        End of each sample in TAI, datetime64[ns].
    steps
        The steps of SWAN-SF.
    """
    count = len(region)
    harp = np.full(count, -1, dtype=np.int64)
    start, last, present, numbered = np.zeros((4, count), dtype=np.int64)
    reason = np.full(count, None, dtype=object)
    # Every number of every measured step, sorted by number and time.
    owner = np.repeat(np.arange(len(steps)), np.diff(steps.noaa_of))
    number = steps.noaa[steps.measured[owner]]
    owner = owner[steps.measured[owner]]
    carried = place_of(number, steps.time[owner])
    order = np.argsort(carried, kind="stable")
    carried, owner = carried[order], owner[order]
    latest = (end.astype("M8[s]").astype(np.int64)) - MARGIN
    low = np.searchsorted(carried, place_of(region, latest - STEPS * STEP_SECONDS), side="right")
    high = np.searchsorted(carried, place_of(region, latest), side="right")
    for row in range(count):
        own = owner[low[row] : high[row]]
        names = sorted(set(steps.harp[own].tolist()))
        found = [_slots(steps, name, own, int(latest[row])) for name in names]
        found = sorted((one for one in found if 2 * one[0] > one[1]), reverse=True)
        if not found:
            reason[row] = "no_harp"
            continue
        numbered[row], present[row], last[row], harp[row] = found[0]
        start[row] = last[row] - (STEPS - 1) * STEP_SECONDS
        if len(found) > 1 and found[1][0] == found[0][0]:
            reason[row] = "several_harps"
        elif present[row] < MIN_STEPS:
            reason[row] = "too_little_overlap"
    return Series(harp, start, last, present, numbered, reason)


def _slots(steps: Steps, harp: int, numbered: np.ndarray, latest: int) -> tuple[int, ...]:
    """Count the slots of a HARP; return (slots with the number, measured slots, last slot, HARP).

    `numbered` are the positions of all steps with the number in the time of the sample.
    """
    own = numbered[steps.harp[numbered] == harp]
    # The grid of the HARP is the grid of its latest step with the number.
    grid = int(steps.time[own].max()) % STEP_SECONDS
    last = latest - (latest - grid) % STEP_SECONDS
    first = last - (STEPS - 1) * STEP_SECONDS
    low, high = np.searchsorted(steps.place, [place_of(harp, first), place_of(harp, last) + 1])
    there = steps.time[low:high][steps.measured[low:high]]
    return (
        _on_grid(steps.time[own], grid, first, last),
        _on_grid(there, grid, first, last),
        last,
        harp,
    )


def _on_grid(time: np.ndarray, grid: int, first: int, last: int) -> int:
    """Return how many times are on a grid of 12 minutes, from `first` to `last`."""
    return int(((time % STEP_SECONDS == grid) & (time >= first) & (time <= last)).sum())


def find_records(
    harp: np.ndarray, end: np.ndarray, record_harp: np.ndarray, record_end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the record of 2020 for each sample.

    Parameters
    ----------
    harp, end
        HARP and end of each sample in TAI (datetime64[ns]), shape (samples,).
    record_harp, record_end
        HARP, and time of the last step in TAI seconds, of each located record.

    Returns
    -------
    row
        int64, shape (samples,): the row of the latest record of the HARP whose last step is not
        after the sample's end and at most MAX_RECORD_OFFSET before. Of several such records, the
        first. -1 without a record.
    offset
        float64: seconds from the record's last step to the sample's end, NaN without a record.
    """
    order = np.lexsort((-np.arange(len(record_harp)), record_end, record_harp))
    ends = end.astype("M8[ns]").astype(np.int64)
    place = place_of(record_harp[order], record_end[order])
    at = np.searchsorted(place, place_of(harp, ends // 10**9), side="right") - 1
    row = np.full(len(harp), -1, dtype=np.int64)
    offset = np.full(len(harp), np.nan)
    some = np.flatnonzero(at >= 0)
    candidate = order[at[some]]
    away = ends[some] / 1e9 - record_end[candidate]
    near = (record_harp[candidate] == harp[some]) & (away <= MAX_RECORD_OFFSET)
    row[some[near]], offset[some[near]] = candidate[near], away[near]
    return row, offset


class Windows:
    """The windows of SWAN-SF, to find the label of a HARP at a time.

    Parameters
    ----------
    frame
        harp, end (TAI seconds, int64), label, goes (null for quiet) of each window.
    """

    def __init__(self, frame: pd.DataFrame):
        place = place_of(frame["harp"].to_numpy(), frame["end"].to_numpy(np.int64))
        order = np.argsort(place, kind="stable")
        self.place = place[order]
        self.harp = frame["harp"].to_numpy(np.int64)[order]
        self.end = frame["end"].to_numpy(np.int64)[order]
        self.label = frame["label"].to_numpy(object)[order]
        goes = frame["goes"].astype(object).where(frame["goes"].notna(), None)
        self.goes = goes.to_numpy(object)[order]

    def nearest(self, harp: np.ndarray, time: np.ndarray, within: int) -> np.ndarray:
        """Return the window of each HARP whose last step is nearest to a time.

        Parameters
        ----------
        harp, time
            HARPs and TAI seconds, int64, shape (n,).
        within
            The largest distance in seconds.

        Returns
        -------
        int64, shape (n,): the window's position, -1 without a window. Of two equally near windows,
        the earlier.
        """
        if not len(self.place):
            return np.full(len(harp), -1, dtype=np.int64)
        after = np.searchsorted(self.place, place_of(harp, time))
        best = np.full(len(harp), -1, dtype=np.int64)
        distance = np.full(len(harp), within + 1, dtype=np.int64)
        for at in (after - 1, after):
            at = np.clip(at, 0, len(self.place) - 1)
            away = np.abs(self.end[at] - time)
            nearer = (self.harp[at] == harp) & (away < distance)
            best[nearer], distance[nearer] = at[nearer], away[nearer]
        return best


def read_windows(tables: list[Path]) -> Windows:
    """Read the windows from tables of swan_sf.tables.WINDOWS_SCHEMA."""
    columns = ["harp", "end_tai", "label", "goes"]
    frame = pa.concat_tables(read_table(path, columns=columns) for path in tables).to_pandas()
    frame["end"] = frame["end_tai"].to_numpy("M8[s]").astype(np.int64)
    return Windows(frame)
