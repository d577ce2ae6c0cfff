"""Locate the records of 2020: each step votes for a HARP and a start by its value.

The 2020 files have no times and no regions, but they contain the same series as SWAN-SF, which has
times and HARPs. If a step of a record has the value of a step of SWAN-SF, the step votes for the
HARP of that step, and for the start of a record with this step. A record is located if at least
MIN_VOTES of its 60 steps vote for the same HARP and start, and no rival has more than a tenth of
these votes.
"""

import logging

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.aligned.nearest import Values, nearest_windows
from skymill.aligned.steps import Steps
from skymill.clock import Clock
from skymill.engine.tables import categorical
from skymill.magnetic.fingerprints import TRIVIAL
from skymill.magnetic.schema import LABELS, PARTITIONS, STEPS
from skymill.swan_sf.places import place_of
from skymill.swan_sf.schema import STEP_SECONDS

logger = logging.getLogger(__name__)

MIN_VOTES = 20
RIVAL_SHARE = 0.1
"""The largest votes of the runner-up, as a share of the winner's votes."""

TIERS = ("exact", "rounded", "nearest")
STATUSES = ("located", "ambiguous", "absent")

RECORD_TIMES_SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.int64(), nullable=False),
        categorical("partition", PARTITIONS, nullable=False),
        categorical("label", LABELS),
        categorical("status", STATUSES, nullable=False),
        categorical("tier", TIERS),
        pa.field("harp", pa.int32()),
        pa.field("start", pa.timestamp("ms")),
        pa.field("end", pa.timestamp("ms")),
        pa.field("start_tai", pa.timestamp("ms")),
        pa.field("end_tai", pa.timestamp("ms")),
        pa.field("noaa", pa.list_(pa.int32())),
        pa.field("votes", pa.int16(), nullable=False),
        pa.field("runner_up_votes", pa.int16(), nullable=False),
        pa.field("rms", pa.float64()),
    ]
)
"""One row per record, in the order of the ids. HARP, times and numbers are null unless the record
is located. `tier` is the tier that decided, null for an absent record. Only the nearest tier has
an `rms`."""

_COMMON = 16
"""A value in more steps than this does not show the place of a record. The limit also bounds the
votes of a chunk of records, and therefore the memory."""
_RECORDS_AT_A_TIME = 16_384
_TIME_BITS = 34
_EARLIER = STEPS * STEP_SECONDS


class Votes:
    """The votes of the steps of records.

    Attributes
    ----------
    harp, start
        int64, shape (records,): the HARP and start (TAI seconds) with the most votes. Of equally
        many votes, the smallest HARP and start. 0 without a vote.
    best, second
        int64, shape (records,): votes of the winner and of the runner-up.
    """

    def __init__(self, records: int):
        self.harp, self.start, self.best, self.second = np.zeros((4, records), dtype=np.int64)

    def is_clear(self) -> np.ndarray:
        """Return which records have a clear winner: bool, shape (records,)."""
        return (self.best >= MIN_VOTES) & (self.second <= RIVAL_SHARE * self.best)

    def is_ambiguous(self) -> np.ndarray:
        """Return which records have a rival of the winner: bool, shape (records,)."""
        return (self.best >= MIN_VOTES) & (self.second > RIVAL_SHARE * self.best)


