"""Avro container files: headers, blocks and records, where a broken one costs itself only.

Source: Apache Avro 1.11 specification, section Object Container Files.
"""

import contextlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from isal import isal_zlib

from skymill.alerts.fits import GZIP_MAGIC
from skymill.alerts.packet import FIELDS, IMAGES, OBJECT_ID_BYTES, OPTIONAL, SLOTS, TEXTS
from skymill.alerts.program import Unsupported, compile_program, kind_of, unwrapped
from skymill.alerts.walk import (
    FAILED,
    INTEGER,
    NULL,
    REAL,
    SPAN,
    SYNC_BYTES,
    find_record,
    walk_files,
    walk_record,
)

MAGIC = b"Obj\x01"

KNOWN_HEADERS = 32
"""Headers that are remembered, with what they were compiled to."""

MAX_RECORD_BYTES = 2**26
"""Longest record, and longest block after decompression."""


class BadAvro(Exception):
    """The bytes are no Avro that this reader understands; the text says why."""


class BadRecord(Exception):
    """One record, or the rest of a block, cannot be read; `lost` says how many records."""

    def __init__(self, detail: str, lost: int = 1):
        super().__init__(detail)
        self.lost = lost


@dataclass(frozen=True)
class Writer:
    """The writer's schema of a file, and its codec."""

    schema_text: bytes
    codec: str

    @cached_property
    def schema(self):
        """The schema as fastavro reads with it; logical types are dropped, values stay plain."""
        import fastavro

        try:
            document = json.loads(self.schema_text)
            return fastavro.schema.parse_schema(_without_logical_types(document))
        except Exception as error:
            raise BadAvro(f"its schema cannot be read: {_told(error)}") from error

    @cached_property
    def expanded(self):
        """The schema with every named type where it is used."""
        import fastavro

        try:
            return fastavro.schema.expand_schema(
                _without_logical_types(json.loads(self.schema_text))
            )
        except Exception as error:
            raise BadAvro(f"its schema cannot be read: {_told(error)}") from error

    @cached_property
    def lacking(self) -> list[str]:
        """The fields that an alert needs and this schema has not."""
        present = set(_paths(self.expanded, ""))
        return [path for path in FIELDS if path not in present and path not in OPTIONAL]

    @cached_property
    def code(self) -> np.ndarray | None:
        """The program that walks its records, if the schema is of the kind that can be walked."""
        try:
            return compile_program(self.expanded)
        except Unsupported:
            return None


@dataclass(frozen=True)
class Header:
    """What stands before the blocks: the writer, the sync marker, and where the blocks begin."""

    writer: Writer
    sync: bytes
    end: int


class Record(NamedTuple):
    """One record: the text that its slots refer to, and whether fastavro had to read it."""

    text: bytes
    slots: np.ndarray
    by_walking: bool


def _told(error: Exception) -> str:
    """Return an exception's kind and text without addresses of objects: no run has those twice."""
    return f"{type(error).__name__} {_ADDRESS.sub('', str(error))}"


_ADDRESS = re.compile(r" (from|at|in)? ?<[^<>]* at 0x[0-9a-f]+>")


def _without_logical_types(schema):
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        return {
            key: _without_logical_types(part)
            if key in ("type", "items", "values", "fields")
            else part
            for key, part in schema.items()
            if key != "logicalType"
        }
    return schema


def _paths(schema, path: str) -> Iterator[str]:
    schema = unwrapped(schema)
    yield path
    if isinstance(schema, list):
        for branch in schema:
            yield from _paths(branch, path)
    elif isinstance(schema, dict) and kind_of(schema) == "record":
        for field in schema["fields"]:
            inner = f"{path}.{field['name']}" if path else field["name"]
            if any(f"{wanted}.".startswith(f"{inner}.") for wanted in FIELDS):
                yield from _paths(field["type"], inner)


