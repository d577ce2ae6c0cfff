"""Decode a batch of alert files into rows: pixels and metadata of the alerts that are kept.

Batches are independent of each other, so the rows are the same for any number of workers.
"""

import itertools
import string
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skymill.alerts.avro import BadAvro, BadRecord, Record, read_header, read_records, walk_stretch
from skymill.alerts.fits import (
    BadStamp,
    Spans,
    inflate,
    inflate_regular,
    may_be_regular,
    read_image,
    regular_images,
)
from skymill.alerts.packet import (
    CANDIDS,
    CUTOUTS,
    FIELDS,
    IMAGES,
    OBJECT_ID_BYTES,
    SLOTS,
    VERSION_BYTES,
)
from skymill.alerts.tarball import Part, Stretch
from skymill.alerts.walk import INTEGER, NULL, REAL, SPAN
from skymill.ztf.labelled import LabelledObjects
from skymill.ztf.object_ids import OBJECT_ID
from skymill.ztf.schema import NULL_FIELD, row_type
from skymill.ztf.stamps import Unfit, window

SIGNS = np.zeros(256, np.int8)
"""The sign for each letter of isdiffpos: +1 science minus template, -1 the reverse, else 0."""
SIGNS[list(b"t1")], SIGNS[list(b"f0")] = 1, -1

_LETTERS = np.zeros(256, bool)
"""Bytes that an object id may have; below, the bytes that may be its first."""
_LETTERS[list(string.ascii_letters.encode() + string.digits.encode() + b"_.+-")] = True
_FIRST_LETTERS = _LETTERS.copy()
_FIRST_LETTERS[list(b"_.+-")] = False


@dataclass(frozen=True)
class Choice:
    """Which alerts are kept, and how their stamps are cut.

    `no_data` (`drop` or `keep`) applies to alerts with a stamp that is NaN everywhere. `labels` is
    a Parquet file with the column object_id, or None to keep every object.
    """

    crop: int = 21
    edge: str = "recover"
    no_data: str = "drop"
    labels: Path | None = None


@dataclass
class Decoded:
    """The content of a batch.

    Attributes
    ----------
    rows
        The alerts that are kept, ascending by candid, see schema.row_type.
    seen
        For each part: its member, whether it continues the previous part, and its number of
        records, including lost records.
    reasons
        Number of records that are not kept, by reason or cause.
    rejected
        (part, record within the part from 1, cause, detail, number of records) of each loss.
        Unlabelled records are not in this list.
    read_slowly
        Number of records that the compiled loop could not read.
    """

    rows: np.ndarray
    seen: list[tuple[str, bool, int]]
    reasons: Counter
    rejected: list[tuple[int, int, str, str, int]]
    read_slowly: int = 0


def decode_batch(parts: list[Part | Stretch], choice: Choice) -> Decoded:
    """Read the records of some files; return the rows of the records that are kept."""
    result = Decoded(np.empty(0), [], Counter(), [])
    groups: list[_Group] = []
    for whole, some in itertools.groupby(parts, _is_whole):
        if whole:
            _read_stretch(Stretch.of(list(some)), groups, result)
            continue
        for part in some:
            if isinstance(part, Stretch):
                _read_stretch(part, groups, result)
            else:
                _read_part(part, groups, result)
    _decode_records(groups, choice, result)
    result.rejected.sort()
    return result


class _Group(NamedTuple):
    """Records in one text: the slots of each, and its part and record within the part.

    When the text is complete, the slots are one array, shape (records, fields, 3).
    """

    text: bytes
    slots: list[np.ndarray] | np.ndarray
    places: list[tuple[int, int]]


def _is_whole(part: Part | Stretch) -> bool:
    return isinstance(part, Part) and part.header is None and part.damage is None


def _read_stretch(stretch: Stretch, groups: list[_Group], result: Decoded) -> None:
    """Add the records of the files in a stretch."""
    slots, walked = walk_stretch(stretch.text, stretch.places)
    together = _Group(stretch.text, [], [])
    groups.append(together)
    for index, known in enumerate(walked.tolist()):
        if known:
            together.slots.append(slots[index])
            together.places.append((len(result.seen), 1))
            result.seen.append((stretch.names[index], False, 1))
        else:
            _read_part(stretch.part(index), groups, result)


def _read_part(part: Part, groups: list[_Group], result: Decoded) -> None:
    """Add the records of a file, or of a part of a file."""
    number, seen = len(result.seen), 0
    for record in _records(part):
        if isinstance(record, BadRecord):
            cause = "tar" if part.damage else "avro"
            result.rejected.append((number, seen + 1, cause, str(record), record.lost))
            result.reasons[cause] += record.lost
            seen += record.lost
        else:
            seen += 1
            if not groups or groups[-1].text is not record.text:
                groups.append(_Group(record.text, [], []))
            groups[-1].slots.append(record.slots)
            groups[-1].places.append((number, seen))
            result.read_slowly += not record.by_walking
    result.seen.append((part.name, part.header is not None, seen))


