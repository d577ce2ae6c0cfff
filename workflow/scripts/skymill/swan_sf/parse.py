"""Parse many windows at a time: regular windows as one text, other windows one by one.

A single window takes twenty times as long as a window in a text of a hundred, because of the
startup of `pyarrow.csv`. So regular windows with the same columns are joined. If their text cannot
be read, it is cut into halves until the wrong window is alone.
"""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.csv

from skymill.swan_sf.members import MAX_BYTES, Member
from skymill.swan_sf.names import WindowName, parse_name
from skymill.swan_sf.noaa import BadNumbersError, parse_numbers
from skymill.swan_sf.schema import PARAMETERS, STEP_SECONDS, STEPS
from skymill.swan_sf.steps import Steps, distinct

REASONS = ("name", "size", "columns", "rows", "values", "times", "repeated")
"""The reasons for which a window is rejected."""

MISSING = ["", "NaN", "nan", "-NaN", "-nan", "NA", "N/A", "None", "null"]
"""The texts of a missing value."""

MOST_COLUMNS = 1_000
"""The most columns of a window. The release has more than 50."""

_TIME, _NOAA, _QUALITY, _TMFI = "Timestamp", "NOAA_AR", "QUALITY", "IS_TMFI"
_REQUIRED = (_TIME, _NOAA, *PARAMETERS)
_TYPES = {
    _TIME: pa.timestamp("s"),
    _NOAA: pa.dictionary(pa.int32(), pa.string()),
    _QUALITY: pa.float64(),
    _TMFI: pa.bool_(),
    **dict.fromkeys(PARAMETERS, pa.float64()),
}
_OFFSETS = np.arange(STEPS, dtype=np.int64) * STEP_SECONDS


@dataclass(frozen=True)
class Rejected:
    """A rejected window: its place and name in the tarball, and the reason (one of REASONS)."""

    number: int
    member: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Window:
    """A valid window; `noaa` are the numbers of all its steps, ascending."""

    number: int
    member: str
    name: WindowName
    noaa: tuple[int, ...]


@dataclass
class Parsed:
    """The content of some members.

    The steps of each element of `steps` are distinct. `infinite` counts values beyond the range of
    float64, which are read as missing.
    """

    windows: list[Window] = field(default_factory=list)
    steps: list[Steps] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    infinite: int = 0


@dataclass(frozen=True)
class _Candidate:
    """A member whose name, times, rows and columns are right: its rows, each with its line end."""

    member: Member
    name: WindowName
    body: bytes


def parse_members(members: list[Member]) -> Parsed:
    """Parse some members. Each member becomes a window or is rejected."""
    parsed = Parsed()
    together: dict[bytes, list[_Candidate]] = {}
    for member in members:
        try:
            header, candidate = _outline(member)
        except _NoWindowError as error:
            parsed.rejected.append(_rejected(member, error))
            continue
        if b'"' in candidate.body:
            # Parsed alone: a stray quotation mark would also quote text of the next window.
            _parse_some(header, [candidate], parsed)
        else:
            together.setdefault(header, []).append(candidate)
    for header, candidates in together.items():
        _parse_some(header, candidates, parsed)
    return parsed


class _NoWindowError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _rejected(member: Member, error: Exception) -> Rejected:
    """Return the rejected window of an error. Errors of other libraries are about its values."""
    reason = error.reason if isinstance(error, _NoWindowError) else "values"
    return Rejected(member.number, member.name, reason, " ".join(f"{error}".split())[:200])


def _outline(member: Member) -> tuple[bytes, _Candidate]:
    """Return the header of a member, and its candidate before the values are read."""
    name = parse_name(member.name)
    if name is None:
        raise _NoWindowError("name", "is not <class>_ar<HARP>_s<start>_e<end>.csv")
    if member.text is None:
        raise _NoWindowError("size", f"has {member.size:,} bytes, more than {MAX_BYTES:,}")
    if name.end - name.start != _OFFSETS[-1]:
        minutes = (name.end - name.start) / 60
        raise _NoWindowError("times", f"its name spans {minutes:g} minutes instead of 708")
    header, _, body = member.text.partition(b"\n")
    if body and not body.endswith(b"\n"):
        body += b"\n"
    rows = body.count(b"\n")
    if rows != STEPS and (b"\n\n" in body or b"\n\r\n" in body):
        body = b"".join(line for line in body.splitlines(keepends=True) if line.strip())
        rows = body.count(b"\n")
    if rows != STEPS:
        raise _NoWindowError("rows", f"has {rows} rows instead of {STEPS}")
    return header.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r"), _Candidate(member, name, body)


def _columns(header: bytes) -> list[str]:
    """Return the names of the columns.

    Raises
    ------
    _NoWindowError
        When a required column is missing or occurs twice.
    """
    count = header.count(b"\t") + 1
    if count > MOST_COLUMNS:
        raise _NoWindowError("columns", f"has {count:,} columns, more than {MOST_COLUMNS:,}")
    columns = [name.strip().strip('"') for name in header.decode("utf-8", "replace").split("\t")]
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise _NoWindowError("columns", f"has no column {', '.join(missing[:5])}")
    twice = [name for name in _TYPES if columns.count(name) > 1]
    if twice:
        raise _NoWindowError("columns", f"has two columns {', '.join(twice[:5])}")
    return columns


