"""Simulate the SDOBenchmark download: one zip in the data set's layout, with its known quirks.

`plan_samples` chooses the samples. An image depends only on the seed and on its place. So samples
can be simulated in any order and in any process, and the zip has the same bytes. The number of
quirks is fixed for any size of the simulation.
"""

import functools
import math
import zipfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from skymill.engine.parallel import map_pieces
from skymill.engine.products import new_file, scratch_directory
from skymill.engine.randomness import generator, key
from skymill.raw.files import write_sidecar
from skymill.simulate.active_regions import (
    LOOKS,
    SIZE,
    Spots,
    draw_image,
    draw_spots,
    encode,
)
from skymill.solar_regions import group_regions

ROOTS = ("sdobenchmark_full", "SDOBenchmark_full", "SDOBENCHMARK_FULL", "Sdobenchmark_Full")
"""Folders with the same files, whose names differ only by upper and lower case."""

EXAMPLE_ROOT = "SDOBenchmark_example"
"""A folder with one sample, in addition to the whole data set."""

COLLECTIONS = ("training", "test")

SAMPLES_PER_REGION = {"training": 8336 / 1091, "test": 886 / 91}
"""Mean number of samples of an active region in the published data set."""

CLASS_SHARES = {"X": 0.008, "M": 0.08, "C": 0.4}
"""Share of the events whose flare has this class; other events are quiet.

The shares of M and C are those in real rows of the data set (4 and 28 of 52). The share of X is
that of the full solar cycle.
"""

MIN_REGIONS_PER_CLASS = {"training": 3, "test": 2}
"""The fewest regions of each class, so that a split by region can have all classes."""

CLASS_FLUX = {"X": 1e-4, "M": 1e-5, "C": 1e-6, "B": 1e-7}
"""The lowest flux of a GOES class, W/m2."""

FLUX_SCALE = 0.85
"""GOES fluxes are stored divided by this number."""

QUIET_FLUX = 1e-9
"""The flux that is stored if no flare was recorded."""

BORDERLINE = ("M", 8.7)
"""The class of one training event. Its stored flux, without correction, would be an X."""

WINDOW = 12 * 3600 * 10**9
IMAGE_OFFSETS = tuple(minutes * 60 * 10**9 for minutes in (0, 7 * 60, 10 * 60 + 30, 11 * 60 + 50))
"""Length of a window and times of its images from its start, nanoseconds."""

IMAGE_PLACES = [(step, channel) for step in range(len(IMAGE_OFFSETS)) for channel in LOOKS]
"""Time step and channel of each of the up to 40 images of a sample."""

COMPLETE_SHARE, STEP_LOST, CHANNEL_LOST, IMAGE_LOST = 0.3, 0.15, 0.1, 0.08
"""Share of samples with all images, and how often other samples lack a step, a channel, an image.

With these shares, a sample has about 32 images, as in the published data set.
"""

QUIRKS = (
    "truncated",
    "flagged",
    "black",
    "dead_rows",
    "small",
    "stray_file",
    "original",
    "duplicate",
)
"""The quirks. Each quirk is in one training sample. Apart from the stray file, a quirk affects the
first image of its sample: the image is cut off, marked as noisy in its EXIF data, black, without
variation in some rows, a quarter of the size, or in another sample as well.
"""

DEAD_ROWS = slice(96, 176)
"""Rows of an image with one value."""

SAMPLES_PER_PIECE = 20
"""Samples simulated at a time: about 6 MB of images."""

_ORIGIN = datetime(2012, 1, 1, 19, 6, tzinfo=UTC)
_FIRST_REGION, _REGIONS = 11386, 1315
"""The numbers of the data set's regions: 11386 to 12700."""
_SECOND = 10**9
_DAY = 24 * 3600 * _SECOND


@dataclass(frozen=True)
class Sample:
    """One sample of the data set.

    Attributes
    ----------
    number
        Number of the sample, from 0, which decides its random numbers.
    collection
        `training` or `test`.
    region
        Number of the active region.
    folder
        Name of the sample's folder: a time and the position `_k` in a series.
    end
        End of the window, nanoseconds since 1970.
    peak_flux
        The flux in the table, W/m2 / 0.85.
    goes_class
        X, M, C, or Q for quiet.
    quirk
        One of QUIRKS; None for most samples.
    has_row, has_folder
        Whether the table lists the sample, and whether its images exist.
    """

    number: int
    collection: str
    region: int
    folder: str
    end: int
    peak_flux: float
    goes_class: str
    quirk: str | None = None
    has_row: bool = True
    has_folder: bool = True

    @property
    def path(self) -> str:
        """The sample's folder below a root."""
        return f"{self.collection}/{self.region}/{self.folder}"


