"""The table of samples that each set comes with, `meta_data.csv`, read without losing a digit."""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skymill.engine.errors import SkymillError
from skymill.sdo.names import parse_sample_id

COLUMNS = ("id", "start", "end", "peak_flux")
_TIME = re.compile(
    r"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?", re.ASCII
)
_FLUX = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)


@dataclass(frozen=True)
class MetaRow:
    """One well-formed row: its line, id, region, folder, window, and flux as it is written."""

    line: int
    sample_id: str
    region: str
    folder: str
    start: np.datetime64
    end: np.datetime64
    peak_flux: str


def read_metadata(path: Path) -> tuple[list[MetaRow], list[tuple[int, str]]]:
    """Read a `meta_data.csv`.

    Returns
    -------
    rows
        The well-formed rows in file order.
    malformed
        Line and reason of each other row; blank lines are passed over.

    Raises
    ------
    SkymillError
        When the file is not text, or its header is not that of SDOBenchmark.
    """
    rows, malformed = [], []
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            if sorted(header) != sorted(COLUMNS):
                raise SkymillError(
                    f"{path} has the columns {', '.join(header) or '(none)'}, not "
                    f"{', '.join(COLUMNS)}. It is not the table of SDOBenchmark: fetch the data "
                    "set again, or see the section on real data in README.md."
                )
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    malformed.append((reader.line_num, f"{len(cells)} cells instead of 4"))
                    continue
                row = _parse(reader.line_num, dict(zip(header, map(str.strip, cells), strict=True)))
                (rows if isinstance(row, MetaRow) else malformed).append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SkymillError(
            f"{path} is not a table of text ({error}). Fetch the data set again."
        ) from None
    return rows, malformed


def _parse(line: int, cells: dict[str, str]) -> MetaRow | tuple[int, str]:
    """Return a row, or its line and what is wrong with it."""
    names = parse_sample_id(cells["id"])
    if names is None:
        return line, f"id {cells['id']!r} is not <region>_<YYYY_MM_DD_HH_MM_SS_k>"
    times = {}
    for name in ("start", "end"):
        time = parse_time(cells[name])
        if time is None:
            return line, f"{name} {cells[name]!r} is no time"
        times[name] = time
    if not times["start"] < times["end"]:
        return line, f"the window ends at {cells['end']}, not after {cells['start']}"
    flux = cells["peak_flux"]
    if not _FLUX.fullmatch(flux) or not 0 < float(flux) < math.inf:
        return line, f"peak_flux {flux!r} is no positive number"
    return MetaRow(line, cells["id"], *names, times["start"], times["end"], flux)


def parse_time(text: str) -> np.datetime64 | None:
    """Return a time with up to nine decimals of a second as datetime64[ns], or None."""
    if not _TIME.fullmatch(text):
        return None
    try:
        return np.datetime64(text.replace(" ", "T"), "ns")
    except ValueError:
        return None


def format_time(times: np.ndarray) -> np.ndarray:
    """Return datetime64[ns] as text in the archive's own form, nine decimals and all."""
    return np.char.replace(np.datetime_as_string(times, unit="ns"), "T", " ")
