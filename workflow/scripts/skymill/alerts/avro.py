"""Read Avro container files: headers, blocks and records.

A damaged record or block does not cost its neighbours. Each block states its number of records,
even in a file whose schema or codec cannot be read. So losses are counted in records.

Source: Apache Avro 1.11 specification, section Object Container Files.
"""

import bz2
import contextlib
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from isal import isal_zlib

from skymill.alerts.fits import GZIP_MAGIC
from skymill.alerts.general import read_long, read_record
from skymill.alerts.packet import (
    CANDIDS,
    FIELDS,
    IMAGES,
    OBJECT_ID_BYTES,
    OPTIONAL,
    SLOTS,
)
from skymill.alerts.program import Unsupported, compile_program, kind_of, unwrapped
from skymill.alerts.schemas import BadAvro, Schema, describe_error, read_schema
from skymill.alerts.walk import (
    FAILED,
    NULL,
    SPAN,
    SYNC_BYTES,
    find_first_block,
    find_record,
    follow_records,
    walk_files,
    walk_record,
)

MAGIC = b"Obj\x01"

KNOWN_HEADERS = 32
"""Number of headers that are cached, each with its compiled program."""

MAX_RECORD_BYTES = 2**26
"""Longest record, and longest block after decompression."""

MOST_RECORDS = 2**14
"""Maximum alerts of a file, or of a part of a long file: each alert needs memory for its pixels."""

UNPACKED_FLOOR, UNPACKED_RATIO = 2**20, 32
"""Limits of the decompressed size of all blocks of a file: the file may always have this many
bytes, plus this many times its packed size."""

LEAST_RECORD_BYTES = 64
"""Minimum size of an alert in bytes. A block is not trusted if it claims more alerts than fit."""

DICTIONARY_BYTES = 2**28
"""Maximum memory to read an xz block, in bytes; the strongest setting of xz needs 65 MB."""

ROOM_BYTES = 2**20
"""First guess of the decompressed size of a zstandard block."""

CHAIN_FLOOR = 2**10
"""Blocks without sync markers that are followed in a file of any size."""

MOST_WORK, WORK_PER_BYTE = 2**32, 2**14
"""Operations of the compiled loop that a search for the next record may take."""

FOUND_WORK = 2**6
"""Work that one candidate record costs: the search could check this many places instead."""

MOST_ENTRIES = 2**10
"""Entries of a header."""

HEADER_BYTES = 2**18
"""Bytes that are searched for the first block when a header cannot be read. ZTF's headers have
20 kB."""


class BadRecord(Exception):
    """A record, or the rest of a block, cannot be read; `lost` is the number of lost records."""

    def __init__(self, detail: str, lost: int = 1):
        super().__init__(detail)
        self.lost = lost


@dataclass(frozen=True)
class Writer:
    """The writer's schema and the codec of a file; `damage` says why both are unknown."""

    schema_text: bytes
    codec: str
    damage: str | None = None

    @cached_property
    def schema(self) -> Schema:
        """The schema; raises BadAvro if it cannot be read."""
        return read_schema(self.schema_text)

    @cached_property
    def missing(self) -> list[str]:
        """The fields that an alert needs and that are missing in this schema."""
        present = set(_paths(self.schema.expanded, ""))
        missing = [path for path in FIELDS if path not in present and path not in OPTIONAL]
        return missing if present & {*CANDIDS} else [CANDIDS[0], *missing]

    @cached_property
    def problem(self) -> str | None:
        """Why no record can be read; None if records can be read."""
        if self.damage:
            return self.damage
        if self.codec not in _CODECS:
            return f"its codec {self.codec!r:.40} is none of {', '.join(_CODECS)}"
        try:
            missing = self.missing
        except BadAvro as error:
            return str(error)
        return f"its schema has no {', '.join(missing)}" if missing else None

    @cached_property
    def code(self) -> np.ndarray | None:
        """The program that walks the records; None if this schema cannot be walked."""
        try:
            return compile_program(self.schema.expanded)
        except Unsupported:
            return None


@dataclass(frozen=True)
class Header:
    """The header of a file: the writer, the sync marker, and where the blocks begin."""

    writer: Writer
    sync: bytes
    end: int


