"""Find the columns of a list of labels: by the settings, otherwise by common names."""

import difflib
import re
from collections.abc import Callable

from skymill.engine.errors import SkymillError
from skymill.ztf.object_ids import ZTF_NAME

ALIASES = {
    "object": ("oid", "objectId", "object_id", "ZTFID", "i:objectId"),
    "class": (
        "predicted_class",
        "classALeRCE",
        "alerce_class",
        "class_name",
        "class",
        "type",
        "d:cdsxmatch",
        "v:classification",
        "classification",
    ),
    "probability": ("predicted_class_proba", "probability"),
    "classifier": ("classifier_name", "classifier"),
    "ranking": ("ranking", "rank"),
}
"""Names of each column in the lists of ALeRCE, BTS and Fink. The first name that is found is used;
letter case is ignored."""

REQUIRED = ("object", "class")

_INDEX = ("index", "", "Unnamed: 0", "__index_level_0__")
"""Names of an index column: it has row numbers, or objects if the table was indexed by objects."""

_ALIKE = 0.8
"""Least similarity (0 to 1) of a name to one of ALIASES to count as a misspelling."""


def find_columns(
    what: str,
    found: list[str],
    asked: dict[str, str | None],
    values: Callable[[int], list[str]],
) -> dict[str, int]:
    """Return the place of each column that is found, by the keys of ALIASES.

    Parameters
    ----------
    what
        The name of the list in messages.
    found
        The names of its columns.
    asked
        Names from the settings (`labels.columns`); None for columns to recognise.
    values
        Returns some values of the column at a place.

    Raises
    ------
    SkymillError
        When a column that is required, or that the user names, does not occur exactly once.
    """
    places = {}
    for column, aliases in ALIASES.items():
        name = asked.get(column)
        known = [name] if name is not None else _recognised(found, aliases)
        count = sum(other in known for other in found)
        if count == 1:
            places[column] = next(place for place, other in enumerate(found) if other in known)
        elif count > 1:
            raise SkymillError(
                f"{what} has more than one column {' or '.join(known)}. Rename the other columns, "
                f"or name the right column in labels.columns. {_shown(found)}"
            )
        elif name is not None:
            raise SkymillError(
                f"{what} has no column {name}, which labels.columns.{column} names."
                f"{_meant([name], found)} {_shown(found)}"
            )
        elif column == "object" and (index := _index_of_objects(found, values)) is not None:
            places[column] = index
        elif column in REQUIRED:
            raise SkymillError(_not_found(what, column, found))
    if len({*places.values()}) < len(places):
        said = ", ".join(f"{column}: {found[place]}" for column, place in places.items())
        raise SkymillError(f"{what}: one column is used twice ({said}). Correct labels.columns.")
    return places


def alike(found: list[str], column: str) -> list[str]:
    """Return the names that may be misspellings of a column of ALIASES."""
    keys = [_key(alias) for alias in ALIASES[column]]
    return [
        name for name in found if difflib.get_close_matches(_key(name), keys, n=1, cutoff=_ALIKE)
    ]


def _recognised(found: list[str], aliases: tuple[str, ...]) -> list[str]:
    """Return the first alias that is found, in the spellings that are found."""
    for alias in aliases:
        if alias in found:
            return [alias]
    for alias in aliases:
        if same := [name for name in found if _key(name) == _key(alias)]:
            return same
    return []


def _key(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _index_of_objects(found: list[str], values: Callable[[int], list[str]]) -> int | None:
    """Return the place of an index column that contains names of objects."""
    for place, name in enumerate(found):
        if name in _INDEX:
            some = [value for value in values(place) if value]
            named = sum(bool(re.fullmatch(ZTF_NAME, value, re.I)) for value in some)
            if some and named > len(some) / 2:
                return place
    return None


def _not_found(what: str, column: str, found: list[str]) -> str:
    expected = "; ".join(
        f"{' or '.join(aliases)} ({'required' if key in REQUIRED else 'optional'})"
        for key, aliases in ALIASES.items()
    )
    if any(re.fullmatch(ZTF_NAME, name, re.I) for name in found):
        advice = "Its first line is a row of data: add a line with the names of the columns above"
    else:
        advice = f"Name the column in labels.columns.{column}, or rename it"
    return (
        f"{what} has no column of the {column}.{_meant(alike(found, column), found)} "
        f"{_shown(found)} {advice}. Names that are recognised, with commas between the columns: "
        f"{expected}."
    )


def _meant(names: list[str], found: list[str]) -> str:
    close = [match for name in names for match in difflib.get_close_matches(name, found, n=3)]
    return f" Is {' or '.join(dict.fromkeys(close))} meant?" if close else ""


def _shown(found: list[str]) -> str:
    return f"Found columns: {', '.join(found)[:500] or 'nothing'}."
