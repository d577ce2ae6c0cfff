"""Simulate the four files of the 2020 magnetic data set, byte for byte in the archive's format.

A simulated active region is one long series of steps. Its records are windows of 60 steps that
slide over the series, so neighbouring records share steps, as in the archive. `layout` assigns a
window to each line of each file. `write_chunk` simulates the regions of a range of lines and writes
these lines. Each region has its own random generator, so a chunk has the same bytes at any time and
in any process.
"""

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skymill.magnetic.schema import (
    LABELS,
    PARAMETERS,
    PARTITIONS,
    PUBLISHED_RECORDS,
    STEPS,
    TEST_PARTITION,
    TRAIN_PARTITIONS,
)
from skymill.simulate.marginals import simulate_series

PARTITION_SHARES = (77_270, 93_767, 42_986)
"""The lines of the archive's three training files, from their ranges of ids."""

RUN_LENGTH = {"X": 4, "M": 6, "C": 8, "B": 6}
"""Mean number of consecutive windows of a region with this label."""

MIN_REGIONS_PER_CLASS, MIN_WINDOWS_PER_RUN, MIN_WINDOWS_PER_CLASS = 5, 2, 12
"""The fewest regions of a class, windows of a run and windows of a class, also in a small
simulation, if there are enough windows."""

CHUNK_RECORDS = 500
"""Records in a chunk of a large file."""

MIN_WINDOWS, MAX_WINDOWS, MEAN_WINDOWS, WINDOWS_SIGMA = 2, 40, 12, 0.7
"""The number of windows of a region: lognormal with this mean and sigma, clipped at both ends."""

STRIDES = (5, 10, 15, 20)
"""Steps from one window of a region to the next. Real windows slide by 15 and 20 steps."""

STRADDLING_SHARE = 0.02
"""Share of the regions of partitions 1 and 2 that have windows in both."""

BAD_LINE_SHARE = 0.01
"""Share of the lines of a training file that are bad, rounded up to whole lines."""

SOUND, FLUX_MISSING, FLUX_ZERO, FLUX_NAN, STEP_MISSING, TRUNCATED = range(6)
"""The fault of a line: none, or one of five kinds."""

QUIET = LABELS.index("Q")

# Purposes of random numbers. Each purpose has its own generators, so that a change of one purpose
# does not change the numbers of another.
_LAYOUT, _SERIES, _DAMAGE = range(3)

_SERIES_TEMPLATE = ", ".join(f'"{step}": %s' for step in range(STEPS))
_VALUES_TEMPLATE = ", ".join(f'"{name}": {{{_SERIES_TEMPLATE}}}' for name in PARAMETERS)


@dataclass(frozen=True, eq=False)
class Layout:
    """The window on each line of the four files. It depends only on (records, test_records, seed).

    Windows are numbered region by region, in order of time within a region.

    Attributes
    ----------
    seed
        The seed of all random numbers.
    lines
        Records in each of schema.PARTITIONS.
    region_start
        int32, shape (regions + 1,): number of each region's first window, and last the number of
        windows.
    stride
        int8, shape (regions,): steps between the starts of neighbouring windows.
    label
        int8, shape (windows,): positions in schema.LABELS. Labels of the test file are not written.
    window
        int32, shape (windows,): the window on each line, partition after partition.
    fault
        int8, shape (windows,): the fault of each line, SOUND to TRUNCATED.
    blank_after
        The blank line of partition 3 follows its record at this position.
    """

    seed: int
    lines: tuple[int, int, int, int]
    region_start: np.ndarray
    stride: np.ndarray
    label: np.ndarray
    window: np.ndarray
    fault: np.ndarray
    blank_after: int


def layout(records: int, test_records: int, seed: int) -> Layout:
    """Assign a window to each line.

    Parameters
    ----------
    records
        Total lines of the three training files, with bad lines, but without the blank line.
    test_records
        Lines of the test file.
    seed
        The seed, not negative.
    """
    rng = np.random.default_rng([seed, _LAYOUT])
    ends = np.rint(records * np.cumsum(PARTITION_SHARES) / sum(PARTITION_SHARES)).astype(int)
    lines = (*(int(count) for count in np.diff(ends, prepend=0)), test_records)

    # Straddling regions come first: their earlier half is in partition 1, the rest in partition 2.
    straddling = _straddling_sizes(rng, lines[0], lines[1])
    halves = straddling // 2
    free = np.array(lines) - [halves.sum(), (straddling - halves).sum(), 0, 0]
    own = [_region_sizes(rng, int(count)) for count in free]
    size = np.concatenate([straddling, *own])
    region_start = np.concatenate([[0], np.cumsum(size)])
    partition = np.repeat(
        np.repeat([0, *range(len(PARTITIONS))], [len(straddling), *map(len, own)]), size
    )
    for start, half, whole in zip(region_start, halves, straddling, strict=False):
        partition[start + half : start + whole] = 1

    in_training = np.arange(len(size)) < len(size) - len(own[-1])
    label = np.concatenate(
        [_labels(rng, size[in_training], records), _labels(rng, size[~in_training], test_records)]
    )
    place = np.repeat(rng.permutation(len(size)), size)
    window = np.lexsort((place, partition)).astype(np.int32)
    for first, last in _chunk_bounds(lines):
        rng.shuffle(window[first:last])
    return Layout(
        seed=seed,
        lines=lines,
        region_start=region_start.astype(np.int32),
        stride=rng.choice(np.array(STRIDES, np.int8), len(size)),
        label=label,
        window=window,
        fault=_faults(rng, label[window], lines),
        blank_after=int(rng.integers(max(1, lines[2]))),
    )