def plan_samples(training_samples: int, test_samples: int, seed: int) -> list[Sample]:
    """Choose the samples.

    Parameters
    ----------
    training_samples, test_samples
        Rows of the two tables, at least 20 and 10.
    seed
        The seed of all random numbers, not negative.

    Returns
    -------
    Samples in the order of the tables, regions one after the other. One additional training sample
    has a folder, but no row. Another training sample has a row, but no folder.
    """
    rng = generator(key(seed, "sdo", "plan"), 0)
    wanted = {"training": training_samples, "test": test_samples}
    events = {name: _events(rng, wanted[name], name) for name in COLLECTIONS}
    classes = {name: _event_classes(rng, events[name], name) for name in COLLECTIONS}
    regions = {name: 1 + max(region for region, _ in events[name]) for name in COLLECTIONS}
    # Regions of both collections are in the same years, so that time does not separate them.
    names = iter(rng.permutation(sum(regions.values())).tolist())
    numbers = _region_numbers(sum(regions.values()))
    samples: list[Sample] = []
    for collection in COLLECTIONS:
        places = [next(names) for _ in range(regions[collection])]
        clocks = [_first_time(rng, place) for place in places]
        borderline = collection == "training"
        for (region, size), goes_class in zip(events[collection], classes[collection], strict=True):
            clocks[region] += _pause(rng)
            flux = _stored_flux(rng, goes_class, size)
            if borderline and goes_class == BORDERLINE[0]:
                flux, borderline = BORDERLINE[1] * CLASS_FLUX[goes_class] / FLUX_SCALE, False
            for position, end in enumerate(_window_ends(rng, clocks[region], size)):
                samples.append(
                    Sample(
                        number=len(samples),
                        collection=collection,
                        region=numbers[places[region]],
                        folder=f"{_time(clocks[region], '%Y_%m_%d_%H_%M_%S')}_{position}",
                        end=end,
                        peak_flux=flux,
                        goes_class=goes_class,
                    )
                )
    return _with_quirks(samples, training_samples)


def files_of(sample: Sample, original: Sample, seed: int) -> list[tuple[str, bytes]]:
    """Return the files of a sample's folder: (name, content).

    `original` is the sample whose first image is also in the sample with the duplicate.
    """
    if not sample.has_folder:
        return []
    rng = generator(key(seed, "sdo", "available"), sample.number)
    available = _available(rng)
    if sample.quirk:
        available[0] = True
    files = []
    for place in np.flatnonzero(available):
        step, channel = IMAGE_PLACES[place]
        # Names have the nominal times, cut to the second.
        taken = sample.end - WINDOW + IMAGE_OFFSETS[step]
        name = f"{_time(taken, '%Y-%m-%dT%H%M%S')}__{channel}.jpg"
        quirk = sample.quirk if place == 0 else None
        shown = original if quirk == "duplicate" else sample
        files.append((name, _image(shown, int(place), quirk, seed)))
    if sample.quirk == "stray_file":
        files.append(("Thumbs.db", b"\xd0\xcf\x11\xe0 what a file manager leaves behind"))
    return files


def table(samples: list[Sample]) -> str:
    """Return the text of `meta_data.csv` with these samples."""
    lines = ["id,start,end,peak_flux"]
    for sample in samples:
        if sample.has_row:
            start, end = (
                f"{_time(time, '%Y-%m-%d %H:%M:%S')}.{time % _SECOND:09d}"
                for time in (sample.end - WINDOW, sample.end)
            )
            lines.append(f"{sample.region}_{sample.folder},{start},{end},{sample.peak_flux!r}")
    return "\n".join(lines) + "\n"


def write_sdo(
    raw: Path,
    *,
    training_samples: int,
    test_samples: int,
    copies: int,
    seed: int,
    workers: int = 1,
    samples_per_piece: int = SAMPLES_PER_PIECE,
) -> None:
    """Write a simulated download, and the sidecar that says `sample`.

    Parameters
    ----------
    training_samples, test_samples
        Rows of the two tables, at least 20 and 10.
    copies
        How often each file is stored, 1 to 4 times. The last copy lacks the last sample.
    workers, samples_per_piece
        How the work is spread. They change no byte.
    """
    plan = plan_samples(training_samples, test_samples, seed)
    raw.parent.mkdir(parents=True, exist_ok=True)
    with (
        new_file(raw) as temporary,
        scratch_directory(raw) as folder,
    ):
        (original,) = (sample for sample in plan if sample.quirk == "original")
        pieces = [
            (plan[at : at + samples_per_piece], original, seed, folder / f"{at:06d}.images")
            for at in range(0, len(plan), samples_per_piece)
        ]
        parts = map_pieces(_write_piece, pieces, workers=workers, what="simulate SDOBenchmark")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for number, root in enumerate(ROOTS[:copies]):
                for collection in COLLECTIONS:
                    listed = [sample for sample in plan if sample.collection == collection]
                    _store(archive, f"{root}/{collection}/meta_data.csv", table(listed).encode())
                lacking = plan[-1].path if copies > 1 and number == copies - 1 else None
                for (*_, path), entries in zip(pieces, parts, strict=True):
                    with open(path, "rb") as stream:
                        for place, name, size in entries:
                            content = stream.read(size)
                            if place != lacking:
                                _store(archive, f"{root}/{place}/{name}", content)
            _store_example(archive, plan, original, seed)
    write_sidecar(
        raw,
        "sample",
        simulator={
            "training_samples": training_samples,
            "test_samples": test_samples,
            "copies": copies,
            "seed": seed,
        },
    )


