"""Read the table of contents of a zip archive into arrays, without an object for each member.

The download has some 1.2 million members. `zipfile` would need a gigabyte of objects for them in
each worker. Here a member is a name and a row of numbers, and a worker needs only the members that
it extracts. The layout follows PKWARE's APPNOTE 6.3, with zip64.
"""

import bz2
import hashlib
import lzma
import stat
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from skymill.engine.errors import SkymillError

_END = struct.Struct("<4s4H2LH")
_END_64_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_LONGEST_COMMENT = 2**16
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
_ZIP64_EXTRA = 1
_ENCRYPTED, _UTF8 = 0x1, 0x800
_FILE_TYPE = 0o170000
_LZMA_END_MARKED = 0x2
STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
METHODS = {
    STORED: "stored",
    1: "shrunk",
    6: "imploded",
    DEFLATED: "deflate",
    9: "deflate64",
    BZIP2: "bzip2",
    LZMA: "lzma",
    93: "zstandard",
    95: "xz",
    96: "jpeg",
    97: "wavpack",
    98: "ppmd",
    99: "aes",
}
"""Names of the compression methods, by their numbers in the zip format."""
READABLE = (STORED, DEFLATED, BZIP2, LZMA)
_MOST_MEMORY = 2**28
"""Maximum memory to unpack an LZMA stream, in bytes. The largest dictionaries in use have 64 MB."""

MEMBER = np.dtype(
    [
        ("offset", np.uint64),
        ("compressed", np.uint64),
        ("size", np.uint64),
        ("crc", np.uint32),
        ("mode", np.uint16),
        ("method", np.uint16),
        ("encrypted", np.bool_),
        ("name_bytes", np.uint16),
    ]
)
"""A member: where its header begins, packed and unpacked bytes, CRC-32, Unix mode, method, whether
it is encrypted, and bytes of its name."""

MOST_MEMBERS = 2**22
"""Maximum number of members of a zip; the download has 1.2 million."""

_MOST_DIRECTORY = 2**8 * MOST_MEMBERS
"""Maximum number of bytes of the central directory, which is read into memory."""


@dataclass(frozen=True)
class Contents:
    """The content of a zip's central directory.

    `names` and `members` (MEMBER, shape (members,)) list the same members in the order of the zip.
    `sha256` is the digest of the central directory's bytes.
    """

    names: list[str]
    members: np.ndarray
    sha256: str


def read_contents(archive: Path) -> Contents:
    """Read the central directory of a zip.

    Raises
    ------
    SkymillError
        When the file is not a zip, is not whole, or lists members that cannot be in it.
    """
    size = archive.stat().st_size
    with open(archive, "rb") as stream:
        count, length, offset = _find_directory(archive, stream, size)
        if count > MOST_MEMBERS or length > _MOST_DIRECTORY:
            raise SkymillError(
                f"{archive} lists {count:,} members in {length / 1e6:,.0f} MB. No data set of this "
                "kind has that many. Fetch the published zip."
            )
        stream.seek(offset)
        directory = stream.read(length)
    names = []
    members = np.zeros(count, dtype=MEMBER)
    try:
        at = 0
        for row in range(count):
            at, name, members[row] = _read_entry(directory, at)
            names.append(name)
    except (struct.error, ValueError, IndexError):
        raise damaged(archive, f"entry {len(names)} of its table of contents is broken") from None
    _require_inside(archive, names, members, offset)
    return Contents(names, members, hashlib.sha256(directory).hexdigest())


def _require_inside(archive: Path, names: list[str], members: np.ndarray, end: int) -> None:
    """Refuse a zip whose listed members do not fit before its directory."""
    # Subtract instead of adding: sums could overflow uint64.
    room = np.uint64(end) - np.minimum(members["offset"], np.uint64(end))
    header = _LOCAL.size + members["name_bytes"].astype(np.uint64)
    wrong = np.flatnonzero((room < header) | (members["compressed"] > room - header))
    for row in wrong.tolist():
        what = "is not where its table of contents says"
        if members["compressed"][row] > end:
            what = "would be longer than the whole archive"
        raise damaged(archive, f"{names[row][:200]} {what}")


def overlapping(members: np.ndarray) -> np.ndarray:
    """Return which members begin within an earlier member: bool, shape (members,).

    No zip program writes overlapping members; zip bombs use them to turn few bytes into many.
    """
    order = np.argsort(members["offset"], kind="stable")
    chosen = members[order]
    begins = chosen["offset"].astype(np.int64)
    ends = begins + _LOCAL.size + chosen["name_bytes"] + chosen["compressed"].astype(np.int64)
    found = np.zeros(len(members), bool)
    found[order[1:]] = begins[1:] < np.maximum.accumulate(ends)[:-1]
    return found