def count_votes(records: np.ndarray, key: np.ndarray, harp: np.ndarray, time: np.ndarray) -> Votes:
    """Let the steps of records vote for a HARP and a start.

    Parameters
    ----------
    records
        uint64, shape (records, 60): keys of their steps.
    key, harp, time
        Key, HARP and time (TAI seconds, int64) of each step of SWAN-SF, shape (steps,).
    """
    votes = Votes(len(records))
    useful = key != TRIVIAL
    key, harp, time = key[useful], harp[useful], time[useful]
    order = np.argsort(key, kind="stable")
    distinct, first, count = np.unique(key[order], return_index=True, return_counts=True)
    if not len(distinct):
        return votes
    # A candidate is one number, which counts seconds from the earliest possible start.
    earliest = int(time.min()) - _EARLIER
    candidate = ((harp << _TIME_BITS) + (time - earliest))[order]
    for begin in range(0, len(records), _RECORDS_AT_A_TIME):
        chunk = records[begin : begin + _RECORDS_AT_A_TIME]
        flat = chunk.reshape(-1)
        # Searched in sorted order: several times faster than random access to two million keys.
        order_of_keys = np.argsort(flat)
        place = np.empty(len(flat), dtype=np.int64)
        place[order_of_keys] = np.searchsorted(distinct, flat[order_of_keys])
        place = np.minimum(place, len(distinct) - 1)
        hit = np.flatnonzero((distinct[place] == flat) & (count[place] <= _COMMON))
        place = place[hit]
        times = count[place]
        # All steps with the value, one after the other.
        nth = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        seq = np.repeat(hit % STEPS, times)
        voted = candidate[np.repeat(first[place], times) + nth] - seq * STEP_SECONDS
        record = np.repeat(hit // STEPS, times)
        _count_chunk(votes, begin, record, voted)
    found = votes.best > 0
    votes.start[found] = (votes.start[found] & ((1 << _TIME_BITS) - 1)) + earliest
    return votes


def _count_chunk(votes: Votes, begin: int, record: np.ndarray, voted: np.ndarray) -> None:
    """Fill in the winners of some records. The `start` of a winner is still its candidate."""
    order = np.lexsort((voted, record))
    record, voted = record[order], voted[order]
    new = np.ones(len(record), dtype=bool)
    new[1:] = (record[1:] != record[:-1]) | (voted[1:] != voted[:-1])
    at = np.flatnonzero(new)
    total = np.diff(np.append(at, len(record)))
    record, voted = record[at], voted[at]
    # The winner first; of equally many votes, the smaller candidate.
    order = np.lexsort((voted, -total, record))
    record, voted, total = record[order], voted[order], total[order]
    first = np.ones(len(record), dtype=bool)
    first[1:] = record[1:] != record[:-1]
    winner = np.flatnonzero(first)
    row = begin + record[winner]
    votes.best[row] = total[winner]
    votes.harp[row] = voted[winner] >> _TIME_BITS
    votes.start[row] = voted[winner]
    behind = np.flatnonzero(~first & np.roll(first, 1)) if len(first) else winner
    votes.second[begin + record[behind]] = total[behind]


def locate(
    ids: pd.DataFrame,
    exact: np.ndarray,
    rounded: np.ndarray,
    steps: Steps,
    clock: Clock,
    nearest: "Values | None" = None,
) -> tuple[pa.Table, dict]:
    """Locate records, tier by tier.

    Parameters
    ----------
    ids
        record_id, partition, label (NaN if unknown) of each record.
    exact, rounded
        uint64, shape (records, 60): keys of their steps.
    steps
        The steps of SWAN-SF.
    clock
        A clock for all times of the steps, with one more day at each end.
    nearest
        The values for the tier of nearest neighbours; None leaves the tier out.

    Returns
    -------
    A table of RECORD_TIMES_SCHEMA, and counts by tier and status.
    """
    count = len(ids)
    status = np.full(count, "absent", dtype=object)
    tier = np.full(count, None, dtype=object)
    harp, start, best, second = np.zeros((4, count), dtype=np.int64)
    rms = np.full(count, np.nan)
    left = np.arange(count)
    for name, own, key in (("exact", exact, steps.exact), ("rounded", rounded, steps.rounded)):
        votes = count_votes(own[left], key, steps.harp, steps.time)
        more = votes.best >= best[left]
        best[left[more]], second[left[more]] = votes.best[more], votes.second[more]
        for word, chosen in (("located", votes.is_clear()), ("ambiguous", votes.is_ambiguous())):
            rows = left[chosen]
            status[rows], tier[rows] = word, name
            if word == "located":
                harp[rows], start[rows] = votes.harp[chosen], votes.start[chosen]
        left = left[status[left] == "absent"]
    if nearest is not None and len(left):
        found = nearest_windows(nearest, left, steps)
        rows = left[found.accepted]
        status[rows], tier[rows] = "located", "nearest"
        harp[rows], start[rows] = found.harp[found.accepted], found.start[found.accepted]
        rms[rows] = found.rms[found.accepted]
    if count and not (status == "located").any():
        logger.warning(
            "None of the %s magnetic records is in SWAN-SF: their values differ, or their "
            "partitions are missing.",
            f"{count:,}",
        )
    table = _table(ids, status, tier, harp, start, best, second, rms, steps, clock)
    return table, describe(table)


def _table(ids, status, tier, harp, start, best, second, rms, steps, clock) -> pa.Table:
    """Return the table of RECORD_TIMES_SCHEMA."""
    located = status == "located"
    end = start + (STEPS - 1) * STEP_SECONDS
    numbers = np.full(len(ids), None, dtype=object)
    rows = np.flatnonzero(located)
    first = np.searchsorted(steps.place, place_of(harp[rows], start[rows]))
    last = np.searchsorted(steps.place, place_of(harp[rows], end[rows]), side="right")
    for row, found in zip(rows.tolist(), steps.numbers_between(first, last), strict=True):
        numbers[row] = found
    columns = {
        "record_id": pa.array(ids["record_id"].to_numpy(np.int64)),
        "partition": pa.array(ids["partition"].to_numpy(object), pa.string()),
        "label": pa.array(ids["label"].to_numpy(object), pa.string(), from_pandas=True),
        "status": pa.array(status, pa.string()),
        "tier": pa.array(tier, pa.string()),
        "harp": pa.array(harp, mask=~located),
        "noaa": pa.array(numbers.tolist(), pa.list_(pa.int32())),
        "votes": pa.array(best),
        "runner_up_votes": pa.array(second),
        "rms": pa.array(rms, from_pandas=True),
    }
    for name, seconds in (("start", start), ("end", end)):
        tai = np.where(located, seconds, 0).astype("M8[s]")
        utc = tai.copy()
        utc[located] = clock.to_utc(tai[located]).astype("M8[s]")
        columns[f"{name}_tai"] = pa.array(tai, mask=~located)
        columns[name] = pa.array(utc, mask=~located)
    return pa.table(
        [columns[field.name].cast(field.type) for field in RECORD_TIMES_SCHEMA],
        schema=RECORD_TIMES_SCHEMA,
    )


def describe(record_times: pa.Table) -> dict:
    """Return the number of records of each status or tier, in total and by partition and label.

    Located records are counted by tier, other records by status.
    """
    frame = pd.DataFrame(
        {
            name: record_times[name].cast(pa.string()).to_numpy(zero_copy_only=False)
            for name in ("partition", "label", "status", "tier")
        }
    )
    frame["outcome"] = np.where(frame["status"] == "located", frame["tier"], frame["status"])
    outcomes = [*TIERS, *STATUSES[1:]]
    groups = {
        f"{partition} {label if isinstance(label, str) else 'unknown'}": rows
        for (partition, label), rows in frame.groupby(["partition", "label"], dropna=False)
    }

    def counted(rows: pd.DataFrame) -> dict[str, int]:
        found = rows["outcome"].value_counts()
        return {name: int(found.get(name, 0)) for name in outcomes}

    return {
        "records": len(frame),
        "outcomes": counted(frame),
        "by_partition_and_label": {name: counted(rows) for name, rows in sorted(groups.items())},
    }