def _write_piece(piece: tuple[list[Sample], Sample, int, Path]) -> list[tuple[str, str, int]]:
    """Write the files of some samples in order; return folder, name and bytes of each file."""
    samples, original, seed, path = piece
    entries = []
    with open(path, "wb") as stream:
        for sample in samples:
            for name, content in files_of(sample, original, seed):
                stream.write(content)
                entries.append((sample.path, name, len(content)))
    return entries


def _store(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Store a file uncompressed, with ZipInfo's fixed default time."""
    archive.writestr(zipfile.ZipInfo(name), content)


def _store_example(
    archive: zipfile.ZipFile, plan: list[Sample], original: Sample, seed: int
) -> None:
    """Store the example folder: the first training sample without a quirk."""
    sample = next(sample for sample in plan if sample.has_folder and not sample.quirk)
    _store(archive, f"{EXAMPLE_ROOT}/training/meta_data.csv", table([sample]).encode())
    for name, content in files_of(sample, original, seed):
        _store(archive, f"{EXAMPLE_ROOT}/{sample.path}/{name}", content)


def _events(rng: np.random.Generator, wanted: int, collection: str) -> list[tuple[int, int]]:
    """Return (region, samples) of each event, regions in order, with `wanted` samples in total.

    The first regions have three events (test: two) that are not long series. There are so many of
    these regions that each class is in MIN_REGIONS_PER_CLASS regions.
    """
    carriers = MIN_REGIONS_PER_CLASS[collection] + 1
    regions = max(carriers, round(wanted / SAMPLES_PER_REGION[collection]))
    least = np.ones(regions, int)
    least[:carriers] = carriers
    weight = rng.lognormal(0, 0.7, regions)
    sizes = least + rng.multinomial(wanted - least.sum(), weight / weight.sum())
    events = []
    for region, size in enumerate(sizes.tolist()):
        used = 0
        while used < size:
            longest = 1 if used == 0 else 2 if used < 4 else 6
            length = int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.55, 0.35, 0.04, 0.03, 0.02, 0.01]))
            length = min(length, longest, size - used)
            events.append((region, length))
            used += length
    return events


def _event_classes(
    rng: np.random.Generator, events: list[tuple[int, int]], collection: str
) -> list[str]:
    """Return the class of each event. Long series are quiet, as in the published data set."""
    region = np.array([region for region, _ in events])
    free = np.array([length <= 2 for _, length in events])
    classes = np.full(len(events), "Q")
    least = MIN_REGIONS_PER_CLASS[collection]
    for goes_class in CLASS_SHARES:
        # First the regions with the most free events, so that some are left for the next class.
        room = np.bincount(region[free], minlength=region[-1] + 1)
        for chosen in np.argsort(-room, kind="stable")[:least]:
            event = np.flatnonzero(free & (region == chosen))[0]
            classes[event], free[event] = goes_class, False
    # Active regions flare repeatedly.
    activity = rng.lognormal(0, 1, region[-1] + 1)[region]
    for goes_class, share in CLASS_SHARES.items():
        places = np.flatnonzero(free)
        count = min(round(share * len(events)) - least, len(places) - 2)
        if count > 0:
            weight = activity[places] / activity[places].sum()
            chosen = rng.choice(places, count, replace=False, p=weight)
            classes[chosen], free[chosen] = goes_class, False
    return classes.tolist()


def _region_numbers(count: int) -> list[int]:
    """Return `count` NOAA numbers, ascending: one of each group first, then more of the groups.

    A small simulation has no two regions of one patch of the Sun, so that each class is in several
    groups. A simulation of the data set's size has such regions, like the real data set.
    """
    numbers = np.arange(_FIRST_REGION, _FIRST_REGION + max(_REGIONS, count))
    _, first = np.unique(group_regions(numbers), return_index=True)
    others = np.setdiff1d(np.arange(len(numbers)), first)
    return np.sort(numbers[np.concatenate([first, others])[:count]]).tolist()


