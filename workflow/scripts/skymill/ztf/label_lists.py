"""Read lists of labelled objects: a plain CSV, or a member of the published tarball as a stream."""

import codecs
import contextlib
import csv
import io
import math
import string
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from skymill.engine.errors import SkymillError
from skymill.ztf.classes import MEMBERS

ALIASES = {
    "object_id": ("oid", "objectId", "object_id"),
    "alerce_class": ("predicted_class", "classALeRCE", "class"),
    "probability": ("predicted_class_proba", "probability"),
}
"""Names that lists of this kind have for the columns that are read, the first found is taken."""

_OPTIONAL = "probability"

_NO_TEXT = "\ufffd"
"""Stands in place of what is not UTF-8."""

SCHEMA = pa.schema(
    {"object_id": pa.string(), "alerce_class": pa.string(), "probability": pa.float64()}
)
"""What is kept of a list."""

BLOCK_BYTES = 8 * 2**20
"""Read at a time, so memory does not depend on the length of a list but for the rows kept."""

_LONGEST_HEADER = 2**20


@dataclass(frozen=True)
class BadRow:
    """A row that is no label: `reason` is a word for counting, `detail` says what is wrong."""

    reason: str
    detail: str


@dataclass(frozen=True)
class LabelList:
    """What a list says.

    Attributes
    ----------
    name
        Of the file or member.
    rows
        See SCHEMA; a probability is null where there is none. In the order of the list.
    bad
        The rows that are not among them.
    has_probability
        Whether the list has a column of probabilities.
    """

    name: str
    rows: pa.Table
    bad: list[BadRow]
    has_probability: bool


def read_list(raw: Path, source: str) -> LabelList:
    """Read the columns that are needed.

    Parameters
    ----------
    raw
        A CSV with a line of column names, or the tarball with the members of classes.MEMBERS, at
        any depth.
    source
        Which member of the tarball, a key of MEMBERS; a plain CSV is read whatever it is.

    Raises
    ------
    SkymillError
        When the file cannot be read to its end, lacks the member, or has other columns.
    """
    try:
        with _open(raw, MEMBERS[source]) as (name, stream):
            return _read(raw, name, stream)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SkymillError(
            f"{raw} cannot be read to its end ({error}): is it cut off or damaged? Fetch it again, "
            f"or put {MEMBERS[source]} there as a plain CSV."
        ) from error


@contextlib.contextmanager
def _open(raw: Path, wanted: str) -> Iterator[tuple[str, io.BufferedIOBase]]:
    """Yield name and content of the list: the file itself, or the wanted member of a tarball."""
    with open(raw, "rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
    if not compressed:
        with open(raw, "rb") as stream:
            yield raw.name, stream
        return
    from isal import igzip

    met = []
    with igzip.open(raw) as inflated, tarfile.open(fileobj=inflated, mode="r|") as archive:
        # One pass: members before the list are inflated and dropped, those behind it not even read.
        for entry in archive:
            if not entry.isfile():
                continue
            if Path(entry.name).name == wanted:
                yield wanted, io.BufferedReader(archive.extractfile(entry), 2**20)
                return
            met.append(entry.name)
    raise SkymillError(
        f"{raw} does not hold {wanted}. Found in it: {', '.join(met) or 'no file at all'}. Replace "
        "it with files_for_lc_classifier_SanchezSaez2020.tar.gz of Zenodo 4279623."
    )


def _read(raw: Path, name: str, stream: io.BufferedIOBase) -> LabelList:
    from pyarrow import csv as arrow_csv

    found = _column_names(stream.readline(_LONGEST_HEADER))
    places = _places(raw, name, found)
    # Columns go by their place, since names may be missing or occur twice.
    columns = [str(place) for place in range(len(found))]
    bad: list[BadRow] = []

    def skip(row):
        text = f"{row.actual_columns} fields instead of {row.expected_columns}: {row.text[:160]}"
        bad.append(BadRow("wrong_fields", text))
        return "skip"

    batches = []
    try:
        reader = arrow_csv.open_csv(
            pa.PythonFile(_Text(stream), "r"),
            # One thread: reading waits for inflate anyhow.
            read_options=arrow_csv.ReadOptions(
                column_names=columns, block_size=BLOCK_BYTES, use_threads=False
            ),
            parse_options=arrow_csv.ParseOptions(invalid_row_handler=skip),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=[columns[place] for place in places.values()],
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=False,
            ),
        )
        for batch in reader:
            batches.append(_check(batch.rename_columns(list(places)), bad))
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise SkymillError(
                f"{raw}: {name} is no CSV that can be read: {error}. Mend or replace it."
            ) from error
    return LabelList(name, pa.Table.from_batches(batches, SCHEMA), bad, _OPTIONAL in places)


