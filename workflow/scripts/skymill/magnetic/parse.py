"""One line of a raw file: parsed, checked, and turned into an array, or rejected with a reason.

A regular line is decoded straight into typed structs, which is where it is checked. Whatever they
refuse is parsed again without them, to be accepted or to be rejected with a reason.
"""

import json
import struct
from dataclasses import dataclass
from operator import itemgetter

import msgspec
import numpy as np
import orjson

from skymill.magnetic.schema import LABELS, PARAMETERS, STEPS

MAX_RECORD_ID = 2**52
"""Twice this is exact in float64, so that new ids behind it are as well."""

STEP_KEYS = tuple(str(step) for step in range(STEPS))


def _decoder() -> msgspec.json.Decoder:
    """Return a decoder of lines that have exactly the 33 parameters with exactly the 60 steps."""
    fields = [(f"step{key}", float) for key in STEP_KEYS]
    names = {f"step{key}": key for key in STEP_KEYS}
    # gc=False: the structs hold no cycles, and there are 34 of them in a line.
    options = {"forbid_unknown_fields": True, "gc": False}
    series = msgspec.defstruct("Series", fields, rename=names, **options)
    values = msgspec.defstruct("Values", [(name, series) for name in PARAMETERS], **options)
    label = ("label", str | None | msgspec.UnsetType, msgspec.UNSET)
    record = msgspec.defstruct("Record", [("values", values), label], **options)
    return msgspec.json.Decoder(dict[str, record])


_decode = _decoder().decode

_NAN, _STAND_IN = b": NaN", b": -8.765432109876543e3"
"""JSON has no NaN: while a line is decoded, a number that hardly occurs stands in for it.

It ends in an exponent, so that what follows a damaged token (`NaN0`, `NaNe0`) makes another number
of it, or none: a digit behind a fraction could be lost in rounding.
"""

_COLONS = 1 + 1 + len(PARAMETERS) * (1 + STEPS)
"""Keys of a record without a label: its id, `values`, parameters and steps."""

_parameters_of = itemgetter(*PARAMETERS)
_steps_of = itemgetter(*STEP_KEYS)
_fields = msgspec.structs.astuple
_series = struct.Struct(f"{STEPS}d")
_NUMBER_OR_NULL = {float, int, type(None)}


@dataclass
class RejectedLine(Exception):
    """A line that is no valid record.

    `reason` is a short word to count by, `detail` a sentence about this line; `source_id` and
    `label` are what could be read of them, else None.
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
        tokens are accepted, null counts as NaN.
    out
        float64, shape (33, 60), C-contiguous; overwritten, also when the line is rejected.
    labelled
        Whether a label is required (training files); else it may be absent or null.

    Raises
    ------
    RejectedLine
        When the line is not one record with one id, a valid label, and all 33 parameters with a
        number at exactly the steps 0..59. Infinite values pass here: `reject_unusable` looks for
        them in whole blocks.
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
    if label not in LABELS:
        if labelled or label is not None:
            shown = _shown(label) if "label" in record else "absent"
            raise RejectedLine("invalid_label", f"the label is {shown}", source_id)
        label = None
    try:
        _fill(record.get("values"), line, out)
        _refuse_repeated_keys(line, document)
    except RejectedLine as rejected:
        rejected.source_id, rejected.label = source_id, label
        raise
    return source_id, label


def _parse_regular(line: bytes, out: np.ndarray, labelled: bool) -> tuple | None:
    """Parse a line as `parse_line` does if it is valid and not unusual; else return None."""
    text = line
    # Behind `values` a regular line has the letter a in NaN only.
    if line.find(b"a", line.find(b"values") + len("values")) >= 0:
        text = line.replace(_NAN, _STAND_IN)
    try:
        document = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(document) != 1:
        return None
    ((key, record),) = document.items()
    label = record.label
    colons = _COLONS
    if label is msgspec.UNSET:
        label = None
    else:
        colons += 1
    # A label that is none, and a key that occurs twice (see _refuse_repeated_keys), are looked at
    # closely elsewhere.
    if (label is None and labelled) or (label is not None and label not in LABELS):
        return None
    if _count_colons(line) != colons:
        return None
    offset = 0
    for series in _fields(record.values):
        _series.pack_into(out, offset, *_fields(series))
        offset += _series.size
    if text is not line:
        stands_in = out == float(_STAND_IN[2:])
        # A real number of that very value would be one too many.
        if len(text) - len(line) != stands_in.sum() * (len(_STAND_IN) - len(_NAN)):
            return None
        out[stands_in] = np.nan
    return _record_id(key), label


def reject_unusable(values: np.ndarray) -> list[tuple[int, RejectedLine]]:
    """Return the records of a block that hold an infinity or no usable USFLUX.

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
            why = RejectedLine("no_usflux", "USFLUX is zero or missing at every step")
        rejected.append((int(position), why))
    return rejected


def _load(line: bytes):
    """Parse JSON as Python's json does, NaN included, at the speed of orjson where it can."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        # In a valid record a NaN stands behind a colon and a space; within a string the
        # replacement can only turn one invalid key or label into another.
        return orjson.loads(line.replace(b": NaN", b": null"))
    except orjson.JSONDecodeError:
        pass
    try:
        # Decoded here, because json.loads guesses the encoding of bytes and takes UTF-16 as well.
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RejectedLine("invalid_json", f"{error}"[:200]) from None


def _record_id(key: str) -> int:
    """Return the id that a key spells, a decimal number without sign or leading zeros."""
    if key.isascii() and key.isdigit() and (key == "0" or key[0] != "0") and len(key) <= 19:
        number = int(key)
        if number <= MAX_RECORD_ID:
            return number
    raise RejectedLine("invalid_id", f"the id {key[:40]!r} is not a whole number that fits")


def _fill(values, line: bytes, out: np.ndarray) -> None:
    """Write all 33 x 60 numbers into `out`."""
    try:
        series_of_parameters = _parameters_of(values)
    except (KeyError, TypeError):
        present = values if isinstance(values, dict) else {}
        missing = ", ".join(name for name in PARAMETERS if name not in present)
        raise RejectedLine("missing_parameter", f"no values of {missing}") from None
    # struct takes true and false for numbers; a regular line holds neither letter.
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

    A line has a colon for each key, so only a line whose count differs is looked at closely.
    """
    (record,) = document.values()
    keys = 1 + len(record) + len(record["values"])
    keys += sum(len(series) for series in record["values"].values() if isinstance(series, dict))
    if _count_colons(line) == keys:
        return

    def unique(pairs):
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise RejectedLine("repeated_key", f"the key {twice[:40]!r} occurs twice in an object")
        return found

    try:
        json.loads(line, object_pairs_hook=unique)
    except RecursionError as error:
        raise RejectedLine("invalid_json", f"{error}"[:200]) from None


def _count_colons(line: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(line, np.uint8) == ord(":")))


def _shown(value) -> str:
    """Return the beginning of a JSON value; orjson reads deeper nesting than json writes."""
    try:
        return json.dumps(value)[:40]
    except RecursionError:
        return "nested too deeply"
