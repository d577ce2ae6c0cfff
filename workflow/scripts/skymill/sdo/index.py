"""The index of each official set: one row per sample, with its labels and counts of its images."""

import csv
import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd

from skymill.engine.errors import SkymillError
from skymill.engine.products import describe_file, new_file
from skymill.sdo.goes import LABELS, QUIET
from skymill.sdo.metadata import format_time
from skymill.sdo.names import CHANNELS, SPLITS, STEPS, parse_folder

DAY = np.timedelta64(24, "h").astype("m8[ns]")
PEAK_TOLERANCE = np.timedelta64(2, "s").astype("m8[ns]")
"""Peaks are given to the minute or second. A series may begin or end a second earlier or later."""

COLUMNS = (
    "ar_num",
    "time_id",
    "start",
    "end",
    "peak_flux",
    "label",
    "location",
    "location_relative",
    "goes_class",
    "split",
    "images",
    *(f"images_{channel}" for channel in CHANNELS),
    *(f"images_step{step}" for step in range(STEPS)),
    "flagged_images",
    "window_ends_at_peak",
    "overlapping_samples",
    "group",
    "harps",
)


_TEXT = {"time_id", "start", "end", "label", "location_relative", "goes_class", "split"}
_OTHER_TYPES = {"peak_flux": "double", "window_ends_at_peak": "bool"}


def describe_index() -> list[dict]:
    """Return name and type of the columns of an index, see engine.tables.describe_columns.

    Two columns are left out. `location` differs between machines. `harps` has no fixed type: CSV
    readers without given types read numbers if each sample has exactly one HARP.
    """
    return [
        {"name": name, "type": "string" if name in _TEXT else _OTHER_TYPES.get(name, "int64")}
        for name in COLUMNS
        if name not in ("location", "harps")
    ]


