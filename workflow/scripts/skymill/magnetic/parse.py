"""Parse one line of a raw file into an array, or reject the line with a reason.

Regular lines differ only in their id, their label and their numbers, which are read at known
places. Any other line is parsed as JSON, and then accepted or rejected with a reason.
"""

import json
import re
import struct
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import orjson

from skymill.magnetic.catalogue_table import NO_USFLUX
from skymill.magnetic.decimals import PADDING, read_table
from skymill.magnetic.schema import LABELS, PARAMETERS, QUIET_NAMES, STEPS

MOST_VALUES = 2**16
"""The most values, objects and lists in a line that is parsed. A record has some 2,000. Each value
becomes a Python object, so a line of short values would need much memory."""

MAX_RECORD_ID = 2**52
"""Twice this number is exact in float64, so new ids above it are exact as well."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Some editors write these bytes before a text in UTF-8. They are not part of the text."""

_CLASS_OF = {**{label: label for label in LABELS}, **dict.fromkeys(QUIET_NAMES, "Q")}
"""The class of each label that a file may have."""

STEP_KEYS = tuple(str(step) for step in range(STEPS))

_HEAD = re.compile(
    rb'\{"(0|[1-9][0-9]{0,15})": \{(?:"label": (?:"(%s)"|null), )?"values": \{'
    % "|".join(_CLASS_OF).encode()
)
_TAIL = re.compile(rb"\}\}\}\}[ \t\r\n]*")


