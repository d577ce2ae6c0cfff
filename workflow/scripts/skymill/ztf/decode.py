"""A batch of alert files becomes rows: pixels and metadata of the alerts that are kept.

A batch knows nothing of other batches, so any number of workers gives the same rows.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skymill.ztf.avro import BadAvro, BadRecord, Record, read_header, read_records, walk_stretch
from skymill.ztf.fits import (
    BadStamp,
    inflate,
    inflate_regular,
    may_be_regular,
    read_image,
    regular_images,
)
from skymill.ztf.labelled import LabelledObjects
from skymill.ztf.schema import (
    FIELDS,
    IMAGES,
    NULL_FIELD,
    OBJECT_ID_BYTES,
    SLOTS,
    VERSION_BYTES,
    row_type,
)
from skymill.ztf.stamps import Unfit, window
from skymill.ztf.tarball import Lost, Part, Stretch
from skymill.ztf.walk import INTEGER, NULL, REAL, SPAN

CORRUPT = ("tar", "avro", "values", "gzip", "jpeg", "fits")
"""Causes for which a packet counts as corrupt."""

OTHER_REASONS = ("unlabelled", "null_cutout", "wrong_shape", "dropped_at_edge")
"""Reasons for which a sound packet is not kept."""

SIGNS = {b"t": 1, b"1": 1, b"f": -1, b"0": -1}
"""What isdiffpos can be: science minus template, or the reverse."""


@dataclass(frozen=True)
class Choice:
    """Which alerts are kept, and how much of their stamps.

    `labels` is a Parquet file with the column object_id, or None to keep every object.
    """

    crop: int = 21
    edge: str = "recover"
    labels: Path | None = None


@dataclass
class Decoded:
    """What a batch held.

    Attributes
    ----------
    rows
        The alerts kept, in file order, see schema.row_type.
    seen
        Each part's member, whether it goes on with the part before, and how many records it held,
        lost ones included.
    reasons
        How many records were not kept, by reason or cause.
    rejected
        (part, record within the part from 1, cause, detail) of those, but not of unlabelled ones.
    read_slowly
        How many records fastavro had to read.
    """

    rows: np.ndarray
    seen: list[tuple[str, bool, int]]
    reasons: Counter
    rejected: list[tuple[int, int, str, str]]
    read_slowly: int = 0


def decode_batch(parts: list[Part | Stretch | Lost], choice: Choice) -> Decoded:
    """Read the records of some files and return the rows of those to keep."""
    result = Decoded(np.empty(0), [], Counter(), [])
    records: list[Record] = []
    places: list[tuple[int, int]] = []
    for part in parts:
        if isinstance(part, Lost):
            result.rejected.append((len(result.seen), 1, "tar", part.detail))
            result.reasons["tar"] += 1
            result.seen.append((part.name, False, 1))
        elif isinstance(part, Part):
            _read_part(part, records, places, result)
        else:
            slots, walked = walk_stretch(part.text, part.places)
            for index, known in enumerate(walked.tolist()):
                if known:
                    records.append(Record(part.text, slots[index], True))
                    places.append((len(result.seen), 1))
                    result.seen.append((part.name(index), False, 1))
                else:
                    _read_part(part.part(index), records, places, result)
    _decode_records(records, places, choice, result)
    result.rejected.sort()
    return result


def _read_part(
    part: Part, records: list[Record], places: list[tuple[int, int]], result: Decoded
) -> None:
    """Add the records of a file, or of a part of one, and where they stand."""
    number, seen = len(result.seen), 0
    for record in _records(part):
        if isinstance(record, BadRecord):
            result.rejected.append((number, seen + 1, "avro", str(record)))
            result.reasons["avro"] += record.lost
            seen += record.lost
        else:
            seen += 1
            records.append(record)
            places.append((number, seen))
            result.read_slowly += not record.by_walking
    result.seen.append((part.name, part.header is not None, seen))


def _records(part: Part) -> Iterator[Record | BadRecord]:
    try:
        header = read_header(part.text if part.header is None else part.header)
    except BadAvro as error:
        yield BadRecord(str(error))
        return
    yield from read_records(part.text, header, header.end if part.header is None else 0)


def _decode_records(
    records: list[Record], places: list[tuple[int, int]], choice: Choice, result: Decoded
) -> None:
    """Fill in the rows of the records to keep."""

    def reject(index: int, cause: str, detail: str) -> None:
        result.reasons[cause] += 1
        result.rejected.append((*places[index], cause, detail))

    ids = np.array([_span(record, "objectId") for record in records], f"S{OBJECT_ID_BYTES}")
    if choice.labels is not None:
        wanted = LabelledObjects.read(choice.labels).contain(ids)
        result.reasons["unlabelled"] += int((~wanted).sum())
        chosen = np.flatnonzero(wanted)
        ids = ids[chosen]
        records = [records[index] for index in chosen.tolist()]
        places = [places[index] for index in chosen.tolist()]
    rows = np.zeros(len(records), row_type(choice.crop))
    if not records:
        result.rows = rows
        return
    rows["object_id"] = ids
    slots = np.array([record.slots for record in records])
    problems = _fill_values(rows, slots, records)
    xpos, ypos = rows["xpos"].tolist(), rows["ypos"].tolist()
    stamps = rows["stamps"].reshape(-1, 3, choice.crop, choice.crop)
    packed = _packed_stamps(records, slots)
    regular = _fill_regular_stamps(stamps, packed, choice)
    kept = []
    for index, triple in enumerate(packed):
        if index in problems:
            reject(index, "values", problems[index])
            continue
        try:
            if not regular[index]:
                rows["recovered"][index] = _fill_stamps(
                    stamps[index], triple, choice, xpos[index], ypos[index]
                )
        except BadStamp as bad:
            reject(index, bad.cause, bad.detail)
        except Unfit as unfit:
            reject(index, unfit.reason, unfit.detail)
        else:
            kept.append(index)
    if len(kept) < len(rows):
        rows = rows[kept]
    stamps = rows["stamps"]
    missing = np.isnan(stamps)
    if missing.any():
        rows["nan"] = missing.reshape(len(rows), 3, -1).sum(axis=2)
        stamps[missing] = 0
    result.rows = rows


_IMAGE_SLOTS = [(SLOTS[path], path.partition(".")[0]) for path in IMAGES]


def _packed_stamps(records: list[Record], slots: np.ndarray) -> list[list[memoryview | None]]:
    """Return the three stamps of each record as they are stored; None where there is none."""
    places = slots[:, [slot for slot, _ in _IMAGE_SLOTS]].tolist()
    packed = []
    for record, triple in zip(records, places, strict=True):
        text = memoryview(record.text)
        packed.append(
            [None if kind == NULL else text[begin : begin + size] for kind, begin, size in triple]
        )
    return packed


def _fill_regular_stamps(
    stamps: np.ndarray, packed: list[list[memoryview | None]], choice: Choice
) -> np.ndarray:
    """Cut all alerts whose three stamps are regular at once; return which they are."""
    regular = np.array(
        [all(stamp is not None and may_be_regular(stamp) for stamp in triple) for triple in packed]
    )
    places = np.flatnonzero(regular)
    if not len(places):
        return regular
    unpacked = inflate_regular([stamp for place in places.tolist() for stamp in packed[place]])
    if unpacked is None:
        return np.zeros(len(packed), bool)
    images, true = regular_images(unpacked)
    true = true.reshape(-1, 3).all(axis=1)
    regular[places] = true
    rows, columns, _ = window(*images.shape[1:], choice.crop, choice.edge, np.nan, np.nan)
    cut = np.ascontiguousarray(images[:, rows, columns], np.float32)
    stamps[regular] = cut.reshape(-1, *stamps.shape[1:])[true]
    return regular


def _fill_stamps(
    out: np.ndarray, packed: list[memoryview | None], choice: Choice, xpos: float, ypos: float
) -> bool:
    """Cut an alert's three stamps out; return whether they were recovered from an edge."""
    shape = rows = columns = None
    at_edge = False
    for place, (_, name) in enumerate(_IMAGE_SLOTS):
        stamp = packed[place]
        if stamp is None:
            raise Unfit("null_cutout", f"{name} is null")
        try:
            image = read_image(inflate(bytes(stamp)))
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