class _Text(io.RawIOBase):
    """A stream in which what is not UTF-8 is replaced, so that it costs its row and not the list.

    Arrow fails on it, and loses count where such a row has too few fields.
    """

    def __init__(self, stream: io.BufferedIOBase):
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = BLOCK_BYTES) -> bytes:
        """Return the next bytes, `size` at most, which Arrow relies on; none at the end."""
        while not self._ready:
            content = self._stream.read(size)
            waiting, _ = self._decoder.getstate()
            if content.isascii() and not waiting:
                self._ready = content
            else:
                self._ready = self._decoder.decode(content, final=not content).encode()
            if not content:
                break
        part, self._ready = self._ready[:size], self._ready[size:]
        return part


def _column_names(line: bytes) -> list[str]:
    try:
        text = line.decode("utf-8-sig")
        (found,) = csv.reader([text.rstrip("\r\n")])
    except (UnicodeDecodeError, csv.Error, ValueError):
        return [repr(line[:100])]
    return [name.strip() for name in found]


def _places(raw: Path, name: str, found: list[str]) -> dict[str, int]:
    """Return the place of each column that is read, told by the line of names."""
    places = {}
    for column, aliases in ALIASES.items():
        known = next((alias for alias in aliases if alias in found), None)
        if known is not None and found.count(known) == 1:
            places[column] = found.index(known)
        elif known is not None or column != _OPTIONAL:
            expected = "; ".join(
                f"{' or '.join(each)} ({'optional' if key == _OPTIONAL else 'required'})"
                for key, each in ALIASES.items()
            )
            shown = ", ".join(found)[:500] or "nothing"
            what = f"has no {column}" if known is None else f"has {known} more than once"
            raise SkymillError(
                f"{raw}: {name} {what}. Found columns: {shown}. Expected columns, with commas "
                f"between them: {expected}. Rename its columns, or replace it with a list of "
                "Zenodo 4279623."
            )
    return places


def _check(batch: pa.RecordBatch, bad: list[BadRow]) -> pa.RecordBatch:
    """Return the valid rows of a batch as text and numbers; the others go to `bad`."""
    try:
        texts = [pc.ascii_trim_whitespace(column) for column in batch.columns]
        values = dict(zip(batch.schema.names, texts, strict=True))
        probability = pa.nulls(len(batch), pa.float64())
        if _OPTIONAL in values:
            known = pc.if_else(pc.equal(values[_OPTIONAL], ""), None, values[_OPTIONAL])
            probability = known.cast(pa.float64())
    except pa.ArrowInvalid:
        return _check_one_by_one(batch, bad)
    probability = pc.if_else(pc.is_nan(probability), None, probability)
    inside = pc.and_(pc.greater_equal(probability, 0), pc.less_equal(probability, 1))
    fine = pc.fill_null(inside, True)
    for column in ("object_id", "alerce_class"):
        fine = pc.and_(fine, pc.not_equal(values[column], ""))
        fine = pc.and_(fine, pc.invert(pc.match_substring(values[column], _NO_TEXT)))
    # Judged again, row by row, to say what is wrong with which.
    if not pc.all(fine).as_py():
        return _check_one_by_one(batch, bad)
    columns = [values["object_id"], values["alerce_class"], probability]
    return pa.record_batch(columns, schema=SCHEMA)


def _check_one_by_one(batch: pa.RecordBatch, bad: list[BadRow]) -> pa.RecordBatch:
    """Do what `_check` does for batches that hold a bad row, or numbers that Arrow cannot read."""
    valid = []
    for row in batch.to_pylist():
        try:
            valid.append(_parse_row(row))
        except ValueError as why:
            reason, detail = why.args
            bad.append(BadRow(reason, f"{detail}: {', '.join(row.values())[:160]}"))
    columns = zip(*valid, strict=True) if valid else [()] * len(SCHEMA)
    arrays = [pa.array(each, field.type) for each, field in zip(columns, SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=SCHEMA)


def _parse_row(row: dict[str, str]) -> tuple[str, str, float | None]:
    """Return the values of a row; raise ValueError with reason and detail."""
    texts = {column: text.strip(string.whitespace) for column, text in row.items()}
    for column in ("object_id", "alerce_class"):
        if _NO_TEXT in texts[column]:
            raise ValueError("not_text", f"{column} is not UTF-8")
        if not texts[column]:
            raise ValueError(f"no_{column}", f"{column} is empty")
    text = texts.get(_OPTIONAL, "")
    try:
        probability = float(text.replace("_", "?")) if text else None
    except ValueError:
        raise ValueError("bad_probability", f"probability is {text!r}") from None
    if probability is not None and math.isnan(probability):
        probability = None
    if probability is not None and not 0 <= probability <= 1:
        raise ValueError("bad_probability", f"probability is {text!r}, not between 0 and 1")
    return texts["object_id"], texts["alerce_class"], probability
