"""Read the table of samples of each set, `meta_data.csv`, without loss of digits."""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skymill.engine.errors import SkymillError
from skymill.sdo.names import parse_sample_id

COLUMNS = ("id", "start", "end", "peak_flux")
MOST_BYTES, MOST_MALFORMED = 2**24, 100_000
"""Maximum numbers of bytes and malformed lines of a table. The archive's tables have 8,000 lines in
1 MB."""
LONGEST_SHOWN = 200
"""Characters of a text from the table that a message quotes."""
_TIME = re.compile(
    r"((?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)"
    r"(?: ?(?:Z|UTC|[+-]00(?::?00)?))?",
    re.ASCII,
)
"""A time in UTC. The archive's table has no time zone; other tables have `Z` or similar."""
_FLUX = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)


@dataclass(frozen=True)
class MetaRow:
    """One well-formed row: its line, id, region, folder, window, and flux as text."""

    line: int
    sample_id: str
    region: str
    folder: str
    start: np.datetime64
    end: np.datetime64
    peak_flux: str


def read_metadata(path: Path) -> tuple[list[MetaRow], list[tuple[int, str]]]:
    """Read a `meta_data.csv`.

    Each row is one line, so a stray quotation mark costs only its own row. Well-formed rows and
    malformed lines together are all lines except the header and blank lines.

    Returns
    -------
    rows
        The well-formed rows in file order.
    malformed
        Line and reason of each malformed row; blank lines are skipped.

    Raises
    ------
    SkymillError
        When the header is not SDOBenchmark's header, or the table is too long for SDOBenchmark.
    """
    rows, malformed = [], []
    if path.stat().st_size > MOST_BYTES:
        raise _other_table(path, f"more than {MOST_BYTES / 1e6:,.0f} MB")
    with open(path, encoding="utf-8-sig", errors="backslashreplace") as stream:
        header = [name.strip() for name in _cells(stream.readline()) or ()]
        if sorted(header) != sorted(COLUMNS):
            found = ", ".join(header)[:LONGEST_SHOWN]
            raise SkymillError(
                f"{path} has the columns {found or '(none)'}, not {', '.join(COLUMNS)}. It is not "
                "the table of SDOBenchmark. Fetch the data set again, or see "
                "docs/real-data.md."
            )
        for number, line in enumerate(stream, start=2):
            if not line.strip():
                continue
            cells = _cells(line)
            if cells is None:
                malformed.append((number, "a quotation mark is out of place"))
            elif len(cells) != len(header):
                malformed.append((number, f"{len(cells)} cells instead of {len(header)}"))
            else:
                row = _parse(number, dict(zip(header, map(str.strip, cells), strict=True)))
                (rows if isinstance(row, MetaRow) else malformed).append(row)
            if len(malformed) > MOST_MALFORMED:
                raise _other_table(path, f"more than {MOST_MALFORMED:,} malformed lines")
    return rows, malformed


def _other_table(path: Path, has: str) -> SkymillError:
    """Return the error for a table that is too long."""
    return SkymillError(
        f"{path} has {has}. It is not the table of SDOBenchmark. Fetch the data set again, or see "
        "docs/real-data.md."
    )


def _cells(line: str) -> list[str] | None:
    """Return the cells of one line, None if its quotation marks do not match."""
    try:
        return next(csv.reader([line.rstrip("\r\n")], strict=True), [])
    except csv.Error:
        return None


def _parse(line: int, cells: dict[str, str]) -> MetaRow | tuple[int, str]:
    """Return a row, or the line and the reason why it is malformed."""
    names = parse_sample_id(cells["id"])
    if names is None:
        return line, f"id {_shown(cells['id'])} is not <region>_<YYYY_MM_DD_HH_MM_SS_k>"
    times = {}
    for name in ("start", "end"):
        time = parse_time(cells[name])
        if time is None:
            return line, f"{name} {_shown(cells[name])} is no time in UTC"
        times[name] = time
    if not times["start"] < times["end"]:
        return line, f"the window ends at {cells['end']}, not after {cells['start']}"
    flux = cells["peak_flux"]
    if not _FLUX.fullmatch(flux) or not 0 < float(flux) < math.inf:
        return line, f"peak_flux {_shown(flux)} is no positive number"
    return MetaRow(line, cells["id"], *names, times["start"], times["end"], flux)


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}...")


def parse_time(text: str) -> np.datetime64 | None:
    """Return a time with up to nine decimals of a second as datetime64[ns], or None.

    A time without an offset is UTC. The result is None for a time with an offset other than UTC.
    """
    found = _TIME.fullmatch(text)
    if not found:
        return None
    try:
        return np.datetime64(f"{found[1]}T{found[2]}", "ns")
    except ValueError:
        return None


def format_time(times: np.ndarray) -> np.ndarray:
    """Return datetime64[ns] as text in the form of the archive, with nine decimals."""
    return np.char.replace(np.datetime_as_string(times, unit="ns"), "T", " ")
