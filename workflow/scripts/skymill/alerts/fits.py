"""The image inside a stamp: gzip around a small FITS file.

This module reads only the form that ZTF writes: one image of big-endian float32. All other stamps
are bad stamps, each with a cause. Source: FITS Standard 4.0, sections 3 and 4.
"""

import io
import re
import threading
import zlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from isal import igzip, isal_zlib
from numba import int64, uint8
from numba.types import Array

from skymill.alerts.packet import STAMP
from skymill.engine.compiled import compiled

GZIP_MAGIC = b"\x1f\x8b"
JPEG_MAGIC = b"\xff\xd8\xff"

BLOCK = 2880
CARD = 80
MAX_HEADER = 20 * BLOCK
MAX_AXIS = 4096

MAX_BYTES = MAX_HEADER + 4 * MAX_AXIS * MAX_AXIS
"""Longest stamp that can be an image."""

_GZIP_ERRORS = (OSError, isal_zlib.error, zlib.error, EOFError, ValueError)

REGULAR_BYTES = BLOCK + -(-4 * STAMP * STAMP // BLOCK) * BLOCK
"""Bytes of a regular stamp: a header of one block, and the pixels padded to whole blocks."""

_REGULAR_END = REGULAR_BYTES.to_bytes(4, "little")

_INTEGER = re.compile(rb"[ ]*([+-]?\d+)[ ]*(?:/.*)?")
_REAL = re.compile(rb"[ ]*([+-]?[0-9.]+(?:[ED][+-]?\d+)?)[ ]*(?:/.*)?")


class BadStamp(Exception):
    """A stamp that cannot be used; `cause` is gzip, jpeg or fits."""

    def __init__(self, cause: str, detail: str):
        super().__init__(detail)
        self.cause = cause
        self.detail = detail


def read_image(unpacked: bytes) -> np.ndarray:
    """Return the image in a FITS file: big-endian float32, shape (rows, columns).

    Raises
    ------
    BadStamp
        When the file is not one image of the expected form.
    """
    rows, columns, offset = _layout(unpacked)
    return np.frombuffer(unpacked, ">f4", rows * columns, offset).reshape(rows, columns)


def inflate(packed: bytes) -> bytes:
    """Return the content of a gzip file, after a check of its CRC and length.

    Raises
    ------
    BadStamp
        When the CRC or the length is wrong, or the bytes are not gzip.
    """
    if packed.startswith(JPEG_MAGIC):
        raise BadStamp("jpeg", "a JPEG in place of a gzipped FITS file")
    if not packed.startswith(GZIP_MAGIC):
        raise BadStamp("gzip", f"it begins with {packed[:8]!r}")
    size = int.from_bytes(packed[-4:], "little")
    if size > MAX_BYTES:
        raise BadStamp("gzip", f"it says that it holds {size:,} bytes")
    try:
        with igzip.open(io.BytesIO(packed)) as stream:
            # One more byte shows whether the file is longer than it states.
            unpacked = stream.read(size + 1)
    except _GZIP_ERRORS as error:
        raise BadStamp("gzip", str(error)) from None
    # The stated length is the last four bytes, so no bytes follow the gzip file.
    if len(unpacked) != size:
        raise BadStamp("gzip", "its length is not what stands at its end")
    return unpacked


class Spans(NamedTuple):
    """Stored stamps: a text, and the begin and size of each stamp in the text, int64."""

    text: bytes
    begins: np.ndarray
    sizes: np.ndarray


def may_be_regular(stamps: Spans) -> np.ndarray:
    """Return which stamps look like gzip files of REGULAR_BYTES, by their first and last bytes."""
    text = np.frombuffer(stamps.text or b"\0", np.uint8)
    regular = stamps.sizes >= len(GZIP_MAGIC) + len(_REGULAR_END)
    begins = np.where(regular, stamps.begins, 0)
    ends = begins + np.where(regular, stamps.sizes, 0)
    for place, byte in enumerate(GZIP_MAGIC):
        regular &= text.take(begins + place, mode="clip") == byte
    for place, byte in enumerate(_REGULAR_END):
        regular &= text.take(ends - len(_REGULAR_END) + place, mode="clip") == byte
    return regular


def inflate_regular(stamps: list[Spans]) -> np.ndarray | None:
    """Inflate stamps that may be regular in one call: uint8, a row per stamp.

    Returns None if any stamp is damaged or has another length; `inflate` then says which and why.
    One call releases the interpreter's lock for milliseconds, so that threads do not wait for each
    other at every stamp. CRC and length of each stamp are checked. The sum of the lengths proves
    that no bytes follow. The thread's next call overwrites the array.
    """
    packed = _thread_buffer("packed", sum(int(some.sizes.sum()) for some in stamps))
    at = 0
    for some in stamps:
        at = _copy(np.frombuffer(some.text, np.uint8), some.begins, some.sizes, packed, at)
    size = REGULAR_BYTES * sum(len(some.begins) for some in stamps)
    # One more byte shows whether the stamps are longer than they state.
    unpacked = _thread_buffer("unpacked", size + 1)
    found = 0
    try:
        # igzip.decompress uses this reader too, but allocates new memory in each call.
        reader = igzip._GzipReader(packed)
        while count := reader.readinto(unpacked[found:]):
            found += count
    except _GZIP_ERRORS:
        return None
    return unpacked[:size].reshape(-1, REGULAR_BYTES) if found == size else None


_own = threading.local()


def _thread_buffer(name: str, size: int) -> np.ndarray:
    """Return a buffer of this thread. It is reused, because the system clears new memory first."""
    buffer = getattr(_own, name, None)
    if buffer is None or len(buffer) < size:
        buffer = np.empty(size, np.uint8)
        setattr(_own, name, buffer)
    return buffer[:size]


@compiled(
    int64(
        Array(uint8, 1, "C", readonly=True),
        Array(int64, 1, "C"),
        Array(int64, 1, "C"),
        Array(uint8, 1, "C"),
        int64,
    ),
    nogil=True,
)
def _copy(text, begins, sizes, out, at):
    """Copy parts of a text to `out`, one after another from `at`; return where they end."""
    for index in range(len(begins)):
        begin, size = begins[index], sizes[index]
        out[at : at + size] = text[begin : begin + size]
        at += size
    return at


def regular_images(unpacked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of stamps of REGULAR_BYTES, and which of them are valid.

    Images are views of big-endian float32, shape (stamps, STAMP, STAMP). Nearly all stamps of the
    archive have an identical header, so each header is compared with that header and not parsed.
    If the header differs, the image is not valid: read the stamp with `read_image`.
    """
    headers = unpacked[:, :BLOCK]
    images = unpacked[:, BLOCK : BLOCK + 4 * STAMP * STAMP].view(">f4")
    regular = np.zeros(len(unpacked), bool)
    for header in headers:
        try:
            if _read_cards(header.tobytes()) == (STAMP, STAMP, BLOCK):
                regular = (headers == header).all(axis=1)
                break
        except (BadStamp, _LongHeader):
            continue
    return images.reshape(-1, STAMP, STAMP), regular


def _layout(unpacked: bytes) -> tuple[int, int, int]:
    """Return rows, columns and where the pixels begin."""
    try:
        rows, columns, offset = _read_cards(unpacked[:BLOCK])
    except _LongHeader:
        rows, columns, offset = _read_cards.__wrapped__(unpacked[:MAX_HEADER], whole=True)
    if len(unpacked) < offset + 4 * rows * columns:
        raise BadStamp("fits", f"{rows} x {columns} pixels need more bytes than there are")
    return rows, columns, offset


class _LongHeader(Exception):
    """The first block contains no END."""


@lru_cache(maxsize=256)
def _read_cards(header: bytes, whole: bool = False) -> tuple[int, int, int]:
    """Read the cards of a header. A night has few different headers, so results are cached."""
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
        # If a card is repeated, the first one counts. Values may be anywhere after the equals sign.
        if card[8:9] == b"=":
            cards.setdefault(name, card[9:])
    else:
        if not whole and len(header) == BLOCK:
            raise _LongHeader
        raise BadStamp("fits", "its header has no END")
    if cards.get(b"SIMPLE", b"").split(b"/")[0].strip() != b"T":
        raise BadStamp("fits", "SIMPLE is not T")
    for name, expected in ((b"BITPIX", -32), (b"NAXIS", 2)):
        if _integer(cards, name) != expected:
            raise BadStamp("fits", f"{name.decode()} is not {expected}")
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
