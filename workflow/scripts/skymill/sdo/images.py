"""Decode one image file, and check whether it is a good image of the data set."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, JpegImagePlugin

WIDTH = 256
MOST_BYTES, MOST_SCANS = 2**18, 100
"""Maximum numbers of bytes and scans of an image. A picture of WIDTH has at most 70 kB and ten
scans. A scan can have few bytes, but still costs the decoding of all blocks."""
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
"""Statuses of an image file; the first problem that is found counts."""

OFF_DISK = {"continuum": 0, "magnetogram": 128}
"""Grey value of HMI's channels outside the solar disk, where these images are constant."""
LEAST_RANGE = 2
"""Least difference of grey levels between the darkest and the brightest pixel of a good image."""
DEAD_ROWS = 32
"""This many adjacent rows without any variation are lost data in an AIA channel."""
_BLOCK = 8
"""Edge of the blocks that JPEG packs: a constant area consists of blocks."""
_LAST = WIDTH - 1
_CORNERS = ((0, 0), (0, _LAST), (_LAST, 0), (_LAST, _LAST))
_LINES = range(DEAD_ROWS - 1, WIDTH, DEAD_ROWS)
"""Any DEAD_ROWS adjacent rows include one of these rows."""
_PLACES = [tuple((column, row) for column in (0, 126, 252)) for row in _LINES]
"""Three pixels of each row of _LINES."""


class Content(NamedTuple):
    """The result of checking the bytes of an image file.

    Attributes
    ----------
    status
        One of STATUSES.
    flagged
        Whether its EXIF data says that it is noisy.
    off_disk
        Pixels of an HMI channel in constant blocks of the channel's value outside the solar disk.
    """

    status: str
    flagged: bool = False
    off_disk: int = 0


def decode(content: bytes) -> Image.Image:
    """Return a JPEG's picture, decoded to its last byte.

    Raises
    ------
    OSError, SyntaxError, ValueError
        When the content is not a JPEG, is cut short, or is larger than any image. (Pillow would
        fill in the missing part only if LOAD_TRUNCATED_IMAGES were set.)
    """
    if len(content) > MOST_BYTES or content.count(_SCAN) > MOST_SCANS:
        raise ValueError(f"more than {MOST_BYTES:,} bytes or {MOST_SCANS} scans")
    # Image.open would also try formats and look for more pictures, which takes a fifth of the time.
    picture = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    if is_regular(picture):
        picture.load()
    return picture


def is_regular(picture: Image.Image) -> bool:
    """Return whether a picture is 256 x 256 in one band of 8 bits."""
    return picture.size == SHAPE and picture.mode == "L"


def check_image(content: bytes, channel: str) -> Content:
    """Check the bytes of an image of a channel, see names.CHANNELS."""
    try:
        picture = decode(content)
    except MemoryError:
        raise
    # With a damaged header, Pillow's plugins may raise any exception.
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
    # Parsing is slow, and most images have no EXIF data.
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

    Such a picture has grey values that differ by less than LEAST_RANGE, or DEAD_ROWS adjacent rows
    with one value each. Rows count only in AIA channels: HMI rows are constant outside the solar
    disk.
    """
    # A check of every pixel takes a fifth of the time of decoding.
    if _shows_something(picture, channel):
        return False
    grey = np.asarray(picture)
    if int(grey.max()) - int(grey.min()) < LEAST_RANGE:
        return True
    return channel not in OFF_DISK and (longest_run((grey == grey[:, :1]).all(axis=1)) >= DEAD_ROWS)


def _shows_something(picture: Image.Image, channel: str) -> bool:
    """Return whether a few pixels prove that a picture is not degenerate. Nearly always they do."""
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
    """Count the pixels in blocks in which every pixel has HMI's value outside the solar disk.

    The count is 0 for AIA channels, which show the corona there. Single pixels of that value do not
    count: a quiet magnetogram has many of them.
    """
    if channel not in OFF_DISK:
        return 0
    empty, at = OFF_DISK[channel], picture.load()
    # The disk is convex: if the four corners of a picture are on the disk, all pixels are.
    if all(at[corner] != empty for corner in _CORNERS):
        return 0
    blocks = np.asarray(picture).reshape(WIDTH // _BLOCK, _BLOCK, WIDTH // _BLOCK, _BLOCK)
    return int(np.count_nonzero((blocks == empty).all(axis=(1, 3)))) * _BLOCK**2
