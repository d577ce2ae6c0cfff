"""One image file: what its bytes hold, and whether that is what an image of the data set is."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, JpegImagePlugin

WIDTH = 256
MOST_BYTES, MOST_SCANS = 2**18, 100
"""Bytes and scans of an image: a picture of WIDTH has at most 70 kB and ten scans, and each scan is
a few bytes that cost the decoding of all blocks."""
_SCAN = b"\xff\xda"
SHAPE = (WIDTH, WIDTH)
_IMAGE_DESCRIPTION = 0x010E
_FLAG = "flagged"

STATUSES = (
    "ok",
    "unparsable_name",
    "undecodable",
    "not_256_8bit",
    "all_black",
    "degenerate",
    "unplaced",
    "superseded",
)
"""What can be said of an image file; the first thing that is wrong counts."""

OFF_DISK = {"continuum": 0, "magnetogram": 128}
"""Grey value of HMI's channels outside the solar disk, where these images are constant."""
LEAST_RANGE = 2
"""Grey levels between the darkest and the brightest pixel below which an image shows nothing."""
DEAD_ROWS = 32
"""So many adjacent rows without any variation are a loss of data in a channel of AIA."""
_BLOCK = 8
"""Edge of the blocks that JPEG packs: a constant area consists of them."""
_LAST = WIDTH - 1
_CORNERS = ((0, 0), (0, _LAST), (_LAST, 0), (_LAST, _LAST))
_LINES = range(DEAD_ROWS - 1, WIDTH, DEAD_ROWS)
"""Any DEAD_ROWS adjacent rows hold one of these."""
_PLACES = [tuple((column, row) for column in (0, 126, 252)) for row in _LINES]
"""Three pixels of each of them."""


class Content(NamedTuple):
    """What the bytes of an image file are.

    Attributes
    ----------
    status
        One of STATUSES.
    flagged
        Whether its EXIF data says that it is noisy.
    off_disk
        Pixels of a channel of HMI that are in constant blocks of its value outside the solar disk.
    """

    status: str
    flagged: bool = False
    off_disk: int = 0


def decode(content: bytes) -> Image.Image:
    """Return a JPEG's picture, decoded to its last byte.

    Raises
    ------
    OSError, SyntaxError, ValueError
        When the content is no JPEG, cut short, or larger than any image is. (Pillow would fill up
        what is missing only if LOAD_TRUNCATED_IMAGES were set.)
    """
    if len(content) > MOST_BYTES or content.count(_SCAN) > MOST_SCANS:
        raise ValueError(f"more than {MOST_BYTES:,} bytes or {MOST_SCANS} scans")
    # Not Image.open: it tries formats and looks for further pictures, a fifth of the time.
    picture = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    if is_regular(picture):
        picture.load()
    return picture


def is_regular(picture: Image.Image) -> bool:
    """Return whether a picture is 256 x 256 in one band of 8 bits."""
    return picture.size == SHAPE and picture.mode == "L"


def check_image(content: bytes, channel: str) -> Content:
    """Return what the bytes of an image of a channel are, see names.CHANNELS."""
    try:
        picture = decode(content)
    except MemoryError:
        raise
    # Pillow's plugins raise whatever the broken header leads them into.
    except Exception:  # noqa: BLE001
        return Content("undecodable")
    if not is_regular(picture):
        return Content("not_256_8bit")
    flagged = is_flagged(picture)
    if picture.getbbox() is None:
        return Content("all_black", flagged)
    if is_degenerate(picture, channel):
        return Content("degenerate", flagged)
    return Content("ok", flagged, off_disk(picture, channel))


def is_flagged(picture: Image.Image) -> bool:
    """Return whether the EXIF ImageDescription says that the image is noisy."""
    exif = picture.info.get("exif", b"")
    # Parsing is slow and most images have nothing to parse.
    if _FLAG.encode() not in exif.lower():
        return False
    try:
        return _FLAG in str(picture.getexif().get(_IMAGE_DESCRIPTION, "")).lower()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (a broken EXIF block that still says `flagged`)
        return True


def is_degenerate(picture: Image.Image, channel: str) -> bool:
    """Return whether a regular picture shows nothing.

    Its grey values differ by less than LEAST_RANGE, or DEAD_ROWS adjacent rows have one value each.
    Rows count in the channels of AIA alone: those of HMI are constant outside the solar disk.
    """
    # Looking at each pixel takes a fifth of the time of decoding.
    if _shows_something(picture, channel):
        return False
    grey = np.asarray(picture)
    if int(grey.max()) - int(grey.min()) < LEAST_RANGE:
        return True
    return channel not in OFF_DISK and (longest_run((grey == grey[:, :1]).all(axis=1)) >= DEAD_ROWS)


def _shows_something(picture: Image.Image, channel: str) -> bool:
    """Return whether a few pixels tell that a picture is not degenerate: nearly always they do."""
    at, varies = picture.load(), False
    rows_count = channel not in OFF_DISK
    for left, centre, right in _PLACES:
        one, other = at[left], at[centre]
        if rows_count and one == other == at[right]:
            return False
        varies = varies or abs(one - other) >= LEAST_RANGE
    return varies


def longest_run(flags: np.ndarray) -> int:
    """Return the length of the longest run of True in a line of bool."""
    borders = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return int((borders[1::2] - borders[::2]).max(initial=0))


def off_disk(picture: Image.Image, channel: str) -> int:
    """Count the pixels in blocks that have HMI's value outside the solar disk throughout.

    0 for the channels of AIA, which show the corona there. Single pixels of that value, which a
    quiet magnetogram has many of, do not count.
    """
    if channel not in OFF_DISK:
        return 0
    empty, at = OFF_DISK[channel], picture.load()
    # The disk is convex: if it holds the four corners of a picture, it holds all of it.
    if all(at[corner] != empty for corner in _CORNERS):
        return 0
    blocks = np.asarray(picture).reshape(WIDTH // _BLOCK, _BLOCK, WIDTH // _BLOCK, _BLOCK)
    return int(np.count_nonzero((blocks == empty).all(axis=(1, 3)))) * _BLOCK**2
