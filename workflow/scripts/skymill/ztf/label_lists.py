"""Read the rows of a list of labelled objects: each line of a text, or row of Parquet, is one row.

A line is always one row. So an unclosed quotation mark costs only its own line.
"""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skymill.engine.errors import SkymillError
from skymill.engine.gzipped import TOO_MUCH, most_bytes
from skymill.ztf.classes import MEMBERS
from skymill.ztf.label_columns import ALIASES, alike, find_columns
from skymill.ztf.label_files import is_parquet, open_list
from skymill.ztf.object_ids import OBJECT_ID, ztf_name

SCHEMA = pa.schema(
    {
        "object": pa.string(),
        "class": pa.string(),
        "probability": pa.float64(),
        "classifier": pa.string(),
        "ranking": pa.float64(),
    }
)
"""Columns that are read from a list. Object and class are required; other values may be null."""

BLOCK_BYTES = 8 * 2**20
"""Bytes that are read at a time. So only the kept rows need memory that grows with the list."""

LEAST_ROW = 8
"""Minimum bytes of a row with a label. This limits the rows of a packed list of a given size."""

LONGEST_VALUE = 2_000
"""Maximum bytes of a Parquet value. Parquet can repeat a value without extra bytes. Names and
classes are shorter."""

MOST_COLUMNS = 1_000
"""Maximum number of columns of a list. A list with 100 features per object has fewer."""

LONGEST_LINE = 2**20
"""Maximum number of bytes of a line; longer lines are rejected."""

KEPT_REJECTS = 100_000
"""Rejected rows that are listed one by one; further rows are only counted."""

OUTSIDE = "probability_outside"
"""The reason of rows whose probability is not between 0 and 1."""

ROUNDING = 1e-6
"""How far outside 0 to 1 a probability may be because of rounding; it is clipped to 0 or 1."""

_BEGINNING = 160
"""Characters of a rejected row that are shown."""

_HEAD_ROWS = 100
"""Rows whose values are checked to find the content of a column."""

_NO_TEXT = "\ufffd"
"""Replaces bytes that are not UTF-8."""

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
# Spreadsheets read texts that begin with one of these signs as formulas, except numbers.
_NO_LETTERS = r"\x00-\x1f\x7f" + _NO_TEXT
_CLASS = rf"[^=+@\-{_NO_LETTERS}][^{_NO_LETTERS}]{{0,99}}|-|{_NUMBER}"


class RejectedRow(NamedTuple):
    """A row that is rejected.

    `line` is its line number (the line of the column names is 1), `reason` a word for counting,
    and `detail` a description.
    """

    line: int
    reason: str
    detail: str


@dataclass
class LabelList:
    """The content of a list.

    Attributes
    ----------
    name
        The name of the file or member.
    columns
        The name of each column that is read, by the keys of label_columns.ALIASES.
    lines, blank
        Number of rows, accepted and rejected: all lines except the column names and blank lines.
        And the number of blank lines.
    rows
        The accepted rows, see SCHEMA.
    rejected
        Number of rejected rows, by reason.
    rejects
        The first rejected rows.
    doubts
        Columns that are not read, although their names are similar to an optional column:
        {name: column}.
    """

    name: str
    columns: dict[str, str]
    lines: int = 0
    blank: int = 0
    rows: pa.Table = field(default_factory=SCHEMA.empty_table)
    rejected: Counter = field(default_factory=Counter)
    rejects: list[RejectedRow] = field(default_factory=list)
    doubts: dict[str, str] = field(default_factory=dict)

    def has(self, column: str) -> bool:
        """Return whether the list has a column."""
        return column in self.columns

    def reject(self, line: int, reason: str, detail: str) -> None:
        """Count a rejected row."""
        self.rejected[reason] += 1
        if len(self.rejects) < KEPT_REJECTS:
            self.rejects.append(RejectedRow(line, reason, detail))


def read_list(raw: Path, source: str, asked: dict[str, str | None] | None = None) -> LabelList:
    """Read the columns that are needed.

    Parameters
    ----------
    raw
        A CSV with a line of column names, also gzipped; a Parquet file; or a gzipped tarball with
        the members of classes.MEMBERS, at any depth.
    source
        The member of the tarball, a key of MEMBERS; ignored for other files.
    asked
        Names of columns, see label_columns.find_columns.

    Raises
    ------
    SkymillError
        When the file is damaged, cannot be read to its end, does not contain the member, or has
        other columns.
    """
    asked = asked or {}
    if is_parquet(raw):
        return _read_parquet(raw, asked)
    with open_list(raw, MEMBERS[source]) as (name, stream):
        return _read_text(raw, name, stream, asked)