def _find_directory(archive: Path, stream: BinaryIO, size: int) -> tuple[int, int, int]:
    """Return the number of entries, the length and the offset of the central directory."""
    start = max(0, size - _LONGEST_COMMENT - _END.size)
    stream.seek(start)
    tail = stream.read()
    if not (size and _starts_like_zip(stream)):
        raise damaged(archive, "it does not begin like a zip archive")
    found = len(tail)
    while (found := tail.rfind(b"PK\x05\x06", 0, found)) >= 0:
        if found + _END.size > len(tail):
            continue
        _, disk, _, _, count, length, offset, comment = _END.unpack_from(tail, found)
        if found + _END.size + comment == len(tail) and disk in (0, _FULL_16):
            break
    else:
        raise damaged(archive, "its end is missing, as after an interrupted download")
    place = start + found
    if _FULL_32 in (length, offset) or count == _FULL_16:
        stream.seek(max(0, place - _END_64_LOCATOR.size))
        locator = stream.read(_END_64_LOCATOR.size)
        if locator[:4] == b"PK\x06\x07":
            place = _END_64_LOCATOR.unpack(locator)[2]
            stream.seek(min(place, size))
            record = stream.read(_END_64.size)
            if len(record) < _END_64.size or record[:4] != b"PK\x06\x06":
                raise damaged(archive, "the end of its table of contents is broken")
            *_, count, length, offset = _END_64.unpack(record)
    if offset + length != place or count * _ENTRY.size > length:
        raise damaged(archive, "its table of contents is not where its end says")
    return count, length, offset


def _starts_like_zip(stream: BinaryIO) -> bool:
    stream.seek(0)
    return stream.read(2) == b"PK"


def _read_entry(directory: bytes, at: int) -> tuple[int, str, tuple]:
    """Return where the next entry begins, and the name and MEMBER of the entry at `at`."""
    (
        signature,
        _made_by,
        _needed,
        flags,
        method,
        _time,
        _date,
        crc,
        compressed,
        size,
        name_length,
        extra_length,
        comment_length,
        _disk,
        _internal,
        external,
        offset,
    ) = _ENTRY.unpack_from(directory, at)
    if signature != b"PK\x01\x02":
        raise ValueError("no entry")
    first = at + _ENTRY.size
    extra_at = first + name_length
    following = extra_at + extra_length + comment_length
    if following > len(directory):
        raise ValueError("cut off")
    name = directory[first:extra_at].decode("utf-8" if flags & _UTF8 else "cp437")
    if _FULL_32 in (size, compressed, offset):
        extra = directory[extra_at : extra_at + extra_length]
        size, compressed, offset = _widen(extra, size, compressed, offset)
    encrypted = bool(flags & _ENCRYPTED)
    mode = external >> 16
    return (
        following,
        name,
        (offset, compressed, size, crc, mode, method, encrypted, name_length),
    )


def _widen(extra: bytes, *values: int) -> list[int]:
    """Return the values; values that are too large for 32 bits come from the zip64 field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == _ZIP64_EXTRA:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            return [next(wide, value) if value == _FULL_32 else value for value in values]
        at += 4 + length
    return list(values)


def is_link(mode: np.ndarray) -> np.ndarray:
    """Return which Unix modes are modes of symbolic links."""
    return mode & _FILE_TYPE == stat.S_IFLNK


def extract_member(archive: Path, stream: BinaryIO, name: str, member: np.void) -> bytes:
    """Return the content of one member, after a check of its size and CRC.

    Parameters
    ----------
    archive, stream
        The zip and an open stream of it.
    name, member
        See Contents.

    Raises
    ------
    SkymillError
        When the content does not match the central directory.
    """
    stream.seek(int(member["offset"]))
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        raise damaged(archive, f"{name} is not where its table of contents says")
    *_, name_length, extra_length = local = _LOCAL.unpack(header)
    stream.seek(name_length + extra_length, 1)
    length, size = int(member["compressed"]), int(member["size"])
    packed = stream.read(length)
    try:
        content = _unpack(packed, size, int(member["method"]), flags=local[2])
    # The errors of zlib, bz2 and lzma, in this order.
    except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError, struct.error) as error:
        raise damaged(archive, f"{name} does not unpack ({error})") from None
    if len(content) != size or zlib.crc32(content) != member["crc"]:
        raise damaged(archive, f"{name} has a wrong size or checksum")
    return content


def _unpack(packed: bytes, size: int, method: int, *, flags: int) -> bytes:
    """Unpack at most one byte more than the declared size, so that no member fills the memory."""
    if method == STORED:
        return packed
    if method == DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)
    if method == BZIP2:
        return bz2.BZ2Decompressor().decompress(packed, size + 1)
    # The stream begins with a version of two bytes, the length of the properties, and the
    # properties. Properties and size are the header of an .lzma file. If a mark ends the stream,
    # the size counts as unknown.
    (length,) = struct.unpack_from("<H", packed, 2)
    known = 2**64 - 1 if flags & _LZMA_END_MARKED else size
    header = packed[4 : 4 + length] + struct.pack("<Q", known)
    decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MOST_MEMORY)
    return decoder.decompress(header + packed[4 + length :], size + 1)


def damaged(archive: Path, what: str) -> SkymillError:
    """Return the error for a damaged zip."""
    return SkymillError(
        f"{archive} is damaged: {what}. Delete it and fetch it again (or put a whole copy there)."
    )
