"""docs/data-dictionary.md as tables, and their comparison with the files of a finished run."""

import csv
import fnmatch
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zarr

from skymill.magnetic.schema import PARAMETERS
from skymill.swan_sf.schema import PARAMETERS as SWAN_SF_PARAMETERS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "data-dictionary.md"

WORDS = {
    "categories": pa.dictionary(pa.int8(), pa.string()),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "date32[day]": pa.date32(),
    "timestamp[ms]": pa.timestamp("ms"),
    "timestamp[ns]": pa.timestamp("ns"),
}

TABLE = re.compile(r"^\| (?:column|array) \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)
BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")


def tables(*, is_swan_sf: bool) -> dict[str, dict[str, str]]:
    """Return the columns of each file on the page, with the names of their types.

    Files are patterns below the results folder. `*` replaces a placeholder such as {night}.
    """
    return _tables(PAGE.read_text(encoding="utf-8"), is_swan_sf)


def _tables(text: str, is_swan_sf: bool) -> dict[str, dict[str, str]]:
    found = {}
    for heading, section in re.findall(r"^#{2,3} (.*)\n((?:(?!#{2,3} ).*\n)*)", text, re.MULTILINE):
        for table in TABLE.findall(section):
            rows = [
                [cell.strip() for cell in line[1:-1].split(" | ")] for line in table.splitlines()
            ]
            for path in re.findall(r"`data/([^`]+)`", heading):
                for file in expanded(path):
                    found[_pattern(file)] = rows
    return {file: dict(_columns(rows, found, is_swan_sf)) for file, rows in found.items()}


def _columns(rows, found, is_swan_sf):
    for names, *rest in rows:
        kind, meaning = (rest[0] if len(rest) > 1 else ""), rest[-1]
        if ("SWAN-SF only" in meaning and not is_swan_sf) or (
            "not of SWAN-SF" in meaning and is_swan_sf
        ):
            continue
        if names.startswith("the columns of"):
            other = re.search(r"`data/([^`]+)`", names)[1]
            left_out = names.partition(" but ")[2]
            for name, type_ in _columns(found[_pattern(other)], found, is_swan_sf):
                if name != left_out:
                    yield name, type_
            continue
        listed = expanded_names(names, is_swan_sf)
        kinds = kind.split(", ") if not re.match(r"\d", kind) else [kind]
        if len(kinds) == 1:
            kinds *= len(listed)
        yield from zip(listed, kinds, strict=True)


def expanded_names(names: str, is_swan_sf: bool) -> list[str]:
    """Return the columns that a cell of the page names."""
    parameters = SWAN_SF_PARAMETERS if is_swan_sf else PARAMETERS
    if names == "the 33 parameters":
        return list(parameters)
    if names == "the 24 parameters":
        return list(SWAN_SF_PARAMETERS)
    if "{parameter}" in names:
        return [names.replace("{parameter}", parameter) for parameter in parameters]
    return [name for part in re.split(r", (?![^{]*\})", names) for name in expanded(part)]


def expanded(text: str) -> list[str]:
    """Expand braces as a shell does: a{b,c} and a{00..20}."""
    match = BRACES.search(text)
    if match is None:
        return [text]
    first, last, listed = match.groups()
    choices = (
        listed.split(",")
        if listed
        else [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
    )
    whole = (f"{text[: match.start()]}{choice}{text[match.end() :]}" for choice in choices)
    return list(itertools.chain.from_iterable(map(expanded, whole)))


def _pattern(path: str) -> str:
    path = re.sub(r"\{\w+\}", "*", path)
    return f"{path}*.parquet" if path.endswith("/") else path


def is_type(word: str, type_: pa.DataType) -> bool:
    """Return whether an Arrow type agrees with the page."""
    if word == "categories":
        return pa.types.is_dictionary(type_) and type_.value_type == pa.string()
    if many := re.fullmatch(r"list of (\w+)", word):
        return pa.types.is_list(type_) and is_type(many[1], type_.value_type)
    if many := re.fullmatch(r"([\d,]+) (float32)", word):
        number = int(many[1].replace(",", ""))
        return pa.types.is_fixed_size_list(type_) and (type_.list_size, type_.value_type) == (
            number,
            WORDS[many[2]],
        )
    if size := re.fullmatch(r"(\d+) bytes", word):
        return type_ == pa.binary(int(size[1]))
    return type_ == (WORDS.get(word) or pa.type_for_alias(word))


def compare(results: Path, *, is_swan_sf: bool = False) -> set[str]:
    """Check that the page and the files of a run have the same columns of the same types.

    Returns the patterns of the page that no file of the run has.
    """
    pages = tables(is_swan_sf=is_swan_sf)
    unmet, wrong = set(pages), []
    for name, path in _files(results):
        pattern = next((one for one in pages if fnmatch.fnmatchcase(name, one)), None)
        if pattern is None:
            wrong.append(f"{name} is not in the dictionary")
            continue
        unmet.discard(pattern)
        page, made = pages[pattern], _made(path)
        wrong += [f"{name}: {column} is not in the dictionary" for column in made.keys() - page]
        wrong += [f"{name} has no column {column}" for column in page.keys() - made]
        wrong += [
            f"{name}: {column} is {made[column]}, the dictionary says {page[column]}"
            for column in page.keys() & made
            if made[column] is not None and not is_type(page[column], made[column])
        ]
    assert wrong == []
    return unmet


def _files(results: Path) -> Iterator[tuple[str, Path]]:
    """Yield each table below a results folder by its name, without the tables of documents."""
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        if name.startswith(("raw/", "sample/")) or ".manifest.members." in name:
            continue
        if path.suffix in (".parquet", ".csv", ".zarr"):
            yield name, path


def _made(path: Path) -> dict[str, pa.DataType | None]:
    """Return the columns of a table with their types; those of a text have none."""
    if path.suffix == ".csv":
        with open(path, encoding="utf-8", newline="") as stream:
            return dict.fromkeys(next(csv.reader(stream)))
    if path.suffix == ".zarr":
        arrays = zarr.open(path, mode="r").arrays()
        return {name: _zarr_type(array.dtype) for name, array in arrays}
    schema = pq.read_schema(path)
    return dict(zip(schema.names, schema.types, strict=True))


def _zarr_type(dtype) -> pa.DataType:
    return pa.string() if dtype.kind == "T" else pa.from_numpy_dtype(dtype)
