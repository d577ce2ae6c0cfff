"""Tarballs whose bytes depend only on their members, written piece by piece.

Each piece is compressed separately, in any process, and ends with a whole byte. In order, the
pieces are one gzip member, as in the output of `tar czf`. All times are fixed.
"""

import shutil
import struct
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_POLYNOMIAL = 0xEDB88320
"""The polynomial of CRC-32 (ISO 3309), bits reversed."""

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
"""The header of a gzip member: deflate, no time, Unix."""

_LEVEL = 1
"""The level of compression. Higher levels do not make real-valued pixels smaller."""


@dataclass(frozen=True)
class Piece:
    """A compressed piece of a tarball: its file, and the size and CRC before compression.

    Attributes
    ----------
    path
        A file of raw deflate without a last block.
    size, crc
        Bytes and CRC-32 of the uncompressed piece.
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
    # Not isal, although isal is faster: in one of some thousand runs it wrote other bytes for the
    # same text.
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
    """Write the pieces as one tarball with its end. The file of each copied piece is deleted."""
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
        # Two blocks of zeros end a tarball. Then zeros fill the last record.
        ending = 2 * tarfile.BLOCKSIZE
        ending += -(size + ending) % tarfile.RECORDSIZE
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        stream.write(packer.compress(bytes(ending)) + packer.flush())
        crc, size = zlib.crc32(bytes(ending), crc), size + ending
        stream.write(struct.pack("<II", crc, size % 2**32))


def combine_crc(first: int, second: int, size: int) -> int:
    """Return the CRC-32 of two byte strings, one after the other.

    Parameters
    ----------
    first, second
        The CRC-32 of each string.
    size
        Bytes of the second string. Appending one zero byte multiplies a CRC by x^8 modulo its
        polynomial. So `size` bytes multiply the CRC by x^(8 size), which is computed by repeated
        squaring.
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
    """Return the product of two polynomials over GF(2) modulo the polynomial of CRC-32."""
    product = 0
    for bit in range(31, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return product