def make_index(
    samples: pd.DataFrame, images: pd.DataFrame, plan: pd.DataFrame, *, tree: str, root: str
) -> pd.DataFrame:
    """Return the index of one set, in the order of its metadata.

    Parameters
    ----------
    samples, images, plan
        The catalogue and the plan, of this set only.
    tree
        The unpacked tree, relative to `root`, such as `data/raw/sdo`.
    root
        Absolute path of the working directory, or the address of the object storage. Only the
        column `location` needs it and differs between machines.

    Returns
    -------
    A frame with COLUMNS; times and fluxes are text, with the precision of the archive.
    `window_ends_at_peak` is a nullable boolean, see `ends_at_peak`.
    """
    same = (samples["row"].to_numpy() == plan["row"].to_numpy()).all()
    if not (same and (samples["sample_id"].to_numpy() == plan["sample_id"].to_numpy()).all()):
        raise SkymillError(
            "the plan and the catalogue list different samples. Delete "
            "preprocessed/sdo/plan.parquet in the results folder and run again."
        )
    start, end = samples["start"].to_numpy("M8[ns]"), samples["end"].to_numpy("M8[ns]")
    homes = [Path(tree, folder) for folder in samples["folder"]]
    columns = {
        "ar_num": samples["ar_num"].to_numpy(),
        "time_id": samples["time_id"].to_numpy(object),
        "start": format_time(start),
        "end": format_time(end),
        "peak_flux": samples["peak_flux"].to_numpy(object),
        "label": plan["label"].to_numpy(object),
        "location": [f"{root}/{home.as_posix()}" for home in homes],
        "location_relative": [home.relative_to(Path(tree).parents[1]).as_posix() for home in homes],
        "goes_class": plan["goes_class"].to_numpy(object),
        "split": plan["split"].to_numpy(object),
        **_image_counts(images, len(samples)),
        "window_ends_at_peak": ends_at_peak(
            samples["ar_num"].to_numpy(),
            samples["time_id"].tolist(),
            end,
            (plan["goes_class"] != QUIET).to_numpy(),
        ),
        "overlapping_samples": overlaps(samples["ar_num"].to_numpy(), start, end),
        "group": plan["group"].to_numpy(),
        "harps": plan["harps"].to_numpy(object),
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def _image_counts(images: pd.DataFrame, samples: int) -> dict[str, np.ndarray]:
    """Count the good images of each sample: all, by channel, by step, and flagged images."""
    good = images[images["status"] == "ok"]
    row = good["row"].to_numpy()
    channel, step = good["channel"].to_numpy(), good["step"].to_numpy()

    def count(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(row[chosen], minlength=samples)

    counts = {"images": count(np.ones(len(row), dtype=bool))}
    counts |= {f"images_{name}": count(channel == n) for n, name in enumerate(CHANNELS)}
    counts |= {f"images_step{n}": count(step == n) for n in range(STEPS)}
    counts["flagged_images"] = count(good["flagged"].to_numpy(bool))
    return counts


def ends_at_peak(
    region: np.ndarray, folders: list[str], end: np.ndarray, has_flare: np.ndarray
) -> pd.arrays.BooleanArray:
    """Return which windows end at the peak of their flare (the flare that the label describes).

    The samples of one event are numbered in the names of their folders, `<time>_<k>`. The time is
    when the event becomes the strongest event of the following 24 hours, at the earliest a day
    before its peak. The last sample ends when the event is no longer the strongest: at the peak, or
    before the peak if a stronger event enters the 24 hours or the record has a gap. The table has
    no times of peaks, so the values are:

    - true: a flare is recorded, k is 1 or more, and the window ends a day after the time in the
      folder's name. The event has its longest possible duration, so the window ends at the peak.
    - false: no flare is recorded; or the window ends at the time in the folder's name, where the
      event begins; or the event has a later window, so this window ends before the peak.
    - unknown (null): all other windows. They are the last windows of events that lasted less than a
      day.

    Parameters
    ----------
    region
        Active region of each sample, int64, shape (samples,).
    folders
        `YYYY_MM_DD_HH_MM_SS_k` of each sample.
    end
        datetime64[ns], end of each sample's window.
    has_flare
        bool, whether a flare is recorded.
    """
    parsed = [parse_folder(folder) for folder in folders]
    times = np.array([time for time, _ in parsed], dtype="M8[ns]")
    number = np.array([number for _, number in parsed], dtype=np.int64)
    event = pd.DataFrame({"region": region, "time": times, "end": end})
    last = event.groupby(["region", "time"])["end"].transform("max").to_numpy("M8[ns]")
    at_peak = has_flare & (number >= 1) & (np.abs(end - (times + DAY)) <= PEAK_TOLERANCE)
    before = ~has_flare | (np.abs(end - times) <= PEAK_TOLERANCE) | (last - end > PEAK_TOLERANCE)
    return pd.arrays.BooleanArray(at_peak, mask=~(at_peak | before))


def overlaps(region: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Count for each sample the other samples of its region whose windows [start, end) overlap it.

    The count is all samples of the region, minus the samples that end before this sample starts,
    minus the samples that start after it ends. So two sorted lists are enough, without pairs.
    """
    counts = np.zeros(len(region), dtype=np.int64)
    order = np.argsort(region, kind="stable")
    borders = np.flatnonzero(np.diff(region[order])) + 1
    for members in np.split(order, borders):
        before = np.searchsorted(np.sort(end[members]), start[members], side="right")
        begun = np.searchsorted(np.sort(start[members]), end[members], side="left")
        counts[members] = begun - before - 1
    return counts


def count_index(index: pd.DataFrame) -> dict:
    """Return the counts of an index for its manifest."""
    at_peak = index["window_ends_at_peak"]
    return {
        "records_by_label": {name: int((index["label"] == name).sum()) for name in LABELS},
        "samples_by_split": {name: int((index["split"] == name).sum()) for name in SPLITS},
        "windows_ending_at_peak": {
            "true": int(at_peak.sum()),
            "false": int((~at_peak).sum()),
            "unknown": int(at_peak.isna().sum()),
        },
        "samples_overlapping": int((index["overlapping_samples"] > 0).sum()),
    }


def write_index(path: Path, index: pd.DataFrame) -> dict:
    """Write an index as CSV; return its entry for a manifest.

    The entry has two digests: one of the file, and one of the file without `location`. The second
    digest is the same on every machine.
    """
    with new_file(path) as temporary:
        temporary.write_text(_to_csv(index), encoding="utf-8", newline="")
        entry = describe_file(temporary, len(index))
    portable = _to_csv(index.drop(columns="location"))
    digest = hashlib.sha256(portable.encode()).hexdigest()
    return {**entry, "name": path.name, "sha256_without_location": digest}


def _to_csv(index: pd.DataFrame) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(index.columns)
    cells = index.astype(object)
    # An unknown value is an empty cell.
    writer.writerows(cells.where(cells.notna(), None).itertuples(index=False))
    return text.getvalue()