class Record(NamedTuple):
    """One record: a text, slots that refer to the text, and whether the compiled loop read it."""

    text: bytes
    slots: np.ndarray
    by_walking: bool


def _paths(schema, path: str) -> Iterator[str]:
    schema = unwrapped(schema)
    yield path
    if isinstance(schema, list):
        for branch in schema:
            yield from _paths(branch, path)
    elif isinstance(schema, dict) and kind_of(schema) == "record":
        for field in schema["fields"]:
            inner = f"{path}.{field['name']}" if path else field["name"]
            if any(f"{needed}.".startswith(f"{inner}.") for needed in FIELDS):
                yield from _paths(field["type"], inner)


def _read_bytes(text: bytes, position: int) -> tuple[bytes, int]:
    size, position = read_long(text, position)
    if not 0 <= size <= len(text) - position:
        raise BadAvro("a length in its header cannot be")
    return text[position : position + size], position + size


_known: tuple[tuple[bytes, Writer], ...] = ()
"""Headers that were read, latest first. Threads share the tuple, so it is replaced, not changed."""


def _remember(beginning: bytes, writer: Writer) -> None:
    global _known
    others = (entry for entry in _known if entry[1] is not writer)
    _known = ((beginning, writer), *others)[:KNOWN_HEADERS]


def read_header(text: bytes) -> Header:
    """Read the header of a container file.

    Known headers are recognised by their bytes, which is much faster than parsing a schema of
    20 kB. If the header of the file is damaged but blocks are found, the result says where the
    blocks begin, and that no record can be read.

    Raises
    ------
    BadAvro
        When the file is not Avro, or so damaged that no block can be found.
    """
    for place, (beginning, writer) in enumerate(_known):
        if text.startswith(beginning):
            if place:
                _remember(beginning, writer)
            return _finish_header(text, writer, len(beginning))
    try:
        metadata, position = _read_metadata(text)
    except BadAvro as error:
        begin = find_first_block(np.frombuffer(text, np.uint8), HEADER_BYTES)
        if begin == FAILED:
            raise
        return Header(Writer(b"", "null", str(error)), text[begin - SYNC_BYTES : begin], begin)
    codec = metadata.get(b"avro.codec", b"null").decode("ascii", "replace")
    writer = Writer(metadata[b"avro.schema"], codec)
    header = _finish_header(text, writer, position)
    _remember(text[:position], writer)
    return header


def _read_metadata(text: bytes) -> tuple[dict[bytes, bytes], int]:
    """Return the entries of a header, and where its sync marker begins."""
    if not text.startswith(MAGIC):
        raise BadAvro("it does not begin like an Avro file")
    metadata, position, entries = {}, len(MAGIC), 0
    while True:
        count, position = read_long(text, position)
        if count == 0:
            break
        if count < 0:
            _, position = read_long(text, position)
        for _ in range(abs(count)):
            entries += 1
            if entries > MOST_ENTRIES:
                raise BadAvro(f"its header has more than {MOST_ENTRIES:,} entries")
            key, position = _read_bytes(text, position)
            metadata[key], position = _read_bytes(text, position)
    if b"avro.schema" not in metadata:
        raise BadAvro("its header holds no schema")
    return metadata, position


def _finish_header(text: bytes, writer: Writer, position: int) -> Header:
    end = position + SYNC_BYTES
    if len(text) < end:
        raise BadAvro("it ends within its header")
    sync = text[position:end]
    # The marker in the header may be damaged: if the markers of the blocks agree, they win.
    _, begin, after = _block(text, end)
    if begin is not None:
        mark = text[after : after + SYNC_BYTES]
        is_other = len(mark) == SYNC_BYTES and mark != sync and text.find(sync, end) < 0
        if is_other and text.find(mark, after + SYNC_BYTES) >= 0:
            sync = mark
    return Header(writer, sync, end)


def _inflate(block: bytes, room: int) -> bytes:
    inflater = isal_zlib.decompressobj(-15)
    text = inflater.decompress(block, room)
    if not inflater.eof:
        raise BadAvro("its deflated block does not end")
    return text


