"""One image file: what its bytes hold, and whether that is what an image of the data set is."""

import io

import numpy as np
from PIL import Image, JpegImagePlugin

WIDTH = 256
SHAPE = (WIDTH, WIDTH)
_IMAGE_DESCRIPTION = 0x010E
_FLAG = "flagged"

STATUSES = (
    "ok",
    "unparsable_name",
    "undecodable",
    "not_256_8bit",
    "all_black",
    "unplaced",
    "superseded",
)
"""What can be said of an image file; the first thing that is wrong counts."""


def decode(content: bytes) -> Image.Image:
    """Return a JPEG's picture, decoded to its last byte.

    Raises
    ------
    OSError, SyntaxError, ValueError
        When the content is no JPEG, or cut short. (Pillow would fill up what is missing only if
        LOAD_TRUNCATED_IMAGES were set.)
    """
    # Not Image.open: it tries formats and looks for further pictures, a fifth of the time.
    picture = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    if is_regular(picture):
        picture.load()
    return picture


def is_regular(picture: Image.Image) -> bool:
    """Return whether a picture is 256 x 256 in one band of 8 bits."""
    return picture.size == SHAPE and picture.mode == "L"


def check_image(content: bytes) -> tuple[str, bool]:
    """Return the status of an image file by its content, and whether its EXIF data flags it."""
    try:
        picture = decode(content)
    # Pillow's plugins raise whatever the broken header leads them into.
    except Exception:  # noqa: BLE001
        return "undecodable", False
    if not is_regular(picture):
        return "not_256_8bit", False
    flagged = is_flagged(picture)
    return ("ok" if picture.getbbox() else "all_black"), flagged


def is_flagged(picture: Image.Image) -> bool:
    """Return whether the EXIF ImageDescription says that the image is noisy."""
    exif = picture.info.get("exif", b"")
    # Parsing is slow and most images have nothing to parse.
    if _FLAG.encode() not in exif.lower():
        return False
    try:
        return _FLAG in str(picture.getexif().get(_IMAGE_DESCRIPTION, "")).lower()
    except Exception:  # noqa: BLE001 (a broken EXIF block that still says `flagged`)
        return True


def pixels(content: bytes) -> np.ndarray:
    """Return the pixels of a regular image: uint8, shape (256, 256)."""
    return np.asarray(decode(content))
