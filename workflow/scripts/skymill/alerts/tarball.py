"""Read the Avro files of a night from a tarball as a stream, or from a folder, without unpacking.

This module reads the tar format itself, without `tarfile`. After a damaged header, reading resumes
at the next header with a right checksum, so a flipped bit costs one member and not the rest of the
night. A member is an alert file by its name or by its first bytes, gzipped or not.

Source: POSIX.1-2017, pax, section ustar Interchange Format; GNU tar manual for long names.
"""

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from isal import igzip_lib, isal_zlib

from skymill.alerts.avro import (
    MAGIC,
    MAX_RECORD_BYTES,
    SYNC_BYTES,
    BadAvro,
    Header,
    last_block_end,
    read_header,
)
from skymill.alerts.fits import GZIP_MAGIC
from skymill.alerts.members import BLOCK, KIND, find_members, is_header
from skymill.engine.gzipped import TOO_MUCH, most_bytes, open_file
from skymill.engine.listing import DANGLING, in_order, is_note, list_files, require_no_loops
from skymill.engine.tar import (
    EXTENSIONS,
    LONGEST_EXTENSION,
    NO_DATA,
    REGULAR,
    SPARSE,
    Announced,
    more_sparse_blocks,
    read_name,
)

READ_BYTES = 3 * 2**20
"""Compressed bytes that are read at a time. Other threads run while these bytes inflate."""

CAREFUL_BYTES = 2**13
"""Compressed bytes that are read at a time near damage in a gzip stream. At most these are lost."""

MEMBER_BYTES = 2**12
"""Compressed bytes of a packed member that are read at a time."""

HEAD_BYTES = 2**9
"""Bytes that are checked to find the type of a member."""

TRAILER_BYTES = 8
"""CRC and length at the end of a gzip file. They are inflated separately, so that a wrong CRC or
length does not cost the data before it."""

INFLATE_BYTES = 2**23
"""Maximum number of bytes that are inflated at a time."""

PART_BYTES = 2**22
"""Longer files, which contain many records, are cut into parts at their sync markers."""

STRETCH_FILES = 256
"""Maximum number of files in a stretch."""

UNPACKED_FLOOR, UNPACKED_RATIO = 2**22, 100
"""Limits of the unpacked size of a packed member: it may always have this many bytes, plus this
many times its packed size. Avro packs to a third."""

_ZEROS = bytes(BLOCK)
_GZIP_ERRORS = (igzip_lib.error, isal_zlib.error, zlib.error, EOFError, ValueError)


@dataclass(frozen=True)
class Part:
    """A file, or a part of a file that ends with a sync marker.

    `header` is the file's header if the part does not begin with it. `damage` says why the part
    cannot be trusted, None if it can.
    """

    name: str
    text: bytes
    header: Header | None = None
    damage: str | None = None

    @property
    def size(self) -> int:
        """Size in bytes."""
        return len(self.text)


@dataclass(frozen=True)
class Stretch:
    """Whole files in one text: their names, and the begin and size of each in the text.

    `places` is int64, shape (files, 2).
    """

    names: list[str]
    text: bytes
    places: np.ndarray

    @property
    def size(self) -> int:
        """Size in bytes, from the first file to the last."""
        return int(self.places[-1].sum() - self.places[0, 0])

    @staticmethod
    def of(parts: list[Part]) -> "Stretch":
        """Return a stretch of whole files, joined one after another."""
        sizes = np.array([part.size for part in parts], np.int64)
        places = np.stack([np.cumsum(sizes) - sizes, sizes], axis=1)
        return Stretch([part.name for part in parts], b"".join(p.text for p in parts), places)

    def part(self, index: int) -> Part:
        """Return one file of the stretch."""
        begin, size = self.places[index].tolist()
        return Part(self.names[index], self.text[begin : begin + size])