def read_long(text: bytes, position: int) -> tuple[int, int]:
    """Return the zigzag number at a position, and where it ends."""
    number = shift = 0
    while shift < 70:
        if position >= len(text):
            raise BadAvro("it ends within a number")
        byte = text[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80 and number < 2**64:
            return (number >> 1) ^ -(number & 1), position
        shift += 7
    raise BadAvro("a number has more than 64 bits")


def _read_bytes(text: bytes, position: int) -> tuple[bytes, int]:
    size, position = read_long(text, position)
    if not 0 <= size <= len(text) - position:
        raise BadAvro("a length in its header cannot be")
    return text[position : position + size], position + size


_known: tuple[tuple[bytes, Writer], ...] = ()
"""Headers met, the last first; replaced and never changed, for threads share it."""


def _remember(beginning: bytes, writer: Writer) -> None:
    global _known
    others = (entry for entry in _known if entry[1] is not writer)
    _known = ((beginning, writer), *others)[:KNOWN_HEADERS]


def read_header(text: bytes) -> Header:
    """Read the header of a container file.

    Headers are recognised by their bytes, which is far cheaper than parsing a schema of 20 kB.

    Raises
    ------
    BadAvro
        When it is damaged, or no Avro at all.
    """
    for place, (beginning, writer) in enumerate(_known):
        if text.startswith(beginning):
            if place:
                _remember(beginning, writer)
            return _finish_header(text, writer, len(beginning))
    if not text.startswith(MAGIC):
        raise BadAvro("it does not begin like an Avro file")
    metadata, position = {}, len(MAGIC)
    while True:
        count, position = read_long(text, position)
        if count == 0:
            break
        if count < 0:
            _, position = read_long(text, position)
        for _ in range(abs(count)):
            key, position = _read_bytes(text, position)
            metadata[key], position = _read_bytes(text, position)
    if b"avro.schema" not in metadata:
        raise BadAvro("its header holds no schema")
    codec = metadata.get(b"avro.codec", b"null").decode("ascii", "replace")
    if codec not in _CODECS:
        raise BadAvro(f"its codec {codec!r} is none of {', '.join(_CODECS)}")
    writer = Writer(metadata[b"avro.schema"], codec)
    _ = writer.schema  # a schema that cannot be read is found out here
    header = _finish_header(text, writer, position)
    _remember(text[:position], writer)
    return header


def _finish_header(text: bytes, writer: Writer, position: int) -> Header:
    end = position + SYNC_BYTES
    if len(text) < end:
        raise BadAvro("it ends within its header")
    return Header(writer, text[position:end], end)


def _inflate(block: bytes) -> bytes:
    inflater = isal_zlib.decompressobj(-15)
    text = inflater.decompress(block, MAX_RECORD_BYTES)
    if not inflater.eof:
        raise BadAvro("its deflated block does not end")
    return text


def _unsnap(block: bytes) -> bytes:
    import cramjam

    if len(block) < 4:
        raise BadAvro("its snappy block is too short")
    # Its length stands first, seven bits a byte: a damaged one must not take all memory.
    size, shift = 0, 0
    for byte in block[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > MAX_RECORD_BYTES:
        raise BadAvro(f"its snappy block would have {size:,} bytes")
    text = bytes(cramjam.snappy.decompress_raw(block[:-4]))
    if isal_zlib.crc32(text) != int.from_bytes(block[-4:]):
        raise BadAvro("the checksum of its snappy block is wrong")
    return text


_CODECS = {"null": bytes, "deflate": _inflate, "snappy": _unsnap}


def walk_stretch(text: bytes, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walk the files in a stretch of a tar that have a known header and hold one record.

    Parameters
    ----------
    text, places
        See tarball.Stretch.

    Returns
    -------
    The slots of each, int64, shape (files, fields, 3), and which of them were walked. For the
    others there are `read_header` and `read_records`, which give the same for these.
    """
    slots = np.empty((len(places), len(FIELDS), 3), np.int64)
    walked = np.zeros(len(places), bool)
    _walk_known(_known, text, places, slots, walked)
    if not walked.all():
        known = _known
        begin, size = places[walked.argmin()].tolist()
        with contextlib.suppress(BadAvro):
            read_header(text[begin : begin + size])
        _walk_known([new for new in _known if new not in known], text, places, slots, walked)
    return slots, walked


def _walk_known(
    known: Iterable[tuple[bytes, Writer]],
    text: bytes,
    places: np.ndarray,
    slots: np.ndarray,
    walked: np.ndarray,
) -> None:
    """Walk the files that have one of these headers and were not walked yet."""
    buffer = np.frombuffer(text, np.uint8)
    for beginning, writer in known:
        if walked.all():
            break
        if writer.codec == "null" and not writer.lacking and writer.code is not None:
            start = np.frombuffer(beginning, np.uint8)
            walk_files(buffer, places, start, writer.code, slots, walked)


def read_records(text: bytes, header: Header, start: int) -> Iterator[Record | BadRecord]:
    """Yield the records of a file's blocks, and a BadRecord where some are lost.

    Parameters
    ----------
    text
        A file, or a part of it that ends with a sync marker.
    header
        Its header.
    start
        Where the first block begins.

    A block counts when it is followed by the sync marker, and a record when it can be walked to
    its end; the last one has to end with its block. Behind a damaged block reading goes on at the
    next sync marker.
    """
    writer = header.writer
    if writer.lacking:
        yield BadRecord(f"its schema has no {', '.join(writer.lacking)}")
        return
    sync, position = header.sync, start
    while position < len(text):
        count, begin, end = _block(text, position)
        if begin is not None and text[end : end + SYNC_BYTES] != sync:
            mark = text[end : end + SYNC_BYTES]
            # The marker in the header may be the damaged one: blocks that agree overrule it.
            if text.find(sync, position) < 0 and text.find(mark, end + SYNC_BYTES) >= 0:
                sync = mark
            else:
                begin = None
        if begin is None:
            after = _next_block(text, position, end, sync)
            detail = "a block is not followed by the sync marker"
            yield BadRecord(detail, _plausible(count, after - position))
            position = after
            continue
        position = end + SYNC_BYTES
        if writer.codec == "null":
            yield from _block_records(text, begin, end, count, writer)
            continue
        try:
            block = _CODECS[writer.codec](text[begin:end])
        except Exception as error:  # noqa: BLE001 (each codec has errors of its own)
            yield BadRecord(
                f"a block cannot be decompressed: {_told(error)}", _plausible(count, end - begin)
            )
            continue
        yield from _block_records(block, 0, len(block), count, writer)


def _plausible(count: int, size: int) -> int:
    """Return how many records were lost with a block: what it says, unless that cannot be."""
    return count if 1 <= count <= 1 + size // 1000 else 1


def _next_block(text: bytes, position: int, end: int, sync: bytes) -> int:
    """Return where reading goes on behind a block without its marker.

    Where the block says that it ends, if a sound block stands there, with or without something
    in the marker's place; else behind the next marker.
    """
    for place in (end + SYNC_BYTES, end):
        if position < place < len(text):
            _, begin, after = _block(text, place)
            if begin is not None and text[after : after + SYNC_BYTES] == sync:
                return place
    found = text.find(sync, position)
    return len(text) if found < 0 else found + SYNC_BYTES


def _block(text: bytes, position: int) -> tuple[int, int | None, int]:
    """Return a block's number of records, and where its data begin (None if broken) and end."""
    count = 0
    try:
        count, begin = read_long(text, position)
        size, begin = read_long(text, begin)
    except BadAvro:
        return count, None, 0
    if count < 0 or not 0 <= size <= len(text) - begin - SYNC_BYTES:
        return count, None, 0
    return count, begin, begin + size


def _block_records(
    text: bytes, position: int, end: int, count: int, writer: Writer
) -> Iterator[Record | BadRecord]:
    """Yield the records of one block that is between its markers."""
    # The last record is held back: it has to end with its block, and be as late as it says.
    held, held_from = None, position
    found = 0
    buffer = np.frombuffer(text, np.uint8)
    while position < end:
        slots = np.empty((len(FIELDS), 3), np.int64)
        after = FAILED
        if writer.code is not None:
            after = walk_record(buffer, position, end, writer.code, slots)
        if after != FAILED and (after == end) == (found + 1 == count):
            record = Record(text, slots, True)
        else:
            try:
                record, after = _read_record(text, position, end, writer)
            except BadAvro as error:
                left = max(1, _plausible(count, end - position) - found)
                tail, records = _find_tail(text, held_from + 1, end, left, writer)
                if tail < position:
                    # It begins within the record before: that one's length is what is wrong.
                    held = None
                    left += 1
                elif records == left:
                    # The broken one would be among them.
                    tail, records = end, 0
                if held is not None:
                    yield held
                    held = None
                yield BadRecord(str(error), left - records)
                if not records:
                    return
                found = count - records
                position = held_from = tail
                continue
        if after == position:
            break
        if found >= count and not _looks_like_alert(record):
            # Zeros, for one, can be read as records without end.
            break
        if held is not None:
            yield held
        held, held_from = record, position
        found += 1
        position = after
    if found == count and position >= end:
        if held is not None:
            yield held
        return
    # Where its records begin and end is then not proved: that costs one of them.
    lost = 1 if found else _plausible(count, end - position)
    yield BadRecord(f"a block says that it holds {count} records, and holds {found}", lost)


def _find_tail(text: bytes, start: int, end: int, most: int, writer: Writer) -> tuple[int, int]:
    """Return where whole records begin that lead to the end of a block, and how many they are.

    Avro has no mark between records: where the next one begins behind a broken one is found by
    trying, and proved by records that follow each other, at most as many as the block still has:
    the first looks like an alert, and the last ends with the block.
    """
    slots = np.empty((len(FIELDS), 3), np.int64)
    if writer.code is None or not most:
        return end, 0
    buffer = np.frombuffer(text, np.uint8)
    best, best_end, most_found = end, end, 0
    place = start - 1
    while (place := find_record(buffer, place + 1, best_end, writer.code, slots)) != FAILED:
        if not _looks_like_alert(Record(text, slots, True)):
            continue
        position = first_end = walk_record(buffer, place, end, writer.code, slots)
        found = 1
        while FAILED != position < end and found < most:
            position = walk_record(buffer, position, end, writer.code, slots)
            found += 1
        # A text of the broken record may reach over the next ones: the most and the shortest are
        # the true ones.
        if position == end and found >= most_found:
            best, best_end, most_found = place, first_end, found
    return best, most_found


def _looks_like_alert(record: Record) -> bool:
    """Return whether a record names an object and has packed stamps: few bytes do by chance."""
    text = record.text
    kind, begin, size = record.slots[SLOTS["objectId"]].tolist()
    name = text[begin : begin + size] if kind == SPAN else b""
    if not (0 < len(name) <= OBJECT_ID_BYTES and name.isascii() and name.decode().isprintable()):
        return False
    images = record.slots[[SLOTS[path] for path in IMAGES]]
    beginnings = [text[at : at + 2] for kind, at, _ in images.tolist() if kind != NULL]
    return all(beginning == GZIP_MAGIC for beginning in beginnings)


def _read_record(text: bytes, position: int, end: int, writer: Writer) -> tuple[Record, int]:
    """Read one record with fastavro, and return it and where it ends."""
    import fastavro

    stream = io.BytesIO(text[position:end])
    try:
        # A tuple names the branch of a union, which nobody needs here.
        document = fastavro.schemaless_reader(stream, writer.schema)
    except Exception as error:
        raise BadAvro(f"a record cannot be read: {_told(error)}") from error
    return as_record(document), position + stream.tell()


def as_record(document) -> Record:
    """Return the form that walking gives to a record that fastavro has read.

    Raises
    ------
    BadAvro
        When a field is not of its kind.
    """
    slots = np.zeros((len(FIELDS), 3), np.int64)
    text = bytearray()
    for path, slot in SLOTS.items():
        value = document
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            slots[slot, 0] = NULL
        elif isinstance(value, str | bytes) and (path in TEXTS or path in IMAGES):
            content = value.encode() if isinstance(value, str) else value
            slots[slot] = SPAN, len(text), len(content)
            text += content
        elif isinstance(value, float) and path not in TEXTS and path not in IMAGES:
            slots[slot, :2] = REAL, np.float64(value).view(np.int64)
        elif type(value) is int and path not in TEXTS and path not in IMAGES and abs(value) < 2**63:
            slots[slot, :2] = INTEGER, value
        else:
            raise BadAvro(f"{path} is a {type(value).__name__}")
    return Record(bytes(text), slots, False)
