"""Which nights the setting `ztf.nights` asks for: a list, a range of days, or a file of both."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.raw.registry import ARCHIVE_NIGHT, NIGHT

FIRST_YEAR, LAST_YEAR = 2017, 2099
"""ZTF has observed since 2017; other years are slips of the pen."""

FIRST_PUBLIC = date(2018, 6, 1)
"""The first night of the public archive."""

TAKEN = "labels"
"""No name for a night: in this folder beside the nights are the labels."""
PREFIX = "ztf_public_"
"""What stands before a night in the names of its files."""

MOST_NIGHTS = 5_000
"""Days of ranges, in all: each takes memory and time to plan. ZTF's whole archive has fewer."""

_ENTRY = re.compile(r"[\w-]+( *\.\. *\w*)?")
"""What is meant as a night or a range, right or wrong; other text is the name of a file."""


@dataclass(frozen=True)
class Nights:
    """The nights that were asked for, each once and sorted.

    Attributes
    ----------
    named
        Those that stand there one by one: they have to exist.
    ranged
        The days of ranges: on some of them there was no night.
    """

    named: tuple[str, ...]
    ranged: tuple[str, ...]


def read_nights(setting: int | str | list[int | str]) -> Nights:
    """Return the nights that `ztf.nights` asks for.

    Parameters
    ----------
    setting
        A night as in the name of its tarball (YYYYMMDD, perhaps with _programid3, or a name of the
        user's own), a range (`20180601..20181231`: every day from the first to the last), a list
        of these, or the path of a file with one of these a line, where `#` begins a comment.

    Raises
    ------
    SkymillError
        When something is no night or range, or a night is there twice; it says what and where.
    """
    places: dict[str, str] = {}
    named, ranged = [], []
    for place, entry in _entries(setting):
        is_range = ".." in entry
        nights = _days(entry, place) if is_range else [_night(entry, place)]
        for night in nights:
            if night in places:
                raise SkymillError(
                    f"{place}: {entry} asks for night {night}, as {places[night]} does. Delete one."
                )
            places[night] = place
        (ranged if is_range else named).extend(nights)
        if len(ranged) > MOST_NIGHTS:
            raise _too_many(entry, place, len(ranged))
    return Nights(tuple(sorted(named)), tuple(sorted(ranged)))


def is_archive_night(night: str) -> bool:
    """Return whether a night is named as in the archive."""
    return re.fullmatch(ARCHIVE_NIGHT, night) is not None


def spans(nights: Iterable[str]) -> str:
    """Return nights as text, days in a row as a range: `20180601..20180604, 20180607`.

    Nights of other programs, and those with names of the user's own, come last.
    """
    runs: list[list[str]] = []
    for night in sorted(nights, key=lambda night: (not _is_day(night), night)):
        if _is_day(night) and runs and night == _text(_date(runs[-1][-1]) + timedelta(1)):
            runs[-1].append(night)
        else:
            runs.append([night])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)


def days_since_first_public(night: str) -> int:
    """Return how many days after the archive's first night a night is; negative before it."""
    return (_date(night) - FIRST_PUBLIC).days


def _entries(setting: int | str | list) -> Iterator[tuple[str, str]]:
    """Yield each night or range as text, with where it stands for messages."""
    if isinstance(setting, list):
        for number, entry in enumerate(setting, start=1):
            yield f"ztf.nights, entry {number}", str(entry).strip()
    elif _ENTRY.fullmatch(str(setting).strip()) and not Path(str(setting)).is_file():
        yield "ztf.nights", str(setting).strip()
    else:
        yield from _lines(Path(setting))


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the nights and ranges of a file."""
    if not path.is_file():
        raise SkymillError(
            f"ztf.nights: there is no file {path}. Give the path of a file of nights, from the "
            "folder that Snakemake runs in, or nights (20180601), or a range (20180601..20181231)."
        )
    empty = True
    # Some editors put a mark before the first character.
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if entry := line.partition("#")[0].strip():
            empty = False
            yield f"{path}, line {number}", entry
    if empty:
        raise SkymillError(f"{path} names no night. Write one a line, say 20180601.")


def _night(entry: str, place: str) -> str:
    """Return a night after checking it."""
    if not re.fullmatch(NIGHT, entry) or (entry.isdigit() and len(entry) != len("YYYYMMDD")):
        raise SkymillError(
            f"{place}: {entry} is neither a night nor a range. Nights are written as in the names "
            "of their tarballs, 20180601 or 20180603_programid3, ranges 20180601..20181231. Your "
            "own have up to 64 letters, digits, _ and -, the first of them no -."
        )
    if entry == TAKEN:
        raise SkymillError(
            f"{place}: no night can have the name {entry}, which is that of the folder of labels. "
            "Take another name."
        )
    if entry.startswith(PREFIX):
        raise SkymillError(
            f"{place}: write {entry} without {PREFIX}: {entry.removeprefix(PREFIX)}."
        )
    if not is_archive_night(entry):
        return entry
    try:
        year = _date(entry).year
    except ValueError:
        raise SkymillError(
            f"{place}: {entry} is no date. Nights are written year, month, day: 20180601."
        ) from None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise SkymillError(
            f"{place}: {entry} is not in the years {FIRST_YEAR} to {LAST_YEAR}, and ZTF has no "
            "such night. Correct the date."
        )
    return entry


def _days(entry: str, place: str) -> list[str]:
    """Return every day of a range."""
    first, last = (_night(part.strip(), place) for part in entry.split("..", 1))
    if not (_is_day(first) and _is_day(last)):
        raise SkymillError(
            f"{place}: {entry} is no range of days. Ranges are of plain nights, YYYYMMDD: name "
            "those of other programs, and your own, one by one."
        )
    days = (_date(last) - _date(first)).days
    if days < 0:
        raise SkymillError(f"{place}: {entry} ends before it begins. Write {last}..{first}.")
    if days >= MOST_NIGHTS:
        raise _too_many(entry, place, days + 1)
    return [_text(_date(first) + timedelta(day)) for day in range(days + 1)]


def _too_many(entry: str, place: str, nights: int) -> SkymillError:
    """Return the error for ranges of more nights than a run can plan."""
    return SkymillError(
        f"{place}: with {entry} the ranges have {nights:,} nights, more than {MOST_NIGHTS:,}. "
        "Correct the dates, or run in batches: one range, such as a year, in each run."
    )


def _is_day(night: str) -> bool:
    return is_archive_night(night) and night.isdigit()


def _date(night: str) -> date:
    return date(int(night[:4]), int(night[4:6]), int(night[6:8]))


def _text(day: date) -> str:
    return day.strftime("%Y%m%d")