@dataclass
class Night:
    """Counts of a night's archive, complete once all parts were read.

    `members` counts alert files, `ignored` all other files, and `notes` those of the other files
    that macOS adds to archives. `broken_off` says why the archive is not whole, None if it is.
    `gzip_members` counts the gzip files of the archive.
    """

    members: int = 0
    ignored: int = 0
    notes: int = 0
    broken_off: str | None = None
    gzip_members: int = 0
    ignored_names: list[str] = field(default_factory=list)

    def ignore(self, name: str) -> None:
        """Count a member that is not an alert file; keep the names of the first ten."""
        self.ignored += 1
        if is_note(name):
            self.notes += 1
        elif len(self.ignored_names) < 10:
            self.ignored_names.append(name)


def read_parts(
    raw: Path, night: Night, opener: Callable[[Path], BinaryIO] = open_file
) -> Iterator[Part | Stretch]:
    """Yield the Avro files of a tarball (gzip or plain) or a folder; count them in `night`.

    `opener` opens the tarball, or each file of the folder.
    """
    if raw.is_dir():
        yield from _folder_parts(raw, night, opener)
        return
    with opener(raw) as file:
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        source = _Source(_gunzip(file, night) if packed else _chunks(file))
        yield from _tar_parts(source, night)


def is_alert_file(name: str, head: bytes) -> bool:
    """Return whether a member is an alert file, by its name or by its first bytes.

    Files such as `._x.avro` are notes that macOS adds, not alert files.
    """
    base = _base(name)
    if base.endswith((".avro", ".avro.gz")) and not base.startswith("._"):
        return True
    if head.startswith(GZIP_MAGIC):
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, len(MAGIC))
        except zlib.error:
            return False
    return head.startswith(MAGIC)