def _records(part: Part) -> Iterator[Record | BadRecord]:
    try:
        header = part.header or read_header(part.text)
    except BadAvro as error:
        yield BadRecord(part.damage or str(error))
        return
    yield from read_records(part.text, header, 0 if part.header else header.end, part.damage)


def _decode_records(groups: list[_Group], choice: Choice, result: Decoded) -> None:
    """Fill in the rows of the records that are kept, ascending by candid."""
    groups = [_Group(text, np.array(slots), places) for text, slots, places in groups if places]
    if choice.labels is not None:
        groups = _labelled(groups, choice.labels, result)
    texts = [group.text for group in groups for _ in group.places]
    places = [place for group in groups for place in group.places]
    rows = np.zeros(len(texts), row_type(choice.crop))
    result.rows = rows
    if not texts:
        return
    slots = np.concatenate([group.slots for group in groups])
    problems = _fill_values(rows, slots, groups)
    stamps = rows["stamps"].reshape(-1, 3, choice.crop, choice.crop)
    kept = _fill_regular_stamps(stamps, groups, choice)
    kept[list(problems)] = False

    def reject(index: int, cause: str, detail: str) -> None:
        result.reasons[cause] += 1
        result.rejected.append((*places[index], cause, detail, 1))

    for index in np.flatnonzero(~kept).tolist():
        if index in problems:
            reject(index, "values", problems[index])
            continue
        packed = _packed_stamps(texts[index], slots[index])
        xpos, ypos = float(rows["xpos"][index]), float(rows["ypos"][index])
        try:
            rows["recovered"][index] = _fill_stamps(stamps[index], packed, choice, xpos, ypos)
        except BadStamp as bad:
            reject(index, bad.cause, bad.detail)
        except Unfit as unfit:
            reject(index, unfit.reason, unfit.detail)
        else:
            kept[index] = True
    finite = np.isfinite(rows["stamps"])
    if not finite.all():
        for index in _without_data(stamps, kept) if choice.no_data == "drop" else ():
            reject(index, "no_data", "a stamp is NaN everywhere")
            kept[index] = False
        rows["nan"] = (~finite).reshape(len(rows), 3, -1).sum(axis=2)
        rows["stamps"][~finite] = 0
    order = np.flatnonzero(kept)
    order = order[np.argsort(rows["candid"][order], kind="stable")]
    if len(order) < len(rows) or (np.diff(order) < 0).any():
        rows = rows[order]
    result.rows = rows


def _without_data(stamps: np.ndarray, kept: np.ndarray) -> list[int]:
    """Return which of the kept alerts have a stamp that is NaN everywhere."""
    empty = np.isnan(stamps).all(axis=(2, 3)).any(axis=1)
    return np.flatnonzero(empty & kept).tolist()


def _labelled(groups: list[_Group], labels: Path, result: Decoded) -> list[_Group]:
    """Return the records of objects with a label."""
    found = LabelledObjects.read(labels)
    chosen = []
    for group in groups:
        names = _texts([group], "objectId", OBJECT_ID_BYTES)[0]
        wanted = found.contain(names)
        result.reasons["unlabelled"] += int((~wanted).sum())
        result.reasons["respelt"] += found.count_respelt(names[~wanted])
        if wanted.any():
            places = [group.places[index] for index in np.flatnonzero(wanted).tolist()]
            chosen.append(_Group(group.text, group.slots[wanted], places))
    return chosen


