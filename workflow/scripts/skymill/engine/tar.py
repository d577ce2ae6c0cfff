"""Headers and members of a tar archive, read as a stream in little memory.

Python's `tarfile` is not used, because it is not safe for damaged or hostile archives. It takes a
damaged header for the end of the archive, and keeps names of any length in memory. It follows
headers that announce headers until the interpreter's stack is full, and copies the rest of a pax
header for each record.

Source: POSIX.1-2017, pax, section ustar Interchange Format; GNU tar manual for long names and
sparse files.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

BLOCK = 512
SIZE, SIZE_END = 124, 136
CHECKSUM, CHECKSUM_END = 148, 156
KIND = 156

REGULAR = b"0\0" + b"7"
"""Kinds of members that are files."""

NO_DATA = b"12345" + b"6"
"""Kinds without content; their size field is ignored."""

EXTENSIONS = b"LKxg"
"""Kinds that describe the next member: long names and pax headers."""

SPARSE = b"S"
"""The kind of GNU's files with holes."""

LONGEST_EXTENSION = 2**20
"""The most bytes that the content of an extension may have."""

LONGEST_NAME = 1024
"""Characters of a name that are kept. No file has a longer name, and names are in memory."""

READ_BYTES = 2**20
"""Bytes skipped at a time."""

_ZEROS = bytes(BLOCK)
_DECIMAL = re.compile("[0-9]{1,18}")
_LENGTH = re.compile(rb"([0-9]{1,18}) ")
_OCTAL = re.compile(rb"[ \0]*([0-7]{1,20})[ \0]*")
_HAS_MORE, _HAS_MORE_AGAIN = 482, 504
"""The byte that says whether a map block follows: in a sparse file's header, and in a map block."""


class BadTar(Exception):
    """The archive is damaged or cut short; the text says why."""


def read_number(text: bytes) -> int:
    """Read a size: octal digits, or a binary number if the first bit is set (GNU); else -1."""
    if text[0] & 0x80:
        return int.from_bytes(text[1:]) if text[0] == 0x80 else -1
    if not text.strip(b" \0"):
        return 0
    found = _OCTAL.fullmatch(text)
    return int(found[1], 8) if found else -1


def read_name(block: bytes) -> str:
    """Return the name in a header."""
    name = block[:100].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].split(b"\0", 1)[0]
        name = prefix + b"/" + name if prefix else name
    return name.decode("utf-8", "replace")


def read_pax(content: bytes) -> dict[str, str]:
    """Return the records of a pax header: each is `length key=value` and a newline.

    The first invalid record and everything after it are skipped.
    """
    found, at = {}, 0
    while length := _LENGTH.match(content, at):
        end = at + int(length[1])
        if not length.end() <= end <= len(content):
            break
        key, _, value = content[length.end() : end - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        at = end
    return found


class Announced:
    """The description of the next member by extensions."""

    def __init__(self):
        self.long_name: str | None = None
        self.pax: dict[str, str] = {}

    def add(self, kind: bytes, content: bytes) -> None:
        """Add the content of an extension."""
        if kind == b"L":
            self.long_name = content.rstrip(b"\0").decode("utf-8", "replace")
        elif kind == b"x":
            self.pax = read_pax(content)

    @property
    def is_sparse(self) -> bool:
        """Whether the member is a file with holes, whose content begins with a map of them."""
        return any(key.startswith("GNU.sparse.") for key in self.pax)

    def name(self, block: bytes) -> str:
        """Return the name of the member with this header, cut at LONGEST_NAME characters."""
        known = self.pax.get("GNU.sparse.name") or self.pax.get("path") or self.long_name
        return known[:LONGEST_NAME] if known else read_name(block)

    def size(self, block: bytes) -> int:
        """Return the bytes of the member's content, or -1 if the header does not say."""
        stated = self.pax.get("size", "")
        return int(stated) if _DECIMAL.fullmatch(stated) else read_number(block[SIZE:SIZE_END])


def more_sparse_blocks(block: bytes, take) -> None:
    """Skip the blocks that continue the map of a sparse file; `take(size)` returns bytes."""
    flag = _HAS_MORE
    while len(block) == BLOCK and block[flag]:
        block, flag = take(BLOCK), _HAS_MORE_AGAIN


class Member:
    """A member of an archive that is read as a stream; valid until the next member is read."""

    def __init__(self, stream: BinaryIO, name: str, size: int, *, is_file: bool, is_folder: bool):
        self.name = name
        self.size = size
        self.is_file = is_file
        self.is_folder = is_folder
        self._stream = stream
        self._left = size

    def read(self, size: int) -> bytes:
        """Return the next bytes of the content, fewer at its end.

        Raises
        ------
        BadTar
            When the archive ends within the content.
        """
        wanted = min(size, self._left)
        part = self._stream.read(wanted)
        if len(part) < wanted:
            raise BadTar(f"{self.name[:100]} ends too early")
        self._left -= wanted
        return part

    def skip(self) -> None:
        """Skip the rest of the member."""
        while self.read(READ_BYTES):
            pass
        self._stream.read(-self.size % BLOCK)


def read_members(stream: BinaryIO) -> Iterator[Member]:
    """Yield the members of a plain tar; the unread rest of a member is skipped.

    The iterator ends at the first block of zeros. The caller must read any bytes after this block.

    Raises
    ------
    BadTar
        When a header is damaged, or the archive ends before a block of zeros.
    """
    place = 0
    announced = Announced()

    def take(size: int) -> bytes:
        nonlocal place
        taken = stream.read(size)
        place += len(taken)
        return taken

    while True:
        header = place
        block = take(BLOCK)
        if len(block) < BLOCK:
            raise BadTar("it ends too early")
        if block == _ZEROS:
            return
        kind, size = block[KIND : KIND + 1], announced.size(block)
        if size < 0 or not _is_header(block):
            raise BadTar(f"the header at byte {header:,} is damaged")
        if kind in EXTENSIONS:
            if size > LONGEST_EXTENSION:
                raise BadTar(f"the header at byte {header:,} announces a name of {size:,} bytes")
            announced.add(kind, take(size + -size % BLOCK)[:size])
            continue
        if kind == SPARSE:
            more_sparse_blocks(block, take)
        # In old tars, a name that ends with a slash is the name of a folder, for any kind.
        name = announced.name(block)
        is_file = kind in REGULAR and not announced.is_sparse and not name.endswith("/")
        member = Member(
            stream,
            name,
            0 if kind in NO_DATA else size,
            is_file=is_file,
            is_folder=kind == b"5" or (kind in REGULAR and name.endswith("/")),
        )
        announced = Announced()
        yield member
        member.skip()
        place += member.size + -member.size % BLOCK


def is_tar(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of a tar, which may be empty."""
    block = head[:BLOCK]
    return len(block) == BLOCK and (block == _ZEROS or _is_header(block))


def _is_header(block: bytes) -> bool:
    """Return whether the checksum of a header is right; the checksum field counts as spaces."""
    stated = _OCTAL.fullmatch(block[CHECKSUM:CHECKSUM_END])
    total = sum(block) - sum(block[CHECKSUM:CHECKSUM_END]) + 8 * ord(" ")
    return stated is not None and int(stated[1], 8) == total
