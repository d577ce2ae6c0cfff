"""The catalogue of a partition of SWAN-SF: windows, distinct steps, and rejected windows."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from skymill.engine.arrays import to_arrow
from skymill.engine.gzipped import open_file
from skymill.engine.parallel import map_stream
from skymill.engine.products import new_file
from skymill.engine.tables import write_table
from skymill.swan_sf.members import Seen, read_batches
from skymill.swan_sf.parse import Rejected, Window, parse_members
from skymill.swan_sf.schema import LABELS, PARAMETERS, PARTITIONS
from skymill.swan_sf.steps import Collected, Steps, most_frequent
from skymill.swan_sf.tables import (
    NUMBERS,
    STEPS_PER_ROW_GROUP,
    STEPS_SCHEMA,
    TIME,
    WINDOWS_SCHEMA,
)

logger = logging.getLogger(__name__)


def catalogue(
    raw: Path,
    partition: str,
    *,
    steps: Path,
    windows: Path,
    quarantine: Path,
    opener: Callable[[Path], BinaryIO] = open_file,
    workers: int = 1,
) -> dict:
    """Read a partition's tarball once, as a stream.

    Parameters
    ----------
    raw, partition
        The tarball, and its name in schema.PARTITIONS.
    steps, windows, quarantine
        Outputs: Parquet files of tables.STEPS_SCHEMA and WINDOWS_SCHEMA, and JSON lines: one per
        rejected window, and one per repeated step with different values.
    opener
        Opens the tarball.
    workers
        Threads. The bytes of the outputs do not depend on them.

    Returns
    -------
    The manifest's `files` and `counts`.
    """
    seen, collected = Seen(), Collected()
    found: list[Window] = []
    rejected: list[Rejected] = []
    infinite = 0
    batches = read_batches(raw, seen, opener)
    for parsed in map_stream(
        parse_members, batches, workers=workers, what=f"catalogue {partition}"
    ):
        found += parsed.windows
        rejected += parsed.rejected
        infinite += parsed.infinite
        collected.add(parsed.steps)
    kept, repeated = _once(found)
    rejected = sorted([*rejected, *repeated], key=lambda one: one.number)
    every = collected.all()
    chosen, others = most_frequent(every)
    with new_file(quarantine) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for entry in [*_losses(rejected), *_contradictions(every, others, found)]:
            line = json.dumps({"file": raw.name, **entry}, ensure_ascii=False)
            stream.write(f"{line}\n")
    counts = {
        "windows": len(kept) + len(rejected),
        "valid": len(kept),
        "rejected": len(rejected),
        "rejected_by_reason": dict(sorted(Counter(one.reason for one in rejected).items())),
        "valid_by_label": _by_label(kept),
        "harps": len({window.name.harp for window in kept}),
        "steps": len(chosen),
        "differing_steps": len(np.unique(every.key[others])),
        "infinite_values": infinite,
        "ignored_members": seen.ignored,
    }
    _warn(raw.name, counts, seen.broken_off)
    return {
        "files": [
            write_table(
                steps, _steps_table(every.take(chosen)), rows_per_group=STEPS_PER_ROW_GROUP
            ),
            write_table(windows, _windows_table(kept, PARTITIONS.index(partition) + 1)),
        ],
        "counts": counts,
        "broken_off": seen.broken_off,
        "ignored": seen.ignored_names,
    }


def _once(found: list[Window]) -> tuple[list[Window], list[Rejected]]:
    """Return the windows sorted by HARP and start, and the rejected repetitions.

    If several windows have the same HARP and start, the first in the tarball is kept.
    """
    kept: dict[tuple[int, int], Window] = {}
    repeated = []
    for window in sorted(found, key=lambda window: window.number):
        first = kept.setdefault((window.name.harp, window.name.start), window)
        if first is not window:
            detail = f"has the HARP and the start of {first.member}"
            repeated.append(Rejected(window.number, window.member, "repeated", detail))
    return [kept[place] for place in sorted(kept)], repeated


def _losses(rejected: list[Rejected]) -> Iterator[dict]:
    for one in rejected:
        yield {"member": one.member, "reason": one.reason, "detail": one.detail}


def _contradictions(steps: Steps, others: np.ndarray, found: list[Window]) -> Iterator[dict]:
    """Yield the steps that have other values in some windows than the kept values."""
    members = {window.number: window.member for window in found}
    for place in others.tolist():
        time = np.datetime64(int(steps.key[place]) % 2**32, "s")
        count = int(steps.windows[place])
        yield {
            "member": members[int(steps.first[place])],
            "reason": "differing_step",
            "detail": f"HARP {int(steps.key[place]) >> 32} has other values at {time} in "
            f"{count} {'window' if count == 1 else 'windows'}, this one first",
        }


def _by_label(windows: list[Window]) -> dict[str, int]:
    counted = Counter(window.name.label for window in windows)
    return {label: counted[label] for label in LABELS}


def _warn(name: str, counts: dict, broken_off: str | None) -> None:
    """Warn of losses and of contradictions."""
    if broken_off:
        logger.warning("%s is not whole: %s; the windows before are kept", name, broken_off)
    if counts["rejected"]:
        reasons = counts["rejected_by_reason"]
        listed = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
        numbers = counts["rejected"], counts["windows"]
        logger.warning("%s: %d of %d windows are rejected (%s)", name, *numbers, listed)
    if counts["differing_steps"]:
        logger.warning(
            "%s: %d steps have different values in different windows; the most frequent are kept",
            name,
            counts["differing_steps"],
        )
    if counts["infinite_values"]:
        logger.warning(
            "%s: %d values are infinite and are read as missing", name, counts["infinite_values"]
        )


def _steps_table(steps: Steps) -> pa.Table:
    """Return the table of tables.STEPS_SCHEMA."""
    columns = {
        "harp": to_arrow((steps.key >> 32).astype(np.int32), pa.int32()),
        "time_tai": to_arrow((steps.key & (2**32 - 1)).view("M8[s]"), TIME),
        "noaa": _lists(steps.noaa, steps.numbers),
        "quality": to_arrow(steps.quality, pa.int64(), steps.quality < 0),
        "is_tmfi": to_arrow(steps.is_tmfi > 0, pa.bool_(), steps.is_tmfi < 0),
        "windows": to_arrow(steps.windows, pa.int32()),
    }
    for place, name in enumerate(PARAMETERS):
        columns[name] = to_arrow(steps.values[:, place], pa.float64())
    return pa.table([columns[field.name] for field in STEPS_SCHEMA], schema=STEPS_SCHEMA)


def _windows_table(windows: list[Window], partition: int) -> pa.Table:
    """Return the table of tables.WINDOWS_SCHEMA."""
    names = [window.name for window in windows]
    columns = {
        "partition": to_arrow(np.full(len(names), partition, np.int8), pa.int8()),
        "harp": to_arrow([name.harp for name in names], pa.int32()),
        "start_tai": _times([name.start for name in names]),
        "end_tai": _times([name.end for name in names]),
        **{
            key: to_arrow([getattr(name, key) for name in names], WINDOWS_SCHEMA.field(key).type)
            for key in ("label", "goes", "flare_id", "event", "role")
        },
        "member": to_arrow([window.member for window in windows], pa.string()),
        "noaa": _lists(np.arange(len(names)), [window.noaa for window in windows]),
    }
    return pa.table([columns[field.name] for field in WINDOWS_SCHEMA], schema=WINDOWS_SCHEMA)


def _times(seconds: list[int]) -> pa.Array:
    return to_arrow(np.array(seconds, np.int64).view("M8[s]"), TIME)


def _lists(places: np.ndarray, numbers: list[tuple[int, ...]]) -> pa.Array:
    """Return the set of numbers at each of `places`, as a list<int32>."""
    sizes = np.array([len(each) for each in numbers], np.int64)
    flat = np.array([number for each in numbers for number in each], np.int32)
    begins = np.cumsum(sizes) - sizes
    wanted = sizes[places]
    ends = np.cumsum(wanted)
    inside = np.arange(int(wanted.sum())) - np.repeat(ends - wanted, wanted)
    values = flat[np.repeat(begins[places], wanted) + inside]
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.ListArray.from_arrays(
        to_arrow(offsets, pa.int32()), to_arrow(values, pa.int32()), NUMBERS
    )