def _texts(groups: list[_Group], path: str, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a text of each record, cut to a width, and whether the text has the form of an id."""
    found, plain = [], []
    for group in groups:
        kind, begins, sizes = group.slots[:, SLOTS[path]].T
        places = begins[:, None] + np.arange(width)
        inside = (np.arange(width) < sizes[:, None]) & (kind == SPAN)[:, None]
        text = np.frombuffer(group.text or b"\0", np.uint8)
        letters = np.where(inside, text.take(places, mode="clip"), 0).astype(np.uint8)
        found.append(letters.view(f"S{width}")[:, 0])
        plain.append((_LETTERS[letters] | ~inside).all(axis=1) & _FIRST_LETTERS[letters[:, 0]])
    return np.concatenate(found), np.concatenate(plain)


_IMAGE_SLOTS = [SLOTS[path] for path in IMAGES]


def _fill_regular_stamps(stamps: np.ndarray, groups: list[_Group], choice: Choice) -> np.ndarray:
    """Cut all alerts whose three stamps are regular, in one step; return which alerts were cut."""
    packed, chosen = [], []
    for group in groups:
        kinds, begins, sizes = group.slots[:, _IMAGE_SLOTS].transpose(2, 0, 1)
        spans = Spans(group.text, begins.ravel(), sizes.ravel())
        regular = (may_be_regular(spans) & (kinds == SPAN).ravel()).reshape(-1, 3).all(axis=1)
        packed.append(Spans(group.text, begins[regular].ravel(), sizes[regular].ravel()))
        chosen.append(regular)
    regular = np.concatenate(chosen)
    unpacked = inflate_regular(packed)
    if unpacked is None:
        return np.zeros(len(regular), bool)
    images, true = regular_images(unpacked)
    true = true.reshape(-1, 3).all(axis=1)
    rows, columns, _ = window(*images.shape[1:], choice.crop, choice.edge, np.nan, np.nan)
    cut = np.ascontiguousarray(images[:, rows, columns], np.float32)
    regular[regular] = true
    stamps[regular] = cut.reshape(-1, *stamps.shape[1:])[true]
    return regular


def _packed_stamps(text: bytes, slots: np.ndarray) -> list[bytes | None]:
    """Return the three stamps of a record as stored; None for a missing stamp."""
    return [
        None if kind == NULL else text[begin : begin + size]
        for kind, begin, size in slots[_IMAGE_SLOTS].tolist()
    ]


def _fill_stamps(
    out: np.ndarray, packed: list[bytes | None], choice: Choice, xpos: float, ypos: float
) -> bool:
    """Cut the three stamps of an alert; return whether they were recovered from an edge."""
    shape = rows = columns = None
    at_edge = False
    for place, name in enumerate(CUTOUTS):
        stamp = packed[place]
        if stamp is None:
            raise Unfit("null_cutout", f"{name} is null")
        try:
            image = read_image(inflate(stamp))
        except BadStamp as bad:
            raise BadStamp(bad.cause, f"{name}: {bad.detail}") from None
        if image.shape != shape:
            if shape is not None:
                detail = f"{name} has {image.shape} pixels, the one before {shape}"
                raise Unfit("wrong_shape", detail)
            shape = image.shape
            rows, columns, at_edge = window(*shape, choice.crop, choice.edge, xpos, ypos)
        out[place] = image[rows, columns]
    return at_edge


def _fill_values(rows: np.ndarray, slots: np.ndarray, groups: list[_Group]) -> dict[int, str]:
    """Fill in the metadata; return the records with impossible values, and why."""
    problems: dict[int, str] = {}

    def require(valid: np.ndarray, what: str) -> None:
        for index in np.flatnonzero(~valid).tolist():
            problems.setdefault(index, what)

    kind, _, size = slots[:, SLOTS["objectId"]].T
    rows["object_id"], plain = _texts(groups, "objectId", OBJECT_ID_BYTES)
    fits = (kind == SPAN) & (size > 0) & (size <= OBJECT_ID_BYTES)
    require(fits & plain, f"objectId has not the form {OBJECT_ID}")
    versions, plain = _texts(groups, "schemavsn", VERSION_BYTES)
    # A flipped bit can make any text, and spreadsheets read some texts as formulas.
    rows["schema_version"] = np.where(plain | (versions == b""), versions, b"?")
    kind, _, size = slots[:, SLOTS["candidate.isdiffpos"]].T
    letters, _ = _texts(groups, "candidate.isdiffpos", 1)
    signs = SIGNS[letters.view(np.uint8)]
    rows["isdiffpos"] = np.where((kind == SPAN) & (size == 1), signs, 0)
    require(rows["isdiffpos"] != 0, "isdiffpos is none of t, 1, f, 0")
    first, other = (SLOTS[path] for path in CANDIDS)
    slots = slots.copy()
    slots[:, first] = np.where(slots[:, first, :1] == NULL, slots[:, other], slots[:, first])
    for name, least, most in (
        (CANDIDS[0], 0, 2**63 - 1),
        ("candidate.fid", -128, 127),
        ("candidate.programid", -128, 127),
        ("candidate.field", NULL_FIELD + 1, 2**31 - 1),
    ):
        kind, number = slots[:, SLOTS[name], 0], slots[:, SLOTS[name], 1]
        column = name.rpartition(".")[2]
        fits = (kind == INTEGER) & (number >= least) & (number <= most)
        if column == "field":
            rows[column] = np.where(fits, number, NULL_FIELD)
            fits |= kind == NULL
        else:
            rows[column] = np.where(fits, number, 0)
        require(fits, f"{column} is no whole number that can be one")
    for path in FIELDS[SLOTS["candidate.jd"] : SLOTS["candidate.ypos"] + 1]:
        kind, number = slots[:, SLOTS[path], 0], slots[:, SLOTS[path], 1]
        column = path.rpartition(".")[2]
        values = np.where(kind == REAL, number.view(np.float64), number)
        values[kind == NULL] = np.nan
        with np.errstate(over="ignore", invalid="ignore"):
            rows[column] = values
        if column in _LIMITS:
            least, most = _LIMITS[column]
            require((values >= least) & (values <= most), f"{column} is not {least} to {most}")
        elif column == "magpsf":
            require(kind != NULL, "magpsf is null")
    return problems


_LIMITS = {"jd": (1_721_425.5, 5_373_484.5), "ra": (0, 360), "dec": (-90, 90)}
"""Smallest and largest values of some columns; `jd` covers the years 1 to 9999."""