def _words(literals: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the words and masks for the text that `read_table` expects before numbers."""
    count = -(-max(map(len, literals)) // 8)
    padded = [literal.encode().ljust(8 * count, b"\0") for literal in literals]
    words = np.array([np.frombuffer(literal, "<u8") for literal in padded], dtype=np.uint64)
    counted = [(b"\xff" * len(literal)).ljust(8 * count, b"\0") for literal in literals]
    masks = np.array([np.frombuffer(mask, "<u8") for mask in counted], dtype=np.uint64)
    return words, masks


_PUNCTUATION = (
    *_words([f'{"}, " if row else ""}"{name}": {{"0": ' for row, name in enumerate(PARAMETERS)]),
    *_words([f', "{step}": ' for step in STEP_KEYS]),
)
"""The text before the numbers of a regular line."""

_REGULAR_BYTES = 2**18
"""Regular lines are shorter: a number rarely has more than 24 characters."""

_text = np.zeros(_REGULAR_BYTES + PADDING, dtype=np.uint8)
"""The line that is being parsed, with padding after it. Each process has its own."""

_parameters_of = itemgetter(*PARAMETERS)
_steps_of = itemgetter(*STEP_KEYS)
_series = struct.Struct(f"{STEPS}d")
_NUMBER_OR_NULL = {float, int, type(None)}


@dataclass
class RejectedLine(Exception):
    """A line that is no valid record.

    `reason` is a short word, by which lines are counted; `detail` describes this line. `source_id`
    and `label` are None if they could not be read.
    """

    reason: str
    detail: str
    source_id: int | None = None
    label: str | None = None


def parse_line(line: bytes, out: np.ndarray, *, labelled: bool) -> tuple[int, str | None]:
    """Parse one line into `out` and return its id and label.

    Parameters
    ----------
    line
        One JSON document, `{id: {"label": ..., "values": {parameter: {step: number}}}}`. NaN
        tokens are accepted, and null is read as NaN.
    out
        float64, shape (33, 60), C-contiguous; overwritten, also when the line is rejected.
    labelled
        Whether a label is required (training files). Otherwise the label may be absent or null.
        SWAN-SF's names of quiet windows become Q.

    Raises
    ------
    RejectedLine
        When the line is not one record with one id, a valid label, and all 33 parameters with a
        number at exactly the steps 0..59. Infinite values are not rejected here:
        `reject_unusable` searches for them in whole blocks.
    """
    regular = _parse_regular(line, out, labelled)
    if regular:
        return regular
    document = _load(line)
    if not isinstance(document, dict) or len(document) != 1:
        raise RejectedLine("not_one_record", "the line is not an object with one id")
    ((key, record),) = document.items()
    source_id = _record_id(key)
    if not isinstance(record, dict):
        raise RejectedLine("not_one_record", "the id does not hold an object", source_id)
    label = record.get("label")
    if label is not None or labelled:
        label = _class_of(record, source_id)
    try:
        _fill(record.get("values"), line, out)
        _refuse_repeated_keys(line, document)
    except RejectedLine as rejected:
        rejected.source_id, rejected.label = source_id, label
        raise
    return source_id, label


def _parse_regular(line: bytes, out: np.ndarray, labelled: bool) -> tuple | None:
    """Parse a line as `parse_line` does if the line is valid and regular; else return None."""
    head = _HEAD.match(line)
    if not head or len(line) > _REGULAR_BYTES:
        return None
    label = head[2]
    if label is None and labelled:
        return None
    _text[: len(line)] = np.frombuffer(line, dtype=np.uint8)
    _text[len(line) : len(line) + PADDING] = 0
    end, whole = read_table(_text, head.end(), len(line), *_PUNCTUATION, out.view(np.uint64))
    if not whole or not _TAIL.fullmatch(line, end):
        return None
    return _record_id(head[1].decode()), label and _CLASS_OF[label.decode()]


def reject_unusable(values: np.ndarray) -> list[tuple[int, RejectedLine]]:
    """Return the records of a block with an infinite value or without a usable USFLUX.

    Parameters
    ----------
    values
        float64, shape (records, 33, 60).

    Returns
    -------
    Pairs of (position, why), sorted by position.
    """
    infinite = np.isinf(values).any(axis=(1, 2))
    flux = values[:, PARAMETERS.index("USFLUX")]
    dark = ~(np.isfinite(flux) & (flux != 0)).any(axis=1)
    rejected = []
    for position in np.flatnonzero(infinite | dark):
        if infinite[position]:
            parameter, step = np.argwhere(np.isinf(values[position]))[0]
            why = RejectedLine(
                "not_a_number", f"{PARAMETERS[parameter]} is infinite at step {step}"
            )
        else:
            why = RejectedLine(NO_USFLUX, "USFLUX is zero or missing at every step")
        rejected.append((int(position), why))
    return rejected


def _load(line: bytes):
    """Parse JSON as Python's json does, including NaN; use the faster orjson if possible."""
    if sum(map(line.count, (b",", b"{", b"["))) > MOST_VALUES:
        raise RejectedLine("not_one_record", f"the line holds more than {MOST_VALUES:,} values")
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        # In a valid record a NaN follows a colon and a space. Within a string, the replacement
        # can only turn one invalid key or label into another.
        return orjson.loads(line.replace(b": NaN", b": null"))
    except orjson.JSONDecodeError:
        pass
    try:
        # Decoded here, because json.loads guesses the encoding of bytes and accepts UTF-16 as well.
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RejectedLine("invalid_json", f"{error}"[:200]) from None


def _record_id(key: str) -> int:
    """Return the id in a key: a decimal number without sign or leading zeros."""
    if key.isascii() and key.isdigit() and (key == "0" or key[0] != "0") and len(key) <= 19:
        number = int(key)
        if number <= MAX_RECORD_ID:
            return number
    raise RejectedLine("invalid_id", f"the id {key[:40]!r} is not a whole number that fits")


def _class_of(record: dict, source_id: int) -> str:
    """Return the class of a record's label."""
    label = record.get("label")
    if isinstance(label, str) and label in _CLASS_OF:
        return _CLASS_OF[label]
    shown = _shown(label) if "label" in record else "absent"
    detail = f"the label is {shown}; known are {', '.join(LABELS)} and SWAN-SF's "
    detail += f"{' and '.join(QUIET_NAMES)} (Q)"
    if label == "NF":
        detail += "; NF is no class: SWAN-SF's folder of that name also holds B and C windows"
    raise RejectedLine("invalid_label", detail, source_id)


def _fill(values, line: bytes, out: np.ndarray) -> None:
    """Write all 33 x 60 numbers into `out`."""
    try:
        series_of_parameters = _parameters_of(values)
    except (KeyError, TypeError):
        present = values if isinstance(values, dict) else {}
        missing = ", ".join(name for name in PARAMETERS if name not in present)
        raise RejectedLine("missing_parameter", f"no values of {missing}") from None
    # struct accepts true and false as numbers. A line of numbers has neither a t nor an f.
    suspicious = b"t" in line or b"f" in line
    offset = 0
    for position, series in enumerate(series_of_parameters):
        if not isinstance(series, dict) or len(series) != STEPS:
            raise _wrong_steps(position, series)
        try:
            numbers = _steps_of(series)
        except KeyError:
            raise _wrong_steps(position, series) from None
        if suspicious:
            _refuse_other_types(position, numbers)
        try:
            _series.pack_into(out, offset, *numbers)
        except (struct.error, OverflowError):
            _refuse_other_types(position, numbers)
            try:
                out[position] = np.array(list(numbers), dtype=np.float64)
            except OverflowError:
                detail = f"{PARAMETERS[position]} holds a number beyond the range of float64"
                raise RejectedLine("not_a_number", detail) from None
        offset += _series.size


def _wrong_steps(position: int, series) -> RejectedLine:
    name = PARAMETERS[position]
    if not isinstance(series, dict):
        return RejectedLine("wrong_steps", f"{name} is not an object of steps")
    missing = [key for key in STEP_KEYS if key not in series]
    detail = f"{name} has {len(series)} steps"
    if missing:
        detail += f", without {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}"
    return RejectedLine("wrong_steps", detail)


def _refuse_other_types(position: int, numbers) -> None:
    if not set(map(type, numbers)) <= _NUMBER_OR_NULL:
        step, value = next(
            (step, value)
            for step, value in zip(STEP_KEYS, numbers, strict=True)
            if type(value) not in _NUMBER_OR_NULL
        )
        detail = f"{PARAMETERS[position]} is {_shown(value)} at step {step}"
        raise RejectedLine("not_a_number", detail)


def _refuse_repeated_keys(line: bytes, document: dict) -> None:
    """Refuse a document in which a key occurs twice: parsers keep one value and drop the other.

    A line has one colon per key. So the keys are compared only if the number of colons differs.
    """
    (record,) = document.values()
    keys = 1 + len(record) + len(record["values"])
    keys += sum(len(series) for series in record["values"].values() if isinstance(series, dict))
    if _count_colons(line) == keys:
        return

    def unique(pairs):
        found = dict(pairs)
        if len(found) != len(pairs):
            seen = set()
            twice = next(name for name, _ in pairs if name in seen or seen.add(name))
            raise RejectedLine("repeated_key", f"the key {twice[:40]!r} occurs twice in an object")
        return found

    try:
        json.loads(line, object_pairs_hook=unique)
    except RecursionError as error:
        raise RejectedLine("invalid_json", f"{error}"[:200]) from None


def _count_colons(line: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(line, np.uint8) == ord(":")))


def _shown(value) -> str:
    """Return the beginning of a JSON value; orjson reads deeper nesting than json can write."""
    try:
        return json.dumps(value)[:40]
    except RecursionError:
        return "nested too deeply"