def _read_text(raw: Path, name: str, stream: BinaryIO, asked: dict) -> LabelList:
    blocks = _lines(stream)
    first = next(blocks, [])
    number, found = _column_names(first)
    first = first[number:]
    head = [line for line in first[: 10 * _HEAD_ROWS] if line.strip()][:_HEAD_ROWS]

    def values(place: int) -> list[str]:
        rows = [_fields(line) for line in head]
        return [row[place] for row in rows if row and place < len(row)]

    what = str(raw) if name == raw.name else f"{raw}: {name}"
    listed, places = _begin(what, name, found, asked, values)
    batches, most = [], most_bytes(raw.stat().st_size)
    for lines in itertools.chain([first], blocks):
        if listed.lines * LEAST_ROW > most:
            raise SkymillError(f"{what} {TOO_MUCH}. Replace it.")
        batches.append(_read_lines(lines, number + 1, len(found), places, listed))
        number += len(lines)
    listed.rows = pa.Table.from_batches(batches, SCHEMA)
    return listed


def _read_parquet(raw: Path, asked: dict) -> LabelList:
    import pyarrow.parquet as pq

    batches, begin = [], 1
    try:
        names = [field.name for field in pq.read_schema(raw) if _is_text(field.type)]
        # Read texts as dictionaries: a repeated value needs its memory once.
        with pq.ParquetFile(raw, page_checksum_verification=True, read_dictionary=names) as file:
            found = file.schema_arrow.names

            def values(place: int) -> list[str]:
                column = found[place]
                some = next(file.iter_batches(_HEAD_ROWS, columns=[column]), {column: pa.array([])})
                return _texts(some[column]).to_pylist()

            listed, places = _begin(str(raw), raw.name, found, asked, values)
            for batch in file.iter_batches(columns=[found[place] for place in places.values()]):
                listed.lines += len(batch)
                columns = {column: _texts(batch[found[place]]) for column, place in places.items()}
                numbers = np.arange(begin, begin + len(batch))
                batches.append(_check(columns, numbers, listed))
                begin += len(batch)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            raise
        raise SkymillError(
            f"{raw} cannot be read as Parquet ({error}). It may be cut off or damaged, or a column "
            "is neither text nor number. Fetch or write it again."
        ) from error
    listed.rows = pa.Table.from_batches(batches, SCHEMA)
    return listed


def _begin(what, name, found, asked, values) -> tuple[LabelList, dict[str, int]]:
    """Return a list without rows, and the places of its columns."""
    if len(found) > MOST_COLUMNS:
        raise SkymillError(
            f"{what} has {len(found):,} columns, more than {MOST_COLUMNS:,}. It is not a list of "
            "labels. Replace it."
        )
    places = find_columns(what, found, asked, values)
    columns = {column: found[place] for column, place in places.items()}
    others = [other for place, other in enumerate(found) if place not in places.values()]
    doubts = {
        other: column
        for column in ALIASES
        if column not in places
        for other in alike(others, column)
    }
    return LabelList(name, columns, doubts=doubts), places


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)


def _texts(column: pa.Array) -> pa.Array:
    """Return the values of a Parquet column as text; missing values are empty texts."""
    if pa.types.is_dictionary(column.type):
        longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
        if longest > LONGEST_VALUE:
            raise pa.ArrowInvalid(f"a value has {longest:,} bytes, more than {LONGEST_VALUE:,}")
    return pc.fill_null(column.cast(pa.string()), "")


def _lines(stream: BinaryIO) -> Iterator[list[bytes]]:
    """Yield the lines of a stream, block by block; of a too long line only the beginning."""
    rest, end = b"", None
    while block := stream.read(BLOCK_BYTES):
        # Old Macs end lines with a carriage return alone.
        end = end or (b"\r" if b"\r" in block and b"\n" not in block else b"\n")
        *lines, rest = (rest + block).split(end)
        rest = rest[: LONGEST_LINE + 1]
        if lines:
            yield lines
    if rest:
        yield [rest]


def _column_names(lines: list[bytes]) -> tuple[int, list[str]]:
    """Return the number of the line with the names of the columns, and the names."""
    number = next((place for place, line in enumerate(lines, 1) if line.strip()), 0)
    line = lines[number - 1] if number else b""
    text = line.removeprefix(b"\xef\xbb\xbf")
    return number, [name.strip() for name in _fields(text) or [repr(line[:100])[2:-1]]]


def _fields(line: bytes) -> list[str] | None:
    """Return the fields of a line, None if its quotation marks do not match."""
    try:
        (found,) = csv.reader([line.decode("utf-8", "replace").strip()], strict=True)
    except (csv.Error, ValueError):
        return None
    return found


def _read_lines(
    lines: list[bytes], number: int, width: int, places: dict[str, int], listed: LabelList
) -> pa.RecordBatch:
    """Return the labels of some lines; `number` is the number of the first line."""
    plain, plain_numbers = [], []
    quoted, quoted_numbers = [], []
    for place, line in enumerate(lines, number):
        text = line.strip()
        if not text:
            listed.blank += 1
            continue
        listed.lines += 1
        if len(line) > LONGEST_LINE:
            listed.reject(place, "too_long", f"more than {LONGEST_LINE:,} bytes: {_shown(text)}")
        elif b'"' in text or b"\r" in text:
            fields = _fields(text)
            if fields is None:
                listed.reject(place, "stray_quote", f"a quotation mark is alone: {_shown(text)}")
            elif len(fields) != width:
                listed.reject(place, "wrong_fields", _wrong_fields(len(fields), width, text))
            else:
                quoted.append(fields)
                quoted_numbers.append(place)
        elif text.count(b",") != width - 1:
            fields = text.count(b",") + 1
            listed.reject(place, "wrong_fields", _wrong_fields(fields, width, text))
        else:
            plain.append(text)
            plain_numbers.append(place)
    table = _split(plain, width, places)
    columns = {
        column: pa.concat_arrays(
            [table[column], pa.array([row[place] for row in quoted], pa.string())]
        )
        for column, place in places.items()
    }
    return _check(columns, np.array(plain_numbers + quoted_numbers, int), listed)


