"""Avro container files: headers, blocks and records, where a broken one costs itself only.

Each block says how many records it holds, also in a file whose schema or codec cannot be read. So
what is lost is counted in records.

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
from skymill.alerts.schemas import BadAvro, Schema, read_schema, told
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
"""Headers that are remembered, with what they were compiled to."""

MAX_RECORD_BYTES = 2**26
"""Longest record, and longest block after decompression."""

MOST_RECORDS = 2**14
"""Alerts of a file, or of a part of a long one: each takes memory for its pixels."""

UNPACKED_FLOOR, UNPACKED_RATIO = 2**20, 32
"""Bytes that the blocks of a file may always have together, and how many times its own size."""

LEAST_RECORD_BYTES = 64
"""Fewest bytes of an alert: a block that says that it holds more of them is not believed."""

DICTIONARY_BYTES = 2**28
"""Most memory that reading an xz block may take; the strongest setting of xz takes 65 MB."""

ROOM_BYTES = 2**20
"""How large a zstandard block is thought to be at first."""

CHAIN_FLOOR = 2**10
"""Blocks without their markers that are followed in any file."""

MOST_WORK, WORK_PER_BYTE = 2**32, 2**14
"""Operations of the compiled loop that a search for the next record may take."""

FOUND_WORK = 2**6
"""Places that could be passed over while one is looked at that is found."""

MOST_ENTRIES = 2**10
"""Entries of a header."""

HEADER_BYTES = 2**18
"""Where the first block is looked for when a header cannot be read; ZTF's headers have 20 kB."""


class BadRecord(Exception):
    """One record, or the rest of a block, cannot be read; `lost` says how many records."""

    def __init__(self, detail: str, lost: int = 1):
        super().__init__(detail)
        self.lost = lost


@dataclass(frozen=True)
class Writer:
    """The writer's schema of a file, and its codec; `damage` says why neither is known."""

    schema_text: bytes
    codec: str
    damage: str | None = None

    @cached_property
    def schema(self) -> Schema:
        """The schema; a BadAvro where there is none."""
        return read_schema(self.schema_text)

    @cached_property
    def lacking(self) -> list[str]:
        """The fields that an alert needs and this schema has not."""
        present = set(_paths(self.schema.expanded, ""))
        lacking = [path for path in FIELDS if path not in present and path not in OPTIONAL]
        return lacking if present & {*CANDIDS} else [CANDIDS[0], *lacking]

    @cached_property
    def problem(self) -> str | None:
        """Why no record can be read, None if records can be."""
        if self.damage:
            return self.damage
        if self.codec not in _CODECS:
            return f"its codec {self.codec!r:.40} is none of {', '.join(_CODECS)}"
        try:
            lacking = self.lacking
        except BadAvro as error:
            return str(error)
        return f"its schema has no {', '.join(lacking)}" if lacking else None

    @cached_property
    def code(self) -> np.ndarray | None:
        """The program that walks its records, if the schema is of the kind that can be walked."""
        try:
            return compile_program(self.schema.expanded)
        except Unsupported:
            return None


@dataclass(frozen=True)
class Header:
    """What stands before the blocks: the writer, the sync marker, and where the blocks begin."""

    writer: Writer
    sync: bytes
    end: int


class Record(NamedTuple):
    """One record: the text that its slots refer to, and whether the compiled loop read it."""

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
            if any(f"{wanted}.".startswith(f"{inner}.") for wanted in FIELDS):
                yield from _paths(field["type"], inner)


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

    Headers are recognised by their bytes, which is far cheaper than parsing a schema of 20 kB. Of
    a file whose header is damaged the header says where its blocks are, as far as they can be
    found, and that no record can be read.

    Raises
    ------
    BadAvro
        When it is no Avro at all, or so damaged that no block can be found.
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
    """Return what stands in a header, and where its sync marker begins."""
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
    # The marker in the header may be the damaged one: blocks that agree overrule it.
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
    # Its length stands first, seven bits a byte: a damaged one must not take all memory.
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

    # Its length need not be known before: a larger room is tried until it fits.
    size = min(ROOM_BYTES, room)
    while True:
        output = bytearray(size)
        try:
            return bytes(memoryview(output)[: cramjam.zstd.decompress_into(block, output)])
        except cramjam.DecompressionError:
            if size == room:
                raise
        size = min(8 * size, room)


# Each is given a block, and the most bytes that it may hold.
_CODECS = {
    "null": None,
    "deflate": _inflate,
    "snappy": _unsnap,
    "bzip2": _unzip2,
    "xz": _unxz,
    "zstandard": _unzstandard,
}


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
        if writer.codec == "null" and not writer.problem and writer.code is not None:
            start = np.frombuffer(beginning, np.uint8)
            walk_files(buffer, places, start, writer.code, slots, walked)