def _stored_flux(rng: np.random.Generator, goes_class: str, length: int) -> float:
    """Return an event's peak flux in the table. Half of the quiet events had a B flare.

    Weak flares are more frequent than strong flares: their number falls with the square of the
    flux.
    """
    if goes_class == "Q":
        if length > 2 or rng.random() < 0.5:
            return QUIET_FLUX
        goes_class = "B"
    tenths = min(99, math.floor(10 / (1 - 0.9 * rng.random())))
    return tenths * CLASS_FLUX[goes_class] / 10 / FLUX_SCALE


def _window_ends(rng: np.random.Generator, folder_time: int, length: int) -> list[int]:
    """Return the ends of the windows of an event, nanoseconds.

    The second of two windows mostly ends one second before midnight, which is also the flare's
    peak. Longer series continue at times with nanoseconds.
    """
    ends = [folder_time]
    if length == 2:
        late = _DAY if rng.random() < 0.85 else int(rng.integers(14 * 3600, 23 * 3600)) * _SECOND
        ends.append(folder_time + late - _SECOND)
    for _ in range(length - 1 if length > 2 else 0):
        ends.append(ends[-1] + int(rng.integers(_DAY // 3, _DAY * 3 // 2)))
    return ends


def _first_time(rng: np.random.Generator, place: int) -> int:
    """Return when a region becomes visible. About every 1.4 days, a region becomes visible."""
    start = int(_ORIGIN.timestamp()) + int((1.4 * place + rng.random()) * 24 * 3600)
    return start * _SECOND


def _pause(rng: np.random.Generator) -> int:
    """Return the time from one event of a region to the next. Some events are minutes apart."""
    if rng.random() < 0.25:
        return int(rng.integers(60, 900)) * _SECOND
    return int(rng.integers(5 * 3600, 36 * 3600)) * _SECOND


def _with_quirks(samples: list[Sample], training_samples: int) -> list[Sample]:
    """Return the samples with quirks in some training samples, and the additional sample."""
    training = list(range(training_samples))
    quiet = [number for number in training if samples[number].goes_class == "Q"]
    samples[quiet[-1]] = replace(samples[quiet[-1]], has_folder=False)
    training.remove(quiet[-1])
    for place, quirk in enumerate(QUIRKS):
        number = training[place * len(training) // len(QUIRKS)]
        samples[number] = replace(samples[number], quirk=quirk)
    first = samples[0]
    last_end = max(sample.end for sample in samples if sample.region == first.region)
    later = last_end // _SECOND * _SECOND + _DAY // 4
    extra = replace(
        first,
        number=len(samples),
        folder=f"{_time(later, '%Y_%m_%d_%H_%M_%S')}_0",
        end=later,
        quirk=None,
        has_row=False,
    )
    return [*samples[:training_samples], extra, *samples[training_samples:]]


def _available(rng: np.random.Generator) -> np.ndarray:
    """Return which of IMAGE_PLACES are in a sample, bool, shape (40,)."""
    shape = (len(IMAGE_OFFSETS), len(LOOKS))
    if rng.random() < COMPLETE_SHARE:
        return np.ones(shape, bool).ravel()
    step = rng.random((shape[0], 1)) >= STEP_LOST
    channel = rng.random((1, shape[1])) >= CHANNEL_LOST
    return (step & channel & (rng.random(shape) >= IMAGE_LOST)).ravel()


def _image(sample: Sample, place: int, quirk: str | None, seed: int) -> bytes:
    """Return one image of a sample as JPEG."""
    rng = generator(key(seed, "sdo", "image"), sample.number * len(IMAGE_PLACES) + place)
    pixels = draw_image(_spots(sample.region, seed), IMAGE_PLACES[place][1], rng, seed)
    if quirk == "black":
        pixels[:] = 0
    if quirk == "dead_rows":
        pixels[DEAD_ROWS] = pixels.min()
    if quirk == "small":
        pixels = pixels[: SIZE // 2, : SIZE // 2]
    content = encode(pixels, "flagged as noisy" if quirk == "flagged" else None)
    return content[: len(content) * 3 // 5] if quirk == "truncated" else content


@functools.lru_cache(maxsize=1)
def _spots(region: int, seed: int) -> Spots:
    return draw_spots(generator(key(seed, "sdo", "spots"), region))


def _time(nanoseconds: int, form: str) -> str:
    """Return a time since 1970 as text, to the second."""
    return datetime.fromtimestamp(nanoseconds // _SECOND, UTC).strftime(form)