def _unsnap(block: bytes, room: int) -> bytes:
    import cramjam

    if len(block) < 4:
        raise BadAvro("its snappy block is too short")
    # The block begins with its length, seven bits per byte. A damaged length must not take all
    # memory.
    size, shift = 0, 0
    for byte in block[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > room:
        raise BadAvro(f"its snappy block would have {size:,} bytes")
    text = bytes(cramjam.snappy.decompress_raw(block[:-4]))
    if isal_zlib.crc32(text) != int.from_bytes(block[-4:]):
        raise BadAvro("the checksum of its snappy block is wrong")
    return text


def _unzip2(block: bytes, room: int) -> bytes:
    return _whole(bz2.BZ2Decompressor(), block, room)


def _unxz(block: bytes, room: int) -> bytes:
    return _whole(lzma.LZMADecompressor(memlimit=DICTIONARY_BYTES), block, room)


def _whole(
    decompressor: bz2.BZ2Decompressor | lzma.LZMADecompressor, block: bytes, room: int
) -> bytes:
    text = decompressor.decompress(block, room)
    if not decompressor.eof:
        raise BadAvro("its compressed block does not end")
    return text


def _unzstandard(block: bytes, room: int) -> bytes:
    import cramjam

    # The decompressed length may be unknown: try larger buffers until the block fits.
    size = min(ROOM_BYTES, room)
    while True:
        output = bytearray(size)
        try:
            return bytes(memoryview(output)[: cramjam.zstd.decompress_into(block, output)])
        except cramjam.DecompressionError:
            if size == room:
                raise
        size = min(8 * size, room)


# Each function takes a block and the largest decompressed size that is allowed.
_CODECS = {
    "null": None,
    "deflate": _inflate,
    "snappy": _unsnap,
    "bzip2": _unzip2,
    "xz": _unxz,
    "zstandard": _unzstandard,
}


def walk_stretch(text: bytes, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walk the files of a stretch of a tar that have a known header and contain one record.

    Parameters
    ----------
    text, places
        See tarball.Stretch.

    Returns
    -------
    The slots of each file, int64, shape (files, fields, 3), and which files were walked. Use
    `read_header` and `read_records` for the other files; for walked files they return the same
    values.
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
    """Walk the files that have one of the known headers and were not walked yet."""
    buffer = np.frombuffer(text, np.uint8)
    for beginning, writer in known:
        if walked.all():
            break
        if writer.codec == "null" and not writer.problem and writer.code is not None:
            start = np.frombuffer(beginning, np.uint8)
            walk_files(buffer, places, start, writer.code, slots, walked)


def read_records(
    text: bytes, header: Header, start: int, damage: str | None = None
) -> Iterator[Record | BadRecord]:
    """Yield the records of a file's blocks, and a BadRecord where records are lost.

    Parameters
    ----------
    text
        A file, or a part of it that ends with a sync marker.
    header
        Its header.
    start
        Where the first block begins.
    damage
        Why no record of the file can be trusted; None if they can.

    A block is valid if the sync marker follows it. A record is valid if it can be walked to its
    end; the last record must end with its block. After a damaged block, reading resumes at the next
    sync marker. Lost records are counted by the numbers at the beginning of the blocks.
    """
    writer = header.writer
    blocks = _blocks(text, header.sync, start, writer.codec)
    if problem := damage or writer.problem:
        # If no block is left, the file counts as one alert: nearly all files contain one alert.
        lost = sum(
            each.lost
            if isinstance(each, BadRecord)
            else each.count and _credible(each.count, each.end - each.begin, writer.codec)
            for each in blocks
        )
        yield BadRecord(problem, max(1, lost))
        return
    # The decompressed blocks stay in memory until the whole file is read.
    room, records = UNPACKED_FLOOR + UNPACKED_RATIO * len(text), 0
    for block in blocks:
        if isinstance(block, BadRecord):
            yield block
            continue
        begin, end, count = block
        lost = _credible(count, end - begin, writer.codec)
        if records >= MOST_RECORDS:
            yield BadRecord(f"a file, or 4 MB of it, has more than {MOST_RECORDS:,} alerts", lost)
            continue
        if writer.codec == "null":
            for record in _block_records(text, begin, end, count, writer):
                records += 1
                yield record
            continue
        try:
            unpacked = _CODECS[writer.codec](text[begin:end], min(room, MAX_RECORD_BYTES))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 (each codec has its own errors)
            yield BadRecord(f"a block cannot be decompressed: {describe_error(error)}", lost)
            continue
        room -= len(unpacked)
        for record in _block_records(unpacked, 0, len(unpacked), count, writer):
            records += 1
            yield record


class _Block(NamedTuple):
    """A block: where its data begin and end, without the markers, and its number of records."""

    begin: int
    end: int
    count: int


def _blocks(text: bytes, sync: bytes, start: int, codec: str) -> list[_Block | BadRecord]:
    """Return the sound blocks, and a BadRecord for each gap between them."""
    found: list[_Block | tuple[int, int, int | None]] = []
    position, records, size = start, 0, 0
    # Hostile bytes could look like a chain of blocks from every place.
    steps = CHAIN_FLOOR + len(text) // SYNC_BYTES
    while position < len(text):
        count, begin, end = _block(text, position)
        if _is_sound(text, position, sync) and not _skips_a_block(text, begin, end, sync):
            records, size = records + _credible(count, end - begin, codec), size + end - begin
            found.append(_Block(begin, end, count))
            position = end + SYNC_BYTES
            continue
        after, lost, steps = _lost_blocks(text, position, sync, codec, steps)
        found.append((position, after, lost))
        position = after
    return [
        each if isinstance(each, _Block) else _lost(text, *each, records, size, codec)
        for each in found
    ]


def _lost(
    text: bytes, position: int, after: int, lost: int | None, records: int, size: int, codec: str
) -> BadRecord:
    """Return the BadRecord for the records between two places; `lost` None means: estimate."""
    if lost is None:
        lost = _estimate(text, position, after, records, size, codec)
    return BadRecord("a block is not followed by the sync marker", max(1, lost))


def _estimate(text: bytes, position: int, after: int, records: int, size: int, codec: str) -> int:
    """Estimate how many records were lost after a position.

    The end of the damaged block is unknown, so its count or its size may be wrong. Both numbers
    are trusted if their ratio is close to that of the file's sound blocks, which contain `records`
    records in `size` bytes.
    """
    try:
        count, begin = read_long(text, position)
        stated, _ = read_long(text, begin)
    except BadAvro:
        count = stated = 0
    if not records or not size:
        return _credible(count, after - position, codec)
    likely = round((after - position) * records / size)
    fits = count > 0 and count * size <= 4 * stated * records <= 16 * count * size
    return max(count, likely) if fits else likely


def _credible(count: int, size: int, codec: str) -> int:
    """Return the number of records that a block states, or 1 if that number is impossible."""
    room = size if codec == "null" else min(UNPACKED_RATIO * size, MAX_RECORD_BYTES)
    return count if 1 <= count <= 1 + room // LEAST_RECORD_BYTES else 1


def _lost_blocks(
    text: bytes, position: int, sync: bytes, codec: str, steps: int
) -> tuple[int, int | None, int]:
    """Return where reading resumes after a block without its marker, and the records until there.

    Blocks that follow each other are trusted if they lead to a sound block, or to the end of a
    text without another marker. They may have wrong bytes in the place of the marker, or no marker
    at all. Otherwise reading resumes after the next marker, and the number of lost records is
    unknown (None). At most `steps` blocks are followed; the number of steps that are left is the
    third value.
    """
    marker = text.find(sync, position)
    for gap in (SYNC_BYTES, 0):
        place, lost = position, 0
        while steps > 0:
            steps -= 1
            count, begin, end = _block(text, place)
            if begin is None or count < 1 or _skips_a_block(text, begin, end, sync):
                break
            lost += _credible(count, end - begin, codec)
            place = end + gap
            if _is_sound(text, place, sync) or (marker < 0 and place >= len(text)):
                return min(place, len(text)), lost, steps
    return (len(text) if marker < 0 else marker + SYNC_BYTES), None, steps


def _is_sound(text: bytes, position: int, sync: bytes) -> bool:
    """Return whether the sync marker follows the block at a position."""
    _, begin, end = _block(text, position)
    return begin is not None and text[end : end + SYNC_BYTES] == sync


def _skips_a_block(text: bytes, begin: int, end: int, sync: bytes) -> bool:
    """Return whether a block contains another one: a wrong size can lead to a later marker."""
    marker = text.find(sync, begin, end)
    inner = marker + SYNC_BYTES
    return marker >= 0 and _block(text, inner)[0] > 0 and _is_sound(text, inner, sync)


def last_block_end(text: bytes, start: int) -> int:
    """Return where the last whole block after `start` ends; markers may have any bytes."""
    place = start
    while place < len(text):
        count, begin, end = _block(text, place)
        if begin is None or count < 1 or end + SYNC_BYTES > len(text):
            break
        place = end + SYNC_BYTES
    return place


def _block(text: bytes, position: int) -> tuple[int, int | None, int]:
    """Return a block's number of records, where its data begin (None if damaged), and end."""
    count = 0
    try:
        count, begin = read_long(text, position)
        size, begin = read_long(text, begin)
    except BadAvro:
        return count, None, 0
    if count < 0 or not 0 <= size <= len(text) - begin:
        return count, None, 0
    return count, begin, begin + size


def _block_records(
    text: bytes, position: int, end: int, count: int, writer: Writer
) -> Iterator[Record | BadRecord]:
    """Yield the records of one block that ends with its marker."""
    # The last record is held back: it must end with its block, and its number must be the stated
    # number of records.
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
                left = max(1, _credible(count, end - position, "null") - found)
                tail, records = _find_tail(text, held_from + 1, end, left, writer)
                if tail < position:
                    # The tail begins within the previous record, so the previous record's length
                    # is wrong.
                    held = None
                    left += 1
                elif records == left:
                    # The tail would include the damaged record.
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
        if found >= count and (found >= MOST_RECORDS or not _looks_like_alert(record)):
            # Some bytes, such as zeros, can be read as endless records.
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
    # The borders of the records are not proved, so one record counts as lost.
    lost = 1 if found else _credible(count, end - position, "null")
    yield BadRecord(f"a block says that it holds {count} records, and holds {found}", lost)


def _find_tail(text: bytes, start: int, end: int, most: int, writer: Writer) -> tuple[int, int]:
    """Return where a chain of whole records up to the end of a block begins, and its length.

    Avro has no mark between records. So every place after a damaged record is tried as the
    beginning of the next record. The chain proves the place: its first record looks like an alert,
    its last record ends with the block, and it has at most `most` records.
    """
    slots = np.empty((len(FIELDS), 3), np.int64)
    if writer.code is None or not most:
        return end, 0
    buffer = np.frombuffer(text, np.uint8)
    best, best_end, most_found = end, end, 0
    # Hostile bytes could be read as records from every place.
    work = min(MOST_WORK, WORK_PER_BYTE * (end - start)) // len(writer.code)
    place = start - 1
    while True:
        place, work = find_record(buffer, place + 1, best_end, writer.code, slots, work)
        if place == FAILED or work < 0:
            return best, most_found
        work -= FOUND_WORK
        if not _looks_like_alert(Record(text, slots, True)):
            continue
        first_end = walk_record(buffer, place, end, writer.code, slots)
        position, found, work = follow_records(
            buffer, first_end, end, writer.code, slots, most - 1, work
        )
        # A text in the damaged record may extend over the following records: the chain with the
        # most and shortest records is the true one.
        if position == end and found + 1 >= most_found:
            best, best_end, most_found = place, first_end, found + 1


def _looks_like_alert(record: Record) -> bool:
    """Return whether a record has an object name and gzipped stamps, which is rare by chance."""
    text = record.text
    kind, begin, size = record.slots[SLOTS["objectId"]].tolist()
    name = text[begin : begin + size] if kind == SPAN else b""
    if not (0 < len(name) <= OBJECT_ID_BYTES and name.isascii() and name.decode().isprintable()):
        return False
    images = record.slots[[SLOTS[path] for path in IMAGES]]
    beginnings = [text[at : at + 2] for kind, at, _ in images.tolist() if kind != NULL]
    return all(beginning == GZIP_MAGIC for beginning in beginnings)


def _read_record(text: bytes, position: int, end: int, writer: Writer) -> tuple[Record, int]:
    """Read a record that cannot be walked; return the record and where it ends."""
    try:
        kept, slots, after = read_record(text, position, end, writer.schema)
    except BadAvro as error:
        raise BadAvro(f"a record cannot be read: {error}") from error
    return Record(kept, slots, False), after
