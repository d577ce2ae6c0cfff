"""Ingest: read the published CSV, and write typed rows and a quarantine of rejected lines."""

import csv
import json
import logging
from collections import Counter
from pathlib import Path

import pyarrow as pa

from skymill.engine.errors import SkymillError
from skymill.engine.gzipped import is_gzipped, opened
from skymill.engine.products import new_file
from skymill.engine.tables import write_table
from skymill.stealth.schema import COLUMNS, LARGEST_COUNT, SCHEMA, Column

logger = logging.getLogger(__name__)

BEGINNING_CHARACTERS = 160
"""The quarantine shows so much of a rejected line."""


MOST_BYTES = 2 * 10**6
"""The largest size of the file after unpacking: a few kB may unpack to gigabytes. The published
file has 36 kB."""


LONGEST_COUNT = 18
"""The most digits of a count: Python refuses to read very long texts as numbers."""


class RejectedLine(Exception):
    """A line that is no row. Lines are counted by `reason`; `detail` describes the error."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def ingest(raw: Path, rows: Path, quarantine: Path) -> dict:
    """Read the published file and write its two products.

    Parameters
    ----------
    raw
        CSV, which may be gzipped. The first line has the column names, in any order.
    rows
        Parquet, see schema.SCHEMA: the valid rows in file order, including equal rows.
    quarantine
        JSON lines, one per rejected line: file, line (from 1), reason, detail, beginning.

    Returns
    -------
    The manifest's `files` and `counts` (lines = valid + rejected + blank; the line of column names
    does not count).

    Raises
    ------
    SkymillError
        When the file is no CSV with these columns, or its gzip stream is damaged.
    """
    # Not splitlines(), which would also cut at separators inside a field.
    lines = _content(raw).decode("utf-8-sig", "replace").rstrip("\r\n").split("\n")
    header = next((number for number, line in enumerate(lines) if line.strip()), None)
    order = _column_order(raw, "" if header is None else lines[header])
    valid, rejected, blank = [], [], 0
    for number, line in enumerate(lines[header + 1 :], start=header + 2):
        if not line.strip():
            blank += 1
            continue
        try:
            valid.append(parse_line(line, order))
        except RejectedLine as why:
            rejected.append(
                {
                    "file": raw.name,
                    "line": number,
                    "reason": why.reason,
                    "detail": why.detail,
                    "beginning": line[:BEGINNING_CHARACTERS].rstrip("\r"),
                }
            )
    columns = zip(*valid, strict=True) if valid else [()] * len(COLUMNS)
    table = pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)],
        schema=SCHEMA,
    )
    with new_file(quarantine) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for entry in rejected:
            stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
    logger.info("%d rows, %d lines rejected, %d blank", len(valid), len(rejected), blank)
    return {
        "files": [write_table(rows, table)],
        "counts": {
            "lines": len(valid) + len(rejected) + blank,
            "valid": len(valid),
            "rejected": len(rejected),
            "blank": blank,
            "rejected_by_reason": dict(sorted(Counter(e["reason"] for e in rejected).items())),
        },
    }


def _content(raw: Path) -> bytes:
    """Return the content of a plain or gzipped file."""
    is_packed = is_gzipped(raw)
    with opened(raw) if is_packed else open(raw, "rb") as text:
        content = text.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        has = "unpacks to" if is_packed else "has"
        raise SkymillError(
            f"{raw} {has} more than {MOST_BYTES / 1e6:,.0f} MB: it is another table, or damaged. "
            "Replace it."
        )
    return content


def parse_line(line: str, order: list[int]) -> list[str | int]:
    """Return the values of a line in the order of schema.COLUMNS.

    `order` has each column's place in the line.

    Raises
    ------
    RejectedLine
        When the number of fields is wrong, a code is unknown, or a count is not a count.
    """
    fields = _fields(line)
    if len(fields) != len(order):
        raise RejectedLine("wrong_fields", f"{len(fields)} fields instead of {len(order)}")
    return [_value(column, fields[place]) for column, place in zip(COLUMNS, order, strict=True)]


def _value(column: Column, text: str) -> str | int:
    if column.meanings is None:
        # isdecimal() is true for the digits of other scripts as well.
        is_count = text.isascii() and text.isdecimal() and len(text) <= LONGEST_COUNT
        if not is_count or int(text) > LARGEST_COUNT:
            raise RejectedLine("not_a_count", f"{column.name} is {text[:100]!r}, which is no count")
        return int(text)
    if text not in column.meanings:
        known = ", ".join(column.meanings)
        raise RejectedLine("unknown_code", f"{column.name} is {text[:100]!r}, not one of {known}")
    return int(text) if text.isdecimal() else text


def _fields(line: str) -> list[str]:
    try:
        (fields,) = csv.reader([line.rstrip("\r")])
    except csv.Error as error:
        raise RejectedLine("wrong_fields", str(error)) from None
    return [field.strip() for field in fields]


def _column_order(raw: Path, line: str) -> list[int]:
    """Return the place of each of schema.COLUMNS in the line of column names."""
    try:
        found = [Column(name, "").name for name in _fields(line)]
    except RejectedLine:
        found = [line]
    expected = [column.name for column in COLUMNS]
    if sorted(found) == sorted(expected):
        return [found.index(name) for name in expected]
    start = line.lstrip()[:1]
    if not line.strip():
        what = "is empty"
    elif start == "<":
        what = "is an HTML page, not CSV: an error page saved as data?"
    elif start in ("{", "["):
        what = "is JSON, not CSV: an error message saved as data?"
    else:
        what = "is another table: its columns are not those of the published file"
    shown = ", ".join(line.strip().split(","))[:300] or "none"
    raise SkymillError(
        f"{raw} {what}. Found in its first line: {shown}. Expected columns: "
        f"{', '.join(column.raw_name for column in COLUMNS)}. Replace it with data.csv of the "
        "Kaggle data set stealthtechnologies/solar-flares-dataset."
    )
