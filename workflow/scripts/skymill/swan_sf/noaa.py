"""NOAA numbers of a step in the format of SWAN-SF: `11958;11959`, `11953.0`, or an empty text."""

import re

_NUMBER = re.compile(r"(\d{1,6})(?:\.0*)?")


class BadNumbersError(ValueError):
    """A text that is no list of NOAA numbers."""


def parse_numbers(text: str | None) -> tuple[int, ...]:
    """Return the NOAA numbers of a step, ascending, each once. 0 in the text means no number.

    Raises
    ------
    BadNumbersError
        When the text is no list of numbers.
    """
    found = set()
    for part in (text or "").split(";"):
        match = _NUMBER.fullmatch(part.strip())
        if match:
            found.add(int(match[1]))
        elif part.strip():
            raise BadNumbersError(f"NOAA_AR: {text[:60]!r} is no list of numbers")
    return tuple(sorted(found - {0}))
