"""Small tarballs of SWAN-SF, written window by window."""

import io
import tarfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from skymill.engine.gzipped import open_file
from skymill.swan_sf.catalogue import catalogue
from skymill.swan_sf.schema import PARAMETERS, STEPS

ORDER = [*PARAMETERS[:10], "MEANSHR", "SHRGT45", *PARAMETERS[12:]]
"""The parameters in the order of the CSV files."""

EXTRA = ["CRVAL1", "QUALITY", "NOAA_AR", "IS_TMFI", "XR_MAX"]
COLUMNS = ["Timestamp", *ORDER, *EXTRA]


def step_values(harp, step):
    """Return the 24 values of a step of a HARP, in the order of PARAMETERS."""
    return np.arange(1, len(PARAMETERS) + 1) * 1.1 + harp * 1000 + step / 7


def time_of(step):
    return datetime(2014, 1, 15, 5, 36) + timedelta(minutes=12 * step)


def name(harp=3608, first=0, label="FQ"):
    start, end = (time_of(step).isoformat() for step in (first, first + STEPS - 1))
    return f"partition1/NF/{label}_ar{harp}_s{start}_e{end}.csv"


def rows(harp=3608, first=0, count=STEPS, **given):
    """Return the rows of a window, each a dict by column; `given` sets values in every row."""
    made = []
    for step in range(first, first + count):
        values = dict(zip(PARAMETERS, map(repr, step_values(harp, step).tolist()), strict=True))
        others = {"CRVAL1": "200.5", "QUALITY": "0.0", "NOAA_AR": "11953.0", "IS_TMFI": "True"}
        time = time_of(step).isoformat(sep=" ")
        made.append({"Timestamp": time, **values, **others, "XR_MAX": "1e-07", **given})
    return made


def text(table, columns=COLUMNS, end="\n"):
    """Return the content of a window's file."""
    lines = ["\t".join(columns), *("\t".join(row.get(c, "0.0") for c in columns) for row in table)]
    return (end.join(lines) + end).encode()


def window(harp=3608, first=0, label="FQ", **given):
    """Return name and content of a regular window."""
    return name(harp, first, label), text(rows(harp, first, **given))


def tarball(path, members):
    """Write a tarball of (name, content)."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for member, content in members:
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


class Catalogued:
    """A catalogued tarball: its tables, its quarantine and the manifest's content."""

    def __init__(self, raw: Path, folder: Path, workers: int = 1, opener=open_file):
        self.outputs = [folder / part for part in ("steps.parquet", "windows.parquet", "q.jsonl")]
        steps, windows, self.quarantine = self.outputs
        self.content = catalogue(
            raw,
            "partition1",
            steps=steps,
            windows=windows,
            quarantine=self.quarantine,
            opener=opener,
            workers=workers,
        )
        self.counts = self.content["counts"]
        self.steps, self.windows = pq.read_table(steps), pq.read_table(windows)

    def values(self):
        """Return the values of all steps, float64 of shape (steps, 24)."""
        return np.column_stack([self.steps[name].to_numpy() for name in PARAMETERS])


def catalogued(folder, members, workers=1):
    """Write a tarball of (name, content) and catalogue it."""
    return Catalogued(tarball(folder / "partition1_instances.tar.gz", members), folder, workers)
