"""One simulated sky for the 2020 records, SWAN-SF and SDOBenchmark, with known matches.

The simulated 2020 files consist of regions, each with one series of steps. The simulated
SDOBenchmark consists of events, each with a time and a flare class. The sky has the time and the
HARP of each series. A HARP follows one active region of SDOBenchmark, or in one case two regions.
Before an event, the HARP has a series in which a window with the event's label ends, if such a
series is free. Other series have their own HARP or no HARP. SWAN-SF does not have series without a
HARP.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skymill.engine.randomness import generator, key
from skymill.magnetic.schema import LABELS, STEPS
from skymill.magnetic.schema import PARTITIONS as FILES
from skymill.simulate.magnetic import Layout, layout, record_ids
from skymill.simulate.sdo import CLASS_FLUX, FLUX_SCALE, QUIET_FLUX, Sample, plan_samples

STEP_SECONDS = 720

FIRST_HARP = 20_001
"""Above all real numbers, so that no list of real HARPs contains a simulated HARP."""

FIRST_OWN_NUMBER = 20_001
"""The first NOAA number of regions that are not in SDOBenchmark."""

UNSEEN_SHARE, SHORT_SHARE, TWIN_SHARE = 0.10, 0.08, 0.04
"""Shares of the events before which no HARP was seen, a HARP for too short a time, or two HARPs."""

SHORT_STEPS = (15, 40)
"""Steps before the end of the samples, for an event whose HARP was seen for too short a time."""

LATEST_STEPS = (0, 0, 1, 2, 3)
"""The window before an event ends so many steps before the last possible step."""

SECOND_HARP_SHARE = 0.02
"""Share of the series with their own HARP that are also in a second HARP; at least one series."""

MIXED_SHARE = 0.02
"""Share of the regions of the official test set whose HARP also has a training region."""

OWN_NUMBERS = (0.3, 0.4, 0.2, 0.1)
"""HARPs without a region of SDOBenchmark: the shares with 0, 1, 2 and 3 NOAA numbers."""

ADDED_NUMBERS = (0.6, 0.3, 0.1)
"""HARPs with a region of SDOBenchmark: the shares with 0, 1 and 2 more NOAA numbers."""

ROUNDED_SHARE = 0.2
"""Share of the series whose values are rounded to ten decimals in SWAN-SF."""

LIMB_SHARE, LIMB_STEPS = 0.1, 8
"""Share of the series that begin beyond the limb, and the most steps beyond the limb."""

CANDIDATES = 40
"""The most series that are tried before an event."""

_LEAP_SECONDS = ((1_341_100_800, 35), (1_435_708_800, 36), (1_483_228_800, 37))
"""Unix seconds from which TAI is so many seconds ahead of UTC. Before (since 2009): 34 seconds."""


@dataclass(frozen=True)
class Stretch:
    """A series of the 2020 files in a HARP.

    Attributes
    ----------
    region
        Number of the series in the layout of the 2020 files.
    harp
        HARP number.
    start
        Time of the first step, seconds of TAI since 1970, on the grid of 12 minutes.
    partition
        The SWAN-SF partition, 1 to 5, of each of the series' windows in the 2020 files.
    goes
        GOES class of the flare of each of these windows, such as M1.0; None for quiet windows.
    flare
        Number of this flare.
    numbers
        The NOAA numbers of the HARP, each with the time of its first step, seconds of TAI.
    rounded
        Whether the values in SWAN-SF are rounded to ten decimals.
    hidden
        How many of the first steps are beyond the limb. SWAN-SF has no values of these steps.
    """

    region: int
    harp: int
    start: int
    partition: tuple[int, ...]
    goes: tuple[str | None, ...]
    flare: tuple[int | None, ...]
    numbers: tuple[tuple[int, int], ...]
    rounded: bool
    hidden: int


@dataclass(frozen=True, eq=False)
class Sky:
    """The simulated sky.

    Attributes
    ----------
    layout
        The layout of the 2020 files.
    samples
        The samples of SDOBenchmark.
    stretches
        The series in SWAN-SF, sorted by HARP and time.
    """

    layout: Layout
    samples: tuple[Sample, ...]
    stretches: tuple[Stretch, ...]


@dataclass
class _Patch:
    """A HARP without a number yet: its regions of SDOBenchmark, and the events seen in it."""

    regions: list[int]
    events: list[Sample]
    file: int = 0


@dataclass(frozen=True)
class _Placed:
    """A series in a patch, the run of windows before the flare of an event, and this flare."""

    region: int
    patch: int
    start: int
    run: int | None = None
    goes: str | None = None


def draw_sky(*, magnetic: dict, sdo: dict, coverage: float, seed: int) -> Sky:
    """Draw the sky of simulated raw files.

    Parameters
    ----------
    magnetic, sdo
        The settings `simulate.magnetic` and `simulate.sdo`.
    coverage
        Share of the series without an event that are in SWAN-SF.
    seed
        The seed of the places, times and numbers.
    """
    rng = generator(key(seed, "sky"), 0)
    files = layout(magnetic["records"], magnetic["test_records"], magnetic["seed"])
    samples = plan_samples(sdo["training_samples"], sdo["test_samples"], sdo["seed"])
    patches = _patches(samples, files)
    placed, twins = _place_events(patches, _Series(files, rng), rng)
    used = {one.region for one in placed}
    own = _place_others(files, patches, used, coverage, rng)
    return _name_harps(files, samples, patches, placed, twins, own, rng)


def tai(unix: int) -> int:
    """Return the TAI of a Unix time since 2009, in seconds since 1970 on the TAI scale."""
    return unix + next((ahead for since, ahead in _LEAP_SECONDS[::-1] if unix >= since), 34)


def goes_class(peak_flux: float) -> str | None:
    """Return the GOES class of a peak flux of SDOBenchmark; None if it is quiet."""
    if peak_flux <= QUIET_FLUX:
        return None
    flux = peak_flux * FLUX_SCALE
    letter = next(name for name, first in CLASS_FLUX.items() if flux > 0.99 * first)
    return f"{letter}{flux / CLASS_FLUX[letter]:.1f}"


def file_of_windows(files: Layout) -> np.ndarray:
    """Return the file of each window, as a position in the four files: int8, (windows,)."""
    found = np.empty(len(files.window), np.int8)
    found[files.window] = np.repeat(np.arange(len(files.lines), dtype=np.int8), files.lines)
    return found


def records(sky: Sky) -> Iterator[dict]:
    """Yield the truth about each 2020 record, in the order of the files.

    Yields
    ------
    `partition` (of the 2020 files), `source_id` (the id in the file), `label`, `status` (`located`,
    `ambiguous` if two HARPs have the record's steps, `absent`), and, if there is a HARP, `harp` and
    `start` (seconds of TAI).
    """
    homes: dict[int, list[Stretch]] = defaultdict(list)
    for stretch in sky.stretches:
        homes[stretch.region].append(stretch)
    files, at = sky.layout, 0
    for index, (name, count) in enumerate(zip(FILES, files.lines, strict=True)):
        windows = files.window[at : at + count]
        regions = np.searchsorted(files.region_start, windows, side="right") - 1
        for source_id, window, region in zip(
            record_ids(files, index), windows.tolist(), regions.tolist(), strict=True
        ):
            found = homes.get(region, [])
            offset = (window - int(files.region_start[region])) * int(files.stride[region])
            only = found[0] if len(found) == 1 else None
            yield {
                "partition": name,
                "source_id": source_id,
                "label": LABELS[files.label[window]],
                "status": ("absent", "located", "ambiguous")[min(2, len(found))],
                "harp": only and only.harp,
                "start": only and only.start + offset * STEP_SECONDS,
            }
        at += count


class _Series:
    """The free series of the 2020 files, by file and by the label of a window."""

    def __init__(self, files: Layout, rng: np.random.Generator):
        self.files = files
        file = file_of_windows(files)[files.region_start[:-1]]
        self._free = np.ones(len(file), bool)
        self._by: dict[tuple[int, str], list[int]] = defaultdict(list)
        for region in rng.permutation(len(file)).tolist():
            labels = files.label[files.region_start[region] : files.region_start[region + 1]]
            for code in np.unique(labels).tolist():
                self._by[int(file[region]), LABELS[code]].append(region)

    def candidates(self, file: int, label: str) -> list[int]:
        """Return some free series of a file that have a window with the label."""
        pool = self._by[file, label] = [r for r in self._by[file, label] if self._free[r]]
        return pool[:CANDIDATES]

    def take(self, region: int) -> None:
        """Mark a series as used."""
        self._free[region] = False

    def windows(self, region: int, label: str) -> list[int]:
        """Return the windows of a series with a label, the last window first."""
        own = slice(self.files.region_start[region], self.files.region_start[region + 1])
        return np.flatnonzero(self.files.label[own] == LABELS.index(label))[::-1].tolist()

    def steps(self, region: int) -> int:
        """Return the length of a series."""
        windows = int(self.files.region_start[region + 1] - self.files.region_start[region])
        return STEPS + (windows - 1) * int(self.files.stride[region])


def _patches(samples: list[Sample], files: Layout) -> list[_Patch]:
    """Return the HARPs of the regions of SDOBenchmark in order of time, each in one of the files.

    Like the partitions of SWAN-SF, the files are consecutive in time.
    """
    events: dict[int, list[Sample]] = defaultdict(list)
    is_test = {}
    for sample in samples:
        if sample.folder.endswith("_0"):
            events[sample.region].append(sample)
            is_test[sample.region] = sample.collection == "test"
    order = sorted(events, key=lambda region: (events[region][0].end, region))
    mixed = _mixed(order, is_test)
    patches = []
    for region in order:
        if region in mixed.values():
            continue
        regions = [region, *([mixed[region]] if region in mixed else [])]
        held = sorted((e for r in regions for e in events[r]), key=lambda e: (e.end, e.number))
        patches.append(_Patch(regions, held))
    patches.sort(key=lambda patch: patch.events[0].end)
    edges = np.cumsum(files.lines) / sum(files.lines)
    for place, patch in enumerate(patches):
        patch.file = int(np.searchsorted(edges, (place + 0.5) / len(patches)))
    return patches


def _mixed(order: list[int], is_test: dict[int, bool]) -> dict[int, int]:
    """Assign to some test regions a training region that is a neighbour in time."""
    found: dict[int, int] = {}
    tests = [place for place, region in enumerate(order) if is_test[region]]
    for place in tests[: max(1, round(MIXED_SHARE * len(tests)))]:
        free = [r for r in order if not is_test[r] and r not in found.values()]
        found[order[place]] = min(free, key=lambda region: abs(order.index(region) - place))
    return found


def _place_events(
    patches: list[_Patch], series: _Series, rng: np.random.Generator
) -> tuple[list[_Placed], list[tuple[_Placed, int]]]:
    """Find a series before each event.

    Returns
    -------
    The placed series, and the series in another HARP at the same time with the event's region.
    """
    placed: list[_Placed] = []
    twins: list[tuple[_Placed, int]] = []
    for number, patch in enumerate(patches):
        free_from = 0
        for event in patch.events:
            unseen, short, twin = rng.random(3) < (UNSEEN_SHARE, SHORT_SHARE, TWIN_SHARE)
            earlier, late = int(rng.integers(*SHORT_STEPS)), int(rng.choice(LATEST_STEPS))
            twin = twin or (not twins and len(placed) > 1)
            if unseen:
                continue
            last = tai(event.end // 10**9) // STEP_SECONDS - 1
            found = _fit(event, last - late, earlier if short else None, free_from, patch, series)
            if found is None:
                continue
            region, start, run, goes = found
            series.take(region)
            placed.append(_Placed(region, number, start * STEP_SECONDS, run, goes))
            free_from = start + series.steps(region)
            quiet = series.candidates(patch.file, "Q") if twin and not short else []
            if quiet:
                series.take(quiet[0])
                begin = (last - late - STEPS + 1) * STEP_SECONDS
                twins.append((_Placed(quiet[0], number, begin), event.region))
    return placed, twins


def _fit(
    event: Sample,
    last: int,
    seen: int | None,
    free_from: int,
    patch: _Patch,
    series: _Series,
) -> tuple[int, int, int | None, str | None] | None:
    """Return a series, its first step, the window before the event and its flare; else None.

    Steps are counted since 1970. `last` is the last step of the window. If `seen` is given, the
    series begins `seen` steps before `last`.
    """
    goes = goes_class(event.peak_flux)
    if seen is not None:
        start = last - seen + 1
        pool = series.candidates(patch.file, "Q") if start >= free_from else []
        return (pool[0], start, None, None) if pool else None
    for label in dict.fromkeys([goes[0] if goes else "Q", event.goes_class]):
        fitting = []
        for region in series.candidates(patch.file, label):
            stride = int(series.files.stride[region])
            room = (last - STEPS + 1 - free_from) // stride
            # The last window with which the series does not overlap the series before.
            window = next((w for w in series.windows(region, label) if w <= room), None)
            if window is not None:
                start = last - (window * stride + STEPS - 1)
                fitting.append((start + series.steps(region), region, start, window))
        if fitting:
            # The series that ends first leaves the most time for the next event.
            _, region, start, window = min(fitting)
            return region, start, window, goes if label != "Q" else None
    return None


def _place_others(
    files: Layout, patches: list[_Patch], used: set[int], coverage: float, rng: np.random.Generator
) -> list[_Placed]:
    """Return the other series in SWAN-SF, each in its own HARP (patch -1)."""
    file = file_of_windows(files)[files.region_start[:-1]]
    free = [region for region in rng.permutation(len(file)).tolist() if region not in used]
    first, last = patches[0].events[0].end, patches[-1].events[-1].end
    begin, span = tai(first // 10**9), max((last - first) // 10**9, 30 * 86_400)
    edges = np.concatenate([[0], np.cumsum(files.lines) / sum(files.lines)])
    placed = []
    for region in free[: round(coverage * len(free))]:
        share = rng.uniform(edges[file[region]], edges[file[region] + 1])
        start = int(begin + share * span) // STEP_SECONDS * STEP_SECONDS
        placed.append(_Placed(region, -1, start))
    return placed


def _name_harps(
    files: Layout,
    samples: list[Sample],
    patches: list[_Patch],
    placed: list[_Placed],
    twins: list[tuple[_Placed, int]],
    own: list[_Placed],
    rng: np.random.Generator,
) -> Sky:
    """Assign HARP and NOAA numbers in order of time to patches, their neighbours and others."""
    fresh = iter(range(FIRST_OWN_NUMBER, FIRST_OWN_NUMBER + 10 * len(files.stride)))
    harps: list[tuple[list[_Placed], list[int]]] = []
    for number, patch in enumerate(patches):
        held = [one for one in placed if one.patch == number]
        if held:
            added = int(rng.choice(len(ADDED_NUMBERS), p=ADDED_NUMBERS))
            harps.append((held, [*patch.regions, *(next(fresh) for _ in range(added))]))
    harps += [([one], [region]) for one, region in twins]
    seconds = max(1, round(SECOND_HARP_SHARE * len(own)))
    for place, one in enumerate(own):
        numbers = [next(fresh) for _ in range(int(rng.choice(len(OWN_NUMBERS), p=OWN_NUMBERS)))]
        harps += [([one], numbers)] * (2 if place < seconds else 1)
    harps.sort(key=lambda harp: (harp[0][0].start, harp[0][0].region))
    stretches, file = [], file_of_windows(files)
    at_once = [one for one, _ in twins]
    for harp, (held, numbers) in enumerate(harps, start=FIRST_HARP):
        # A region often gets its number some steps after the HARP begins.
        late = rng.integers(0, 5, len(numbers))
        if held[0] in at_once:
            late[:] = 0  # otherwise the other HARP would have the number at more steps
        since = [held[0].start + int(steps) * STEP_SECONDS for steps in late]
        numbered = tuple(sorted(zip(numbers, since, strict=True)))
        stretches += [_stretch(files, file, one, harp, numbered) for one in held]
    return Sky(files, tuple(samples), tuple(stretches))


def _stretch(
    files: Layout,
    file: np.ndarray,
    one: _Placed,
    harp: int,
    numbers: tuple[tuple[int, int], ...],
) -> Stretch:
    """Return a series in its HARP, with the flares of its labels.

    The test file of 2020 contains partitions 4 and 5. In the test file, HARPs alternate between the
    two partitions.
    """
    rng = generator(key(files.seed, "sky", "series"), one.region)
    rounded, limb = rng.random(2) < (ROUNDED_SHARE, LIMB_SHARE)
    hidden = int(rng.integers(1, LIMB_STEPS + 1)) if limb else 0
    own = slice(files.region_start[one.region], files.region_start[one.region + 1])
    labels = files.label[own]
    partition = 1 + file[own] + (harp % 2) * (file[own] == len(FILES) - 1)
    runs = np.concatenate([[0], np.cumsum(np.diff(labels) != 0)])
    drawn: dict[int, str] = {}
    for run, code in dict(zip(runs.tolist(), labels.tolist(), strict=True)).items():
        # Weak flares are more frequent: the number of flares falls with the square of the flux.
        tenths = min(99, math.floor(10 / (1 - 0.9 * rng.random())))
        drawn[run] = f"{LABELS[code]}{tenths / 10:.1f}"
    if one.goes:
        drawn[int(runs[one.run])] = one.goes
    quiet = LABELS.index("Q")
    named = [None if code == quiet else run for run, code in zip(runs, labels, strict=True)]
    return Stretch(
        region=one.region,
        harp=harp,
        start=one.start,
        partition=tuple(partition.tolist()),
        numbers=numbers,
        goes=tuple(None if run is None else drawn[int(run)] for run in named),
        flare=tuple(None if run is None else 1000 + 100 * one.region + int(run) for run in named),
        rounded=bool(rounded),
        hidden=hidden,
    )