def _parse_some(header: bytes, candidates: list[_Candidate], parsed: Parsed) -> None:
    """Parse windows with the same columns as one text."""
    try:
        columns = _columns(header)
    except _NoWindowError as error:
        parsed.rejected += [_rejected(one.member, error) for one in candidates]
        return
    try:
        table = _read(columns, candidates)
        codes, numbers = _numbers(table)
    except (pa.ArrowInvalid, BadNumbersError, _NoWindowError) as error:
        if len(candidates) > 1:
            half = len(candidates) // 2
            _parse_some(header, candidates[:half], parsed)
            _parse_some(header, candidates[half:], parsed)
        else:
            (one,) = candidates
            parsed.rejected.append(_rejected(one.member, error))
        return
    _keep(table, codes, numbers, candidates, parsed)


def _read(columns: list[str], candidates: list[_Candidate]) -> pa.Table:
    """Return the columns that are used, with one row per step of each window."""
    text = b"".join(one.body for one in candidates)
    table = pa.csv.read_csv(
        pa.py_buffer(text),
        # In one block: this module has its own threads, and a second block would be a second chunk.
        pa.csv.ReadOptions(
            use_threads=False, block_size=len(text) + 1, column_names=_unique(columns)
        ),
        pa.csv.ParseOptions(delimiter="\t"),
        pa.csv.ConvertOptions(
            column_types=_TYPES,
            include_columns=[name for name in _TYPES if name in columns],
            null_values=MISSING,
            true_values=["True", "true", "TRUE", "1", "1.0"],
            false_values=["False", "false", "FALSE", "0", "0.0"],
            strings_can_be_null=True,
        ),
    )
    if table.num_rows != STEPS * len(candidates):
        detail = f"has {table.num_rows} rows that are not empty instead of {STEPS}"
        raise _NoWindowError("rows", detail)
    return table


def _unique(columns: list[str]) -> list[str]:
    """Return unique names: pyarrow needs them also for columns that are not read."""
    return [name if name in _TYPES else f"{name}#{place}" for place, name in enumerate(columns)]


def _numbers(table: pa.Table) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Return the NOAA numbers of each row: an index, int32, into a list of sets of numbers."""
    column = table[_NOAA].combine_chunks()
    texts = column.dictionary.to_pylist()
    found: dict[tuple[int, ...], int] = {(): 0}
    places = [found.setdefault(parse_numbers(text), len(found)) for text in texts]
    codes = np.array([*places, 0], np.int32)[_integers(column.indices, -1)]
    return codes, list(found)


def _integers(column: pa.Array, null: int) -> np.ndarray:
    return column.fill_null(null).to_numpy(zero_copy_only=False)


def _keep(
    table: pa.Table,
    codes: np.ndarray,
    numbers: list[tuple[int, ...]],
    candidates: list[_Candidate],
    parsed: Parsed,
) -> None:
    """Keep the windows whose steps are at the times of their names; reject other windows."""
    shape = (len(candidates), STEPS)
    time = table[_TIME].combine_chunks()
    # Long before any step, and never on the grid.
    times = _integers(time.cast(pa.int64()), np.iinfo(np.int64).min).reshape(shape)
    starts = np.array([one.name.start for one in candidates], np.int64)
    wrong = times != starts[:, np.newaxis] + _OFFSETS
    for window in np.flatnonzero(wrong.any(axis=1)).tolist():
        step = int(np.argmax(wrong[window]))
        found = time[window * STEPS + step]
        said = f"row {step + 1} is at {found}" if found.is_valid else f"row {step + 1} has no time"
        detail = f"{said}, not {step * STEP_SECONDS // 60} minutes after the start of its name"
        error = _NoWindowError("times", detail)
        parsed.rejected.append(_rejected(candidates[window].member, error))
    good = np.flatnonzero(~wrong.any(axis=1))
    if not len(good):
        return
    codes = codes.reshape(shape)
    for window in good.tolist():
        one = candidates[window]
        noaa = {number for code in {*codes[window].tolist()} for number in numbers[code]}
        parsed.windows.append(
            Window(one.member.number, one.member.name, one.name, tuple(sorted(noaa)))
        )
    rows = np.repeat(~wrong.any(axis=1), STEPS)
    values = np.empty((len(good) * STEPS, len(PARAMETERS)))
    for place, name in enumerate(PARAMETERS):
        column = table[name].combine_chunks().fill_null(np.nan).to_numpy(zero_copy_only=False)
        values[:, place] = column[rows]
    infinite = np.isinf(values)
    if infinite.any():
        parsed.infinite += int(infinite.sum())
        values[infinite] = np.nan
    parsed.steps.append(
        distinct(
            harp=np.repeat(np.array([one.name.harp for one in candidates], np.int64)[good], STEPS),
            time=times[good].ravel(),
            values=values,
            noaa=codes[good].ravel(),
            numbers=numbers,
            quality=_quality(table)[rows],
            is_tmfi=_truth(table)[rows],
            window=np.repeat(np.array([one.member.number for one in candidates])[good], STEPS),
        )
    )


def _quality(table: pa.Table) -> np.ndarray:
    """Return the quality bits of each row, int64, -1 if they are missing."""
    if _QUALITY not in table.column_names:
        return np.full(table.num_rows, -1, np.int64)
    bits = table[_QUALITY].combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False)
    return np.where((bits >= 0) & (bits < 2**53), bits, -1).astype(np.int64)


def _truth(table: pa.Table) -> np.ndarray:
    """Return the flag IS_TMFI of each row, int8, -1 if it is unknown."""
    if _TMFI not in table.column_names:
        return np.full(table.num_rows, -1, np.int8)
    return _integers(table[_TMFI].combine_chunks().cast(pa.int8()), -1)