def _span(record: Record, path: str) -> bytes:
    kind, begin, size = record.slots[SLOTS[path]].tolist()
    return record.text[begin : begin + size] if kind == SPAN else b""


def _fill_values(rows: np.ndarray, slots: np.ndarray, records: list[Record]) -> dict[int, str]:
    """Fill in the metadata; return which records hold values that cannot be, and why."""
    problems: dict[int, str] = {}

    def require(holds: np.ndarray, what: str) -> None:
        for index in np.flatnonzero(~holds).tolist():
            problems.setdefault(index, what)

    identity = slots[:, SLOTS["objectId"]]
    fits = (identity[:, 0] == SPAN) & (identity[:, 2] > 0) & (identity[:, 2] <= OBJECT_ID_BYTES)
    require(fits, f"objectId has no text of 1 to {OBJECT_ID_BYTES} bytes")
    for index, name in enumerate(rows["object_id"].tolist()):
        # Numpy drops NULs at the end, which the length tells.
        if len(name) != identity[index, 2] or not name.isascii() or not name.decode().isprintable():
            problems.setdefault(index, "objectId holds other than printable letters")
    rows["schema_version"] = [
        _printable(_span(record, "schemavsn")[:VERSION_BYTES]) for record in records
    ]
    signs = [SIGNS.get(_span(record, "candidate.isdiffpos"), 0) for record in records]
    rows["isdiffpos"] = signs
    require(rows["isdiffpos"] != 0, "isdiffpos is none of t, 1, f, 0")
    for name, least, most in (
        ("candid", 0, 2**63 - 1),
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
            require((values >= least) & (values <= most), f"{column} is not {least:g} to {most:g}")
        elif column == "magpsf":
            require(kind != NULL, "magpsf is null")
    return problems


_LIMITS = {"jd": (0, 1e7), "ra": (0, 360), "dec": (-90, 90)}


def _printable(text: bytes) -> bytes:
    """Return a version that can be written, whatever a flipped bit made of it."""
    return text if text.isascii() and text.decode().isprintable() else b"?"