def _split(lines: list[bytes], width: int, places: dict[str, int]) -> dict[str, pa.Array]:
    """Return the columns of lines that have no quotation marks and the right number of fields."""
    from pyarrow import csv as arrow_csv

    if not lines:
        return dict.fromkeys(places, pa.array([], pa.string()))
    text = b"\n".join(lines)
    if not text.isascii():
        text = text.decode("utf-8", "replace").encode()
    # Columns are named by their place, because names may be missing or occur twice.
    names = [str(place) for place in range(width)]
    table = arrow_csv.read_csv(
        pa.BufferReader(text),
        read_options=arrow_csv.ReadOptions(
            column_names=names, block_size=len(text) + 1, use_threads=False
        ),
        parse_options=arrow_csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=[names[place] for place in places.values()],
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
        ),
    ).combine_chunks()
    return {column: table[names[place]].chunk(0) for column, place in places.items()}


def _shown(text: bytes) -> str:
    return text[:_BEGINNING].decode("utf-8", "replace")


def _wrong_fields(count: int, width: int, text: bytes) -> str:
    return f"{count} fields instead of {width}: {_shown(text)}"


def _check(columns: dict[str, pa.Array], numbers: np.ndarray, listed: LabelList) -> pa.RecordBatch:
    """Return the rows of text that are labels; `numbers` are the lines of the rows."""
    texts = {column: pc.ascii_trim_whitespace(values) for column, values in columns.items()}
    fine = pc.and_(_match(texts["object"], OBJECT_ID), _match(texts["class"], _CLASS))
    values = {"object": texts["object"], "class": texts["class"]}
    for column in ("probability", "ranking"):
        values[column] = pa.nulls(len(fine), pa.float64())
        if column in texts:
            values[column], valid = _numbers(texts[column])
            fine = pc.and_(fine, valid)
    if "probability" in texts:
        known = values["probability"]
        inside = pc.and_(pc.greater_equal(known, -ROUNDING), pc.less_equal(known, 1 + ROUNDING))
        fine = pc.and_(fine, pc.fill_null(inside, True))
        clipped = pc.max_element_wise(pc.min_element_wise(known, 1.0), 0.0)
        values["probability"] = pc.if_else(pc.is_valid(known), clipped, None)
    values["classifier"] = texts.get("classifier", pa.nulls(len(fine), pa.string()))
    batch = pa.record_batch([values[name] for name in SCHEMA.names], schema=SCHEMA)
    if pc.all(fine).as_py() is not False:
        return batch
    wrong = pc.invert(fine)
    rows = pa.table(texts).filter(wrong).to_pylist()
    for line, row in zip(numbers[wrong.to_numpy(zero_copy_only=False)].tolist(), rows, strict=True):
        listed.reject(line, *_why(row))
    return batch.filter(fine)


def _match(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(texts, f"^(?:{pattern})$")


def _numbers(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return texts as numbers (null if missing), and which texts are numbers or missing."""
    is_number = _match(texts, _NUMBER)
    missing = _match(texts, "(?i:nan)?")
    # Arrow does not accept a plus sign.
    digits = pc.replace_substring_regex(pc.if_else(is_number, texts, None), "^[+]", "")
    return digits.cast(pa.float64()), pc.or_(is_number, missing)


def _why(row: dict[str, str]) -> tuple[str, str]:
    """Return why a row is rejected: a word for counting, and a description."""
    shown = ", ".join(row.values())[:_BEGINNING]
    name, label = row["object"], row["class"]
    for column, text in (("object", name), ("class", label)):
        if not text:
            return f"no_{column}", f"the {column} is empty: {shown}"
        if _NO_TEXT in text:
            return "not_text", f"the {column} is not UTF-8: {shown}"
    if not re.fullmatch(OBJECT_ID, name):
        meant = ztf_name(name)
        hint = f", ZTF writes {meant}" if meant else ""
        return "bad_object", f"{name[:100]!r} is no name of an object{hint}: {shown}"
    if not re.fullmatch(_CLASS, label):
        return "bad_class", f"{label[:100]!r} is no class: {shown}"
    probability = row.get("probability", "")
    if not re.fullmatch(f"{_NUMBER}|(?i:nan)?", probability):
        return "bad_probability", f"the probability is {probability!r}: {shown}"
    if probability and not -ROUNDING <= float(probability) <= 1 + ROUNDING:
        return OUTSIDE, f"the probability {probability} is not between 0 and 1: {shown}"
    return "bad_ranking", f"the ranking is {row['ranking']!r}: {shown}"
