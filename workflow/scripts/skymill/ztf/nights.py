"""Read the nights in the setting `ztf.nights`: a list, a range of days, or a file of both."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.raw.registry import ARCHIVE_NIGHT, NIGHT

FIRST_YEAR, LAST_YEAR = 2017, 2099
"""ZTF has observed since 2017; other years are typing errors."""

FIRST_PUBLIC = date(2018, 6, 1)
"""The first night of the public archive."""

TAKEN = "labels"
"""A name that no night can have: the folder of the labels, next to the nights, has this name."""
PREFIX = "ztf_public_"
"""The text before the night in the names of its files."""

MOST_NIGHTS = 5_000
"""Maximum days of all ranges: each day needs memory and time to plan. ZTF's archive has fewer."""

_ENTRY = re.compile(r"[\w-]+( *\.\. *\w*)?")
"""A text that is meant as a night or a range, right or wrong. Other texts are names of files."""


@dataclass(frozen=True)
class Nights:
    """The nights in the setting, each once and sorted.

    Attributes
    ----------
    named
        Nights that are listed one by one: they must exist.
    ranged
        The days of ranges: some of these days may have no night.
    """

    named: tuple[str, ...]
    ranged: tuple[str, ...]


def read_nights(setting: int | str | list[int | str]) -> Nights:
    """Return the nights in `ztf.nights`.

    Parameters
    ----------
    setting
        A night as in the name of its tarball (YYYYMMDD, perhaps with _programid3, or a user's own
        name), a range (`20180601..20181231`: every day from the first to the last), a list of
        nights and ranges, or the path of a file with one night or range per line, where `#` begins
        a comment.

    Raises
    ------
    SkymillError
        When an entry is neither a night nor a range, or a night occurs twice. The error says where.
    """
    places: dict[str, str] = {}
    named, ranged = [], []
    for place, entry in _entries(setting):
        is_range = ".." in entry
        nights = _days(entry, place) if is_range else [_night(entry, place)]
        for night in nights:
            if night in places:
                raise SkymillError(
                    f"{place}: {entry} names night {night}, like {places[night]}. Delete one."
                )
            places[night] = place
        (ranged if is_range else named).extend(nights)
        if len(ranged) > MOST_NIGHTS:
            raise _too_many(entry, place, len(ranged))
    return Nights(tuple(sorted(named)), tuple(sorted(ranged)))


def is_archive_night(night: str) -> bool:
    """Return whether a night has a name of the archive."""
    return re.fullmatch(ARCHIVE_NIGHT, night) is not None


def spans(nights: Iterable[str]) -> str:
    """Return nights as text, consecutive days as a range: `20180601..20180604, 20180607`.

    Nights of other programs, and nights with a user's own names, come last.
    """
    runs: list[list[str]] = []
    for night in sorted(nights, key=lambda night: (not _is_day(night), night)):
        if _is_day(night) and runs and night == _text(_date(runs[-1][-1]) + timedelta(1)):
            runs[-1].append(night)
        else:
            runs.append([night])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)


def days_since_first_public(night: str) -> int:
    """Return the days from the archive's first night to a night; negative for earlier nights."""
    return (_date(night) - FIRST_PUBLIC).days


def _entries(setting: int | str | list) -> Iterator[tuple[str, str]]:
    """Yield the place (for messages) and the text of each night or range."""
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
            f"ztf.nights: there is no file {path}. Set nights (20180601), a range "
            "(20180601..20181231), or the path of a file of nights, relative to the folder where "
            "Snakemake runs."
        )
    empty = True
    # Some editors put a mark before the first character.
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if entry := line.partition("#")[0].strip():
            empty = False
            yield f"{path}, line {number}", entry
    if empty:
        raise SkymillError(f"{path} contains no night. Write one night per line, such as 20180601.")


def _night(entry: str, place: str) -> str:
    """Return a night after a check of its name."""
    if not re.fullmatch(NIGHT, entry) or (entry.isdigit() and len(entry) != len("YYYYMMDD")):
        raise SkymillError(
            f"{place}: {entry} is neither a night nor a range. Write nights as in the names of "
            "their tarballs (20180601 or 20180603_programid3) and ranges as 20180601..20181231. "
            "Your own names have up to 64 letters, digits, _ and -, and do not begin with -."
        )
    if entry == TAKEN:
        raise SkymillError(
            f"{place}: no night can have the name {entry}, because the folder of labels has this "
            "name. Use another name."
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
            f"{place}: {entry} is not a date. Write year, month, day: 20180601."
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
            f"{place}: {entry} is not a range of days. Ranges have plain nights, YYYYMMDD. List "
            "nights of other programs, and your own nights, one by one."
        )
    days = (_date(last) - _date(first)).days
    if days < 0:
        raise SkymillError(f"{place}: {entry} ends before it begins. Write {last}..{first}.")
    if days >= MOST_NIGHTS:
        raise _too_many(entry, place, days + 1)
    return [_text(_date(first) + timedelta(day)) for day in range(days + 1)]


def _too_many(entry: str, place: str, nights: int) -> SkymillError:
    """Return the error for ranges with more nights than a run can plan."""
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
