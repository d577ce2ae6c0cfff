"""The image inside a stamp: gzip around a small FITS file.

Only what ZTF writes is read: one image of big-endian float32. Anything else is a bad stamp, with
its cause. Source: FITS Standard 4.0, sections 3 and 4.
"""

import io
import itertools
import re
import zlib
from functools import lru_cache

import numpy as np
from isal import igzip, isal_zlib

GZIP_MAGIC = b"\x1f\x8b"
JPEG_MAGIC = b"\xff\xd8\xff"

BLOCK = 2880
CARD = 80
MAX_HEADER = 20 * BLOCK
MAX_AXIS = 4096

GZIP_WINDOW = 31
"""zlib's `wbits` for a gzip wrapper: the header is required and the CRC is checked."""

MAX_TOGETHER = 2**18
"""Longest stamp, after inflating, of those that are inflated together."""

_INTEGER = re.compile(rb"[ ]*([+-]?\d+)[ ]*(?:/.*)?")
_REAL = re.compile(rb"[ ]*([+-]?[0-9.]+(?:[ED][+-]?\d+)?)[ ]*(?:/.*)?")


class BadStamp(Exception):
    """A stamp that cannot be used; `cause` is gzip, jpeg or fits."""

    def __init__(self, cause: str, detail: str):
        super().__init__(detail)
        self.cause = cause
        self.detail = detail


def read_image(unpacked: bytes | memoryview) -> np.ndarray:
    """Return the image in a FITS file: big-endian float32, shape (rows, columns).

    Raises
    ------
    BadStamp
        When it is not the one image that is expected.
    """
    rows, columns, offset = _layout(unpacked)
    return np.frombuffer(unpacked, ">f4", rows * columns, offset).reshape(rows, columns)


def inflate(packed: bytes) -> bytes | memoryview:
    """Return what a gzip file holds, after a check of its CRC and length.

    Raises
    ------
    BadStamp
        When either is wrong, or it is no gzip.
    """
    if together := inflate_together([packed]):
        return together[0]
    try:
        unpacked = isal_zlib.decompress(packed, GZIP_WINDOW)
    except (isal_zlib.error, zlib.error, EOFError, ValueError) as error:
        if packed.startswith(JPEG_MAGIC):
            raise BadStamp("jpeg", "a JPEG in place of a gzipped FITS file") from None
        raise BadStamp("gzip", str(error)) from None
    # The length stands at the very end: so nothing follows the member.
    if int.from_bytes(packed[-4:], "little") != len(unpacked):
        raise BadStamp("gzip", "something follows the gzip member")
    return unpacked


def inflate_together(packed: list[bytes]) -> list[memoryview] | None:
    """Return what gzip files hold, inflated in one go; None if any is not as it should be.

    What is wrong with which is for `inflate` to say. In one go the interpreter's lock is let go of
    for milliseconds, so that threads do not wait for each other at every stamp. CRC and length of
    each are checked; that nothing follows them is seen from the sum of the lengths.
    """
    if not all(stamp.startswith(GZIP_MAGIC) for stamp in packed):
        return None
    sizes = [int.from_bytes(stamp[-4:], "little") for stamp in packed]
    if max(sizes, default=0) > MAX_TOGETHER:
        return None
    try:
        with igzip.open(io.BytesIO(b"".join(packed))) as stream:
            unpacked = memoryview(stream.read(sum(sizes) + 1))
    except (OSError, isal_zlib.error, zlib.error, EOFError, ValueError):
        return None
    if len(unpacked) != sum(sizes):
        return None
    ends = itertools.accumulate(sizes)
    return [unpacked[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _layout(unpacked: bytes | memoryview) -> tuple[int, int, int]:
    """Return rows, columns and where the pixels begin."""
    try:
        rows, columns, offset = _read_cards(bytes(unpacked[:BLOCK]))
    except _LongHeader:
        rows, columns, offset = _read_cards.__wrapped__(bytes(unpacked[:MAX_HEADER]), whole=True)
    if len(unpacked) < offset + 4 * rows * columns:
        raise BadStamp("fits", f"{rows} x {columns} pixels need more bytes than there are")
    return rows, columns, offset


class _LongHeader(Exception):
    """The first block holds no END."""


@lru_cache(maxsize=256)
def _read_cards(header: bytes, whole: bool = False) -> tuple[int, int, int]:
    """Read the cards of a header. There are few different ones in a night, so they are cached."""
    if header.startswith(JPEG_MAGIC):
        raise BadStamp("jpeg", "a JPEG in place of a FITS file")
    if header[:6] != b"SIMPLE":
        raise BadStamp("fits", f"it begins with {header[:8]!r}")
    cards = {}
    for at in range(0, len(header) - CARD + 1, CARD):
        card = header[at : at + CARD]
        name = card[:8].rstrip()
        if name == b"END":
            break
        # The first of equal cards counts; values may stand anywhere behind the equals sign.
        if card[8:9] == b"=":
            cards.setdefault(name, card[9:])
    else:
        if not whole and len(header) == BLOCK:
            raise _LongHeader
        raise BadStamp("fits", "its header has no END")
    if cards.get(b"SIMPLE", b"").split(b"/")[0].strip() != b"T":
        raise BadStamp("fits", "SIMPLE is not T")
    for name, wanted in ((b"BITPIX", -32), (b"NAXIS", 2)):
        if _integer(cards, name) != wanted:
            raise BadStamp("fits", f"{name.decode()} is not {wanted}")
    columns, rows = (_integer(cards, name) or 0 for name in (b"NAXIS1", b"NAXIS2"))
    if not (0 < columns <= MAX_AXIS and 0 < rows <= MAX_AXIS):
        raise BadStamp("fits", f"an image of {rows} x {columns} pixels")
    for name, plain in ((b"BSCALE", 1.0), (b"BZERO", 0.0)):
        if name in cards and _real(cards[name]) != plain:
            raise BadStamp("fits", f"{name.decode()} is not {plain:g}")
    return rows, columns, -(-(at + CARD) // BLOCK) * BLOCK


def _integer(cards: dict[bytes, bytes], name: bytes) -> int | None:
    found = _INTEGER.fullmatch(cards.get(name, b""))
    return int(found[1]) if found else None


def _real(value: bytes) -> float | None:
    found = _REAL.fullmatch(value)
    try:
        return float(found[1].replace(b"D", b"E")) if found else None
    except ValueError:
        return None