def read_records(
    text: bytes, header: Header, start: int, damage: str | None = None
) -> Iterator[Record | BadRecord]:
    """Yield the records of a file's blocks, and a BadRecord where some are lost.

    Parameters
    ----------
    text
        A file, or a part of it that ends with a sync marker.
    header
        Its header.
    start
        Where the first block begins.
    damage
        Why none of its records is to be trusted, if so.

    A block counts when it is followed by the sync marker, and a record when it can be walked to
    its end; the last one has to end with its block. Behind a damaged block reading goes on at the
    next sync marker. What is lost is counted by the numbers that blocks begin with.
    """
    writer = header.writer
    blocks = _blocks(text, header.sync, start, writer.codec)
    if problem := damage or writer.problem:
        # A file of which not even a block is left was a file of one alert, as nearly all are.
        lost = sum(
            each.lost
            if isinstance(each, BadRecord)
            else each.count and _believed(each.count, each.end - each.begin, writer.codec)
            for each in blocks
        )
        yield BadRecord(problem, max(1, lost))
        return
    # What a file holds stays in memory until all of it is read.
    room, records = UNPACKED_FLOOR + UNPACKED_RATIO * len(text), 0
    for block in blocks:
        if isinstance(block, BadRecord):
            yield block
            continue
        begin, end, count = block
        lost = _believed(count, end - begin, writer.codec)
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
        except Exception as error:  # noqa: BLE001 (each codec has errors of its own)
            yield BadRecord(f"a block cannot be decompressed: {told(error)}", lost)
            continue
        room -= len(unpacked)
        for record in _block_records(unpacked, 0, len(unpacked), count, writer):
            records += 1
            yield record


class _Block(NamedTuple):
    """A block between its markers: where its data begin and end, and its number of records."""

    begin: int
    end: int
    count: int


def _blocks(text: bytes, sync: bytes, start: int, codec: str) -> list[_Block | BadRecord]:
    """Return the blocks that a sync marker follows, and a BadRecord for what is between them."""
    found: list[_Block | tuple[int, int, int | None]] = []
    position, records, size = start, 0, 0
    # Bytes made to that end could look like a chain of blocks from every place on.
    steps = CHAIN_FLOOR + len(text) // SYNC_BYTES
    while position < len(text):
        count, begin, end = _block(text, position)
        if begin is not None and text[end : end + SYNC_BYTES] == sync:
            records, size = records + _believed(count, end - begin, codec), size + end - begin
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
    """Return what tells of the records between two places; see `_estimate` where `lost` is None."""
    if lost is None:
        lost = _estimate(text, position, after, records, size, codec)
    return BadRecord("a block is not followed by the sync marker", max(1, lost))


def _estimate(text: bytes, position: int, after: int, records: int, size: int, codec: str) -> int:
    """Return about how many records were lost from a position on.

    Where the block there ends is not known, so one of its two numbers may be the damaged one. They
    are believed if they fit to each other as those of the file's sound blocks, which hold `records`
    in `size` bytes.
    """
    try:
        count, begin = read_long(text, position)
        stated, _ = read_long(text, begin)
    except BadAvro:
        count = stated = 0
    if not records or not size:
        return _believed(count, after - position, codec)
    likely = round((after - position) * records / size)
    fits = count > 0 and count * size <= 4 * stated * records <= 16 * count * size
    return max(count, likely) if fits else likely


def _believed(count: int, size: int, codec: str) -> int:
    """Return how many records were lost with a block: what it says, unless that cannot be."""
    room = size if codec == "null" else min(UNPACKED_RATIO * size, MAX_RECORD_BYTES)
    return count if 1 <= count <= 1 + room // LEAST_RECORD_BYTES else 1


def _lost_blocks(
    text: bytes, position: int, sync: bytes, codec: str, steps: int
) -> tuple[int, int | None, int]:
    """Return where reading goes on behind a block without its marker, and the records until there.

    Blocks that follow each other, with or without something in the marker's place, up to a sound
    one or the end of the text, are believed. Else reading goes on behind the next marker, and how
    many records were lost is not known: None. At most `steps` blocks are followed; how many are
    left is returned as well.
    """
    for gap in (SYNC_BYTES, 0):
        place, lost = position, 0
        while steps > 0:
            steps -= 1
            count, begin, end = _block(text, place)
            if begin is None or count < 1:
                break
            lost += _believed(count, end - begin, codec)
            place = end + gap
            if place >= len(text) or _is_sound(text, place, sync):
                return min(place, len(text)), lost, steps
    found = text.find(sync, position)
    return (len(text) if found < 0 else found + SYNC_BYTES), None, steps


def _is_sound(text: bytes, position: int, sync: bytes) -> bool:
    """Return whether the sync marker follows the block at a position."""
    _, begin, end = _block(text, position)
    return begin is not None and text[end : end + SYNC_BYTES] == sync


def last_block_end(text: bytes, start: int) -> int:
    """Return where the last whole block behind `start` ends, whatever is in its marker's place."""
    place = start
    while place < len(text):
        count, begin, end = _block(text, place)
        if begin is None or count < 1 or end + SYNC_BYTES > len(text):
            break
        place = end + SYNC_BYTES
    return place


def _block(text: bytes, position: int) -> tuple[int, int | None, int]:
    """Return a block's number of records, and where its data begin (None if broken) and end."""
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
                left = max(1, _believed(count, end - position, "null") - found)
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
        if found >= count and (found >= MOST_RECORDS or not _looks_like_alert(record)):
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
    lost = 1 if found else _believed(count, end - position, "null")
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
    # Bytes made to that end could be read as records from every place on.
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
        # A text of the broken record may reach over the next ones: the most and the shortest are
        # the true ones.
        if position == end and found + 1 >= most_found:
            best, best_end, most_found = place, first_end, found + 1


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
    """Read one record that cannot be walked, and return it and where it ends."""
    try:
        kept, slots, after = read_record(text, position, end, writer.schema)
    except BadAvro as error:
        raise BadAvro(f"a record cannot be read: {error}") from error
    return Record(kept, slots, False), after