def chunks(layout: Layout, partition: str) -> int:
    """Return the number of chunks of a file, at least two if the file has two lines."""
    return _chunk_count(layout.lines[PARTITIONS.index(partition)])


def write_chunk(layout: Layout, partition: str, chunk: int, path: Path) -> dict:
    """Write one chunk of a file. The file is the sequence of its chunks.

    Parameters
    ----------
    partition
        One of schema.PARTITIONS.
    chunk
        From 0 to `chunks(layout, partition)` - 1.
    path
        The output, which is overwritten.

    Returns
    -------
    `lines` (including the blank line) and `bytes` written.
    """
    index = PARTITIONS.index(partition)
    count, chunk_count = layout.lines[index], chunks(layout, partition)
    if not 0 <= chunk < chunk_count:
        raise ValueError(f"{partition} has {chunk_count} chunks, but no chunk {chunk}")
    first, last = (count * part // chunk_count for part in (chunk, chunk + 1))
    offset = sum(layout.lines[:index])
    window = layout.window[offset + first : offset + last]
    region = np.searchsorted(layout.region_start, window, side="right") - 1

    lines: list[bytes] = [b""] * len(window)
    for number in np.unique(region):
        texts = _texts(region_series(layout, int(number)))
        for place in np.flatnonzero(region == number):
            start = int(window[place] - layout.region_start[number]) * int(layout.stride[number])
            values = _VALUES_TEMPLATE % tuple(
                text for series in texts for text in series[start : start + STEPS]
            )
            line = first + int(place)
            record_id = _id_offset(layout.lines, index) + line + 1
            label = _label_field(partition, record_id, layout.label[window[place]])
            text = f'{{"{record_id}": {{{label}"values": {{{values}}}}}}}'
            fault = int(layout.fault[offset + line])
            if fault != SOUND:
                rng = np.random.default_rng([layout.seed, _DAMAGE, offset + line])
                text = _damaged(text, fault, rng)
            lines[place] = f"{text}\n".encode("ascii")
    if partition == TRAIN_PARTITIONS[2] and first <= layout.blank_after < last:
        lines.insert(layout.blank_after - first + 1, b"\n")
    content = b"".join(lines)
    Path(path).write_bytes(content)
    return {"lines": len(lines), "bytes": len(content)}


def region_series(layout: Layout, region: int) -> np.ndarray:
    """Simulate one region: float64, shape (33, steps). The series is equal in every chunk."""
    labels = layout.label[layout.region_start[region] : layout.region_start[region + 1]]
    rng = np.random.default_rng([layout.seed, _SERIES, region])
    return simulate_series(labels, int(layout.stride[region]), rng)


def record_ids(layout: Layout, index: int) -> range:
    """Return the ids of a file's records line by line; `index` is its place in PARTITIONS."""
    first = _id_offset(layout.lines, index) + 1
    return range(first, first + layout.lines[index])


def _chunk_count(count: int) -> int:
    return max(min(2, count), math.ceil(count / CHUNK_RECORDS), 1)


def _chunk_bounds(lines: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the first and the past-the-last line of every chunk, counted over all files."""
    bounds, offset = [], 0
    for count in lines:
        parts = _chunk_count(count)
        edges = [offset + count * part // parts for part in range(parts + 1)]
        bounds += itertools.pairwise(edges)
        offset += count
    return bounds


def _draw_sizes(rng: np.random.Generator, count: int) -> np.ndarray:
    location = math.log(MEAN_WINDOWS) - WINDOWS_SIGMA**2 / 2
    sizes = np.rint(rng.lognormal(location, WINDOWS_SIGMA, count)).astype(int)
    return sizes.clip(MIN_WINDOWS, MAX_WINDOWS)


def _region_sizes(rng: np.random.Generator, windows: int) -> np.ndarray:
    """Draw sizes of regions that add up to `windows`."""
    if windows == 0:
        return np.zeros(0, int)
    sizes = _draw_sizes(rng, windows // MIN_WINDOWS + 1)
    totals = np.cumsum(sizes)
    sizes = sizes[: int(np.searchsorted(totals, windows)) + 1]
    sizes[-1] -= int(sizes.sum()) - windows
    if sizes[-1] < MIN_WINDOWS and len(sizes) > 1:
        # A single window would share no step with another window: it goes to the smallest region.
        sizes = sizes[:-1]
        sizes[np.argmin(sizes)] += 1
    return sizes


def _straddling_sizes(rng: np.random.Generator, first: int, second: int) -> np.ndarray:
    """Draw the sizes of the regions with windows in partitions 1 and 2; none in tiny files."""
    if min(first, second) < 8:
        return np.zeros(0, int)
    wanted = max(1, round(STRADDLING_SHARE * (first + second) / MEAN_WINDOWS))
    sizes = _draw_sizes(rng, wanted).clip(4)
    return np.minimum(sizes, min(first, second) // 2)


def _labels(rng: np.random.Generator, size: np.ndarray, records: int) -> np.ndarray:
    """Draw the labels of all windows of regions of the given sizes: int8, region by region.

    A flaring region has a run of windows before its flare, weaker flares before that flare, and
    quiet windows around them. Small simulations have more of the rare classes than their share.
    """
    left = size.copy()
    runs = np.zeros((len(LABELS), len(size)), int)
    for code, name in enumerate(LABELS[:QUIET]):
        wanted = max(
            MIN_WINDOWS_PER_CLASS,
            round(records * PUBLISHED_RECORDS[name] / sum(PUBLISHED_RECORDS.values())),
        )
        # Every region with a strong flare keeps a window for the weaker flares before.
        room = left - (name in "XM")
        # A region that has flared more strongly is more likely to be chosen than others.
        order = np.argsort(rng.random(len(size)) * np.where(runs.any(axis=0), 0.5, 1.0))
        order = order[room[order] >= MIN_WINDOWS_PER_RUN]
        lengths = MIN_WINDOWS_PER_RUN + rng.poisson(
            RUN_LENGTH[name] - MIN_WINDOWS_PER_RUN, len(order)
        )
        for rank, (region, length) in enumerate(zip(order, lengths, strict=True)):
            if wanted < MIN_WINDOWS_PER_RUN:
                break
            others = max(0, MIN_REGIONS_PER_CLASS - rank - 1)
            length = min(length, room[region], wanted - MIN_WINDOWS_PER_RUN * others)
            runs[code, region] = length
            left[region] -= length
            wanted -= length
    after = (left * rng.uniform(0, 0.4, len(size))).astype(int)
    counts = np.vstack([left - after, runs[QUIET - 1 :: -1], after])
    codes = np.array([QUIET, *range(QUIET - 1, -1, -1), QUIET], np.int8)
    return np.repeat(np.tile(codes, len(size)), counts.T.ravel())


def _faults(rng: np.random.Generator, label: np.ndarray, lines: tuple[int, ...]) -> np.ndarray:
    """Choose the bad lines among the quiet ones: int8, one number per line of all files."""
    fault = np.full(len(label), SOUND, np.int8)
    next_kind = offset = 0
    for name, count in zip(PARTITIONS, lines, strict=True):
        quiet = offset + np.flatnonzero(label[offset : offset + count] == QUIET)
        wanted = 1 if name == TEST_PARTITION else math.ceil(BAD_LINE_SHARE * count)
        chosen = rng.choice(quiet, min(wanted, len(quiet)), replace=False)
        # The kinds alternate over all files, so that a few bad lines contain every kind.
        kinds = FLUX_MISSING + (next_kind + np.arange(len(chosen))) % TRUNCATED
        fault[chosen] = FLUX_ZERO if name == TEST_PARTITION else kinds
        next_kind += len(chosen)
        offset += count
    return fault


def _texts(values: np.ndarray) -> list[list[str]]:
    """Return every number as text in the format of `json.dumps`."""
    series = [list(map(repr, row)) for row in values.tolist()]
    for parameter, step in np.argwhere(np.isnan(values)):
        series[parameter][step] = "NaN"
    return series


def _id_offset(lines: tuple[int, ...], index: int) -> int:
    """Return the number that is added to the ids of a file.

    As in the archive, the ids of partition 3 continue from the length of partition 2, without
    partition 1. So they collide with ids of partition 2.
    """
    return (0, lines[0], lines[1], 0)[index]


def _label_field(partition: str, record_id: int, code: int) -> str:
    if partition != TEST_PARTITION:
        return f'"label": "{LABELS[code]}", '
    return "" if record_id % 3 == 0 else '"label": null, '


def _damaged(text: str, fault: int, rng: np.random.Generator) -> str:
    """Return the line of a sound record with the given fault."""
    if fault == TRUNCATED:
        return text[: int(len(text) * rng.uniform(0.3, 0.7))]
    document = json.loads(text)
    (record,) = document.values()
    values = record["values"]
    if fault == FLUX_MISSING:
        del values["USFLUX"]
    elif fault == STEP_MISSING:
        step = str(rng.integers(STEPS))
        everywhere = rng.random() < 0.5
        for name in PARAMETERS if everywhere else [str(rng.choice(PARAMETERS))]:
            del values[name][step]
    else:
        flux = 0.0 if fault == FLUX_ZERO else math.nan
        values["USFLUX"] = dict.fromkeys(values["USFLUX"], flux)
    return json.dumps(document)