def _base(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _folder_parts(folder: Path, night: Night, opener: Callable[[Path], BinaryIO]) -> Iterator[Part]:
    """Yield the Avro files of a folder, by name. Links to files and to folders are followed."""
    listing, _ = list_files(folder)
    require_no_loops(folder, listing)
    for name in in_order(listing):
        if listing[name] == DANGLING:
            if is_alert_file(name, b""):
                night.members += 1
                yield Part(name, b"", damage="it is a link to a file that does not exist")
            else:
                night.ignore(name)
            continue
        with opener(folder / name) as file:
            source = _Source(_chunks(file))
            head = source.peek(HEAD_BYTES)
            if is_alert_file(name, head):
                night.members += 1
                yield from _file_parts(name, source, head)
            else:
                night.ignore(name)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(INFLATE_BYTES):
        yield chunk


def _gunzip(file: BinaryIO, night: Night) -> Iterator[bytes]:
    """Inflate a gzip file of one or more members. Damage ends the file and is noted in `night`."""
    given, most = 0, most_bytes(file.seek(0, io.SEEK_END))
    for size in (READ_BYTES, CAREFUL_BYTES):
        # If a step contains damage, all bytes of the step are lost. So inflate again in smaller
        # steps.
        again = given
        try:
            for chunk in _inflate(file, size, night):
                fresh = chunk[again:]
                again -= len(chunk) - len(fresh)
                given += len(fresh)
                if fresh:
                    yield fresh
                if given > most:
                    night.broken_off = f"it {TOO_MUCH}"
                    return
            return
        except _GZIP_ERRORS as error:
            damage = error
            if not file.read(1):
                break  # Only the trailer is wrong: no data were lost.
    night.broken_off = f"the gzip stream is damaged: {damage}"


def _inflate(file: BinaryIO, size: int, night: Night) -> Iterator[bytes]:
    """Inflate a file from its beginning, `size` bytes at a time; note if it is not whole."""
    body = file.seek(0, io.SEEK_END) - TRAILER_BYTES
    file.seek(0)
    # One buffer is reused, because the system clears new memory first.
    buffer = memoryview(bytearray(size))

    def read() -> memoryview:
        left = body - file.tell()
        return buffer[: file.readinto(buffer[:left] if left > 0 else buffer)]

    night.gzip_members = 1
    inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
    while True:
        if inflater.eof:
            # Another member may follow after zeros, as on tapes.
            rest = inflater.unused_data.lstrip(b"\0")
            while len(rest) < len(GZIP_MAGIC) and (more := bytes(read())):
                rest = (rest + more).lstrip(b"\0")
            if not rest:
                return
            night.gzip_members += 1
            if not rest.startswith(GZIP_MAGIC):
                night.broken_off = "something that is no gzip stands behind its end"
                return
            inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
            chunk = inflater.decompress(rest, INFLATE_BYTES)
        elif inflater.needs_input:
            packed = read()
            if not packed:
                night.broken_off = "the gzip stream ends too early"
                return
            chunk = inflater.decompress(packed, INFLATE_BYTES)
        else:
            chunk = inflater.decompress(b"", INFLATE_BYTES)
        if chunk:
            yield chunk
        del chunk


class _Source:
    """Bytes that arrive in chunks and can be read in any size.

    `damage` says why the bytes end too early, None if they do not.
    """

    def __init__(self, chunks: Iterator[bytes]):
        self.damage: str | None = None
        self._chunks = chunks
        self._chunk = b""
        self._at = 0

    def stretch(self) -> Stretch | None:
        """Return the next plain alert files of the chunk; None if there is none."""
        places = np.empty((STRETCH_FILES, 2), np.int64)
        chunk = np.frombuffer(self._chunk, np.uint8)
        count, self._at = find_members(chunk, self._at, PART_BYTES, places)
        if not count:
            return None
        text, places = self._chunk, places[:count].copy()
        names = [read_name(text[begin - BLOCK : begin]) for begin in places[:, 0].tolist()]
        first = int(places[0, 0])
        if 2 * (self._at - first) < len(text):
            # Copy a small part: a reference would keep the whole chunk in memory.
            text = text[first : self._at]
            places[:, 0] -= first
        return Stretch(names, text, places)

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, or fewer at the end, without consuming them."""
        piece = self._chunk[self._at : self._at + size]
        if len(piece) < size:
            piece = self.take(size)
            self._chunk, self._at = piece + self._chunk[self._at :], 0
        return piece

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes, or fewer at the end."""
        end = self._at + size
        if end <= len(self._chunk):
            piece = self._chunk[self._at : end]
            self._at = end
            return piece
        pieces = [self._chunk[self._at :]]
        missing = size - len(pieces[0])
        self._chunk, self._at = b"", 0
        while missing > 0:
            try:
                chunk = next(self._chunks, None)
            except _GZIP_ERRORS as error:
                self.damage = f"its gzip stream is damaged: {error}"
                break
            if chunk is None:
                break
            pieces.append(chunk[:missing])
            if len(chunk) > missing:
                self._chunk, self._at = chunk, missing
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def skip(self, size: int) -> int:
        """Skip up to `size` bytes; return how many were skipped."""
        skipped = 0
        while skipped < size:
            piece = self.take(min(INFLATE_BYTES, size - skipped))
            if not piece:
                break
            skipped += len(piece)
        return skipped


class _Member:
    """The bytes of one member of a tar that are not read yet."""

    def __init__(self, source: _Source, size: int):
        self._source = source
        self.left = size

    def chunks(self) -> Iterator[bytes]:
        """Yield the remaining bytes."""
        while self.left and (chunk := self._source.take(min(self.left, INFLATE_BYTES))):
            self.left -= len(chunk)
            yield chunk

    def skip(self) -> bool:
        """Skip the remaining bytes; return whether all of them were present."""
        return self._source.skip(self.left) == self.left


def _tar_parts(source: _Source, night: Night) -> Iterator[Part | Stretch]:
    """Yield the Avro files of a tar stream."""
    announced, is_plain = Announced(), True
    zeros = 0
    # The bytes after a damaged header, up to the next sound header.
    lost: bytearray | None = None
    while True:
        if is_plain and (stretch := source.stretch()):
            if lost is not None:
                yield _behind_damage(lost)
            night.members += len(stretch.places)
            zeros, lost = 0, None
            yield stretch
        block = source.take(BLOCK)
        if len(block) < BLOCK:
            # The checksum of a single gzip file proves the end just like the zeros.
            ended = zeros >= 2 or night.gzip_members == 1
            if block or not ended or (lost is not None and not zeros):
                night.broken_off = night.broken_off or "the tar ends too early"
            if lost is not None:
                yield _behind_damage(lost)
            return
        if block == _ZEROS:
            zeros += 1
            if zeros == 2 and lost is None:
                # Read to the end, where the checksum of the gzip stream is.
                while source.take(INFLATE_BYTES):
                    pass
                return
            if lost is not None and len(lost) < PART_BYTES:
                lost += block
            continue
        zeros = 0
        size = announced.size(block)
        if size < 0 or not is_header(np.frombuffer(block, np.uint8), 0):
            if lost is None:
                night.members += 1
                lost = bytearray()
            elif len(lost) < PART_BYTES:
                lost += block
            continue
        if lost is not None:
            yield _behind_damage(lost)
            lost = None
        kind = block[KIND : KIND + 1]
        if kind in EXTENSIONS and size <= LONGEST_EXTENSION:
            announced.add(kind, source.take(size + -size % BLOCK)[:size])
            is_plain = False
            continue
        name, is_sparse = announced.name(block), announced.is_sparse or kind == SPARSE
        announced, is_plain = Announced(), True
        if kind in NO_DATA:
            continue
        if kind == SPARSE:
            more_sparse_blocks(block, source.take)
        member = _Member(source, size)
        head = source.peek(min(size, HEAD_BYTES))
        if is_sparse and is_alert_file(name, b""):
            night.members += 1
            yield Part(name, b"", damage="it is packed as a sparse file, with a map of its holes")
        elif kind in REGULAR and is_alert_file(name, head):
            night.members += 1
            yield from _file_parts(name, _Source(member.chunks()), head)
        else:
            night.ignore(name)
        if not member.skip():
            night.broken_off = night.broken_off or f"the tar ends within {name}"
            return
        source.take(-size % BLOCK)


def _behind_damage(content: bytearray) -> Part:
    """Return the bytes after a damaged header as a member with unknown name."""
    damage = "the header of a member of the tarball is damaged"
    return Part("?", bytes(content).rstrip(b"\0"), damage=damage)


def _file_parts(name: str, source: _Source, head: bytes) -> Iterator[Part]:
    """Yield one file, unpacked: whole, or cut at its sync markers if it is long."""
    if head.startswith(GZIP_MAGIC):
        source = _Source(_unpacked(source))
    text = source.take(PART_BYTES)
    if not source.peek(1):
        yield Part(name, text, damage=source.damage)
        return
    try:
        header = read_header(text)
    except BadAvro:
        yield Part(name, text)
        return
    known = None
    while True:
        start = 0 if known else header.end
        cut = text.rfind(header.sync, start) + SYNC_BYTES
        if cut < SYNC_BYTES:
            cut = 0
            if len(text) > MAX_RECORD_BYTES:
                # No block is that long, so a marker is damaged.
                whole = last_block_end(text, start)
                cut = whole if whole > start else len(text)
        if cut:
            yield Part(name, text[:cut], known)
            known, text = header, text[cut:]
        piece = source.take(PART_BYTES)
        if not piece:
            break
        text += piece
    if text or source.damage:
        yield Part(name, text, known, source.damage)


def _unpacked(source: _Source) -> Iterator[bytes]:
    """Inflate a packed member in small steps: all bytes of a step with damage are lost."""
    inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
    # Packed zeros in a packed tar could grow a million times.
    room = UNPACKED_FLOOR
    while ahead := source.peek(MEMBER_BYTES + TRAILER_BYTES):
        # The trailer is inflated separately, so that a wrong CRC or length costs no data.
        packed = source.take(max(len(ahead) - TRAILER_BYTES, 1))
        room += UNPACKED_RATIO * len(packed)
        while True:
            if inflater.eof:
                # Another gzip file may follow, or zeros.
                packed = packed.lstrip(b"\0")
                if not packed:
                    break
                inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
            chunk = inflater.decompress(packed, INFLATE_BYTES)
            while True:
                room -= len(chunk)
                if room < 0:
                    raise EOFError(f"it unpacks to more than {UNPACKED_RATIO} times its size")
                yield chunk
                if inflater.eof or inflater.needs_input:
                    break
                chunk = inflater.decompress(b"", INFLATE_BYTES)
            if not inflater.eof:
                break
            packed = inflater.unused_data
    if not inflater.eof:
        raise EOFError("it ends too early")
