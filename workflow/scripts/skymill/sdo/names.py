"""Parse the names in the SDOBenchmark tree: sets, regions, samples, times and channels."""

import re
from datetime import UTC, datetime

import numpy as np

SETS = {"train": "training", "test": "test"}
"""The official sets, and the folder of each under the root."""
METADATA = "meta_data.csv"

CHANNELS = ("94", "131", "171", "193", "211", "304", "335", "1700", "continuum", "magnetogram")
"""Channels in the order of the tensors: AIA wavelengths in angstroms, then the HMI channels."""
STEP_OFFSETS = tuple(np.array([0, 420, 630, 710], dtype="timedelta64[m]").astype("m8[ns]"))
"""When the images of a sample are taken, after the start of its window."""
STEPS = len(STEP_OFFSETS)
TOLERANCE = np.timedelta64(2, "s").astype("m8[ns]")
"""Names of images are the nominal times of the steps, truncated to the second. An image that is
further away than this does not belong to the step."""

SPLITS = ("train", "validation", "test", "excluded")
"""`excluded`: training samples that are left out because they share a group with the test set."""

_SAMPLE_ID = re.compile(r"([0-9]{1,9})_([0-9]{4}(?:_[0-9]{2}){5})_([0-9]{1,9})", re.ASCII)
_IMAGE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})__([0-9a-z]+)\.jpe?g",
    re.ASCII | re.IGNORECASE,
)
_CHANNEL_NUMBERS = {name: number for number, name in enumerate(CHANNELS)}


def parse_sample_id(sample_id: str) -> tuple[str, str] | None:
    """Return region and folder of `<region>_<YYYY_MM_DD_HH_MM_SS_k>`, or None for another text."""
    found = _SAMPLE_ID.fullmatch(sample_id)
    if not found or _instant(found[2].split("_")) is None:
        return None
    return found[1], f"{found[2]}_{found[3]}"


def parse_folder(folder: str) -> tuple[np.datetime64, int]:
    """Return the time in a sample folder's name, and its last number `k`."""
    *time, number = folder.split("_")
    return np.datetime64(_instant(time), "s").astype("M8[ns]"), int(number)


def parse_image_name(name: str) -> tuple[np.datetime64, int] | None:
    """Return time and channel number of `<YYYY-MM-DDTHHMMSS>__<channel>.jpg`, or None.

    Letters may be in any case, and the suffix may be `.jpeg`.
    """
    found = _IMAGE.fullmatch(name)
    channel = _CHANNEL_NUMBERS.get(found[7].lower()) if found else None
    seconds = None if channel is None else _instant(found.groups()[:6])
    if seconds is None:
        return None
    return np.datetime64(seconds, "s").astype("M8[ns]"), channel


def _instant(parts: list[str]) -> int | None:
    """Return the seconds since 1970 of year, month, ..., second, or None for an impossible time."""
    try:
        return int(datetime(*map(int, parts), tzinfo=UTC).timestamp())
    except ValueError:
        return None


def nearest_step(times: np.ndarray, start: np.datetime64) -> tuple[np.ndarray, np.ndarray]:
    """Assign images to the steps of their sample.

    Parameters
    ----------
    times
        datetime64[ns], shape (images,), NaT if unknown.
    start
        When the sample's window begins.

    Returns
    -------
    step
        int8, the nearest step (the earlier step of two), -1 if no step is within TOLERANCE.
    distance
        timedelta64[ns] to the nearest step.
    """
    away = np.abs((times - start)[:, None] - np.array(STEP_OFFSETS))
    away[np.isnat(away)] = np.timedelta64(2**62, "ns")
    step = away.argmin(axis=1).astype(np.int8)
    distance = away.min(axis=1)
    step[distance > TOLERANCE] = -1
    return step, distance


def common_shift(away: np.ndarray) -> tuple[float, int] | None:
    """Return the time shift that explains most images that are at no step of their sample.

    Parameters
    ----------
    away
        timedelta64[ns], shape (images,): time of each image after the start of its sample's window.

    Returns
    -------
    Seconds by which the images are later than their steps, and how many images this shift moves to
    a step, within TOLERANCE. If several shifts explain the same number of images, the smallest
    shift. None if there is no image.
    """
    if not len(away):
        return None
    candidates = np.sort((away[:, None] - np.array(STEP_OFFSETS)).ravel())
    # Times in names are truncated to the second, so equal shifts are up to a second apart.
    last = np.searchsorted(candidates, candidates + TOLERANCE, side="right")
    explained = last - np.arange(len(candidates))
    best = np.flatnonzero(explained == explained.max())
    first = best[np.argmin(np.abs(candidates[best]))]
    shift = np.median(candidates[first : last[first]].astype(np.int64)) / 10**9
    return float(np.round(shift)), int(explained[first])
