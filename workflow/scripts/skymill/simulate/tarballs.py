"""Tarballs whose bytes are a function of their members alone, written piece by piece.

Each piece is compressed on its own, in any process, and ends on a whole byte; joined in order they
are one gzip member, as `tar czf` writes it. All times are fixed.
"""

import shutil
import struct
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_POLYNOMIAL = 0xEDB88320
"""Of CRC-32 (ISO 3309), bits reversed."""

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
"""Of a gzip member: deflate, no time, Unix."""

_LEVEL = 1
"""Real-valued pixels get no smaller above it."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a tarball, compressed: where it stands, and what it holds before compression.

    Attributes
    ----------
    path
        Raw deflate without a last block.
    size, crc
        Bytes and CRC-32 of the uncompressed stretch.
    """

    path: Path
    size: int
    crc: int


def member(name: str, content: bytes, time: int) -> bytes:
    """Return a member of a tarball: its header, its content, and zeros up to a whole block.

    A name that ends in a slash is a folder. `time` is in seconds since 1970.
    """
    entry = tarfile.TarInfo(name.rstrip("/"))
    entry.mtime = time
    entry.size = len(content)
    if name.endswith("/"):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    padding = -len(content) % tarfile.BLOCKSIZE
    return entry.tobuf(tarfile.USTAR_FORMAT) + content + bytes(padding)


def write_piece(path: Path, members: Iterable[bytes]) -> Piece:
    """Compress some members, one at a time, into a file."""
    # Not isal, which is faster: once in some thousand runs it wrote other bytes for the same text.
    import zlib

    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    size = crc = 0
    with open(path, "wb") as stream:
        for content in members:
            size += len(content)
            crc = zlib.crc32(content, crc)
            stream.write(packer.compress(content))
        stream.write(packer.flush(zlib.Z_FULL_FLUSH))
    return Piece(path, size, crc)


def join_pieces(output: Path, pieces: Iterable[Piece]) -> None:
    """Write the pieces as one tarball with its end; each piece's file is deleted once it is in."""
    import zlib

    size = crc = 0
    with open(output, "wb") as stream:
        stream.write(_HEADER)
        for piece in pieces:
            with open(piece.path, "rb") as part:
                shutil.copyfileobj(part, stream, 2**20)
            piece.path.unlink()
            crc = combine_crc(crc, piece.crc, piece.size)
            size += piece.size
        # Two blocks of zeros end a tarball, and it is filled up to a whole record.
        ending = 2 * tarfile.BLOCKSIZE
        ending += -(size + ending) % tarfile.RECORDSIZE
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        stream.write(packer.compress(bytes(ending)) + packer.flush())
        crc, size = zlib.crc32(bytes(ending), crc), size + ending
        stream.write(struct.pack("<II", crc, size % 2**32))


def combine_crc(first: int, second: int, size: int) -> int:
    """Return the CRC-32 of two stretches of bytes, one after the other.

    Parameters
    ----------
    first, second
        CRC-32 of each.
    size
        Bytes of the second. Appending one zero byte multiplies a CRC by x^8 modulo its polynomial,
        so `size` bytes multiply it by x^(8 size), which repeated squaring finds.
    """
    factor, power = 1 << 31, 1 << 30  # 1 and x, the highest power in the lowest bit
    bits = 8 * size
    while bits:
        if bits & 1:
            factor = _multiply(factor, power)
        power = _multiply(power, power)
        bits >>= 1
    return _multiply(first, factor) ^ second


def _multiply(one: int, other: int) -> int:
    """Return the product of two polynomials over GF(2) modulo that of CRC-32."""
    product = 0
    for bit in range(31, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return product
