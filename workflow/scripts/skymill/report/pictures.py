"""PNG files for a page: 8 bits per pixel. The same pixels always make the same bytes."""

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

GREYS = 254
"""Number of grey levels of a picture with marks: 0 is black, GREYS - 1 is white."""
NOTHING, MARKED = 254, 255
"""Pixels of a picture with marks that are transparent, and pixels that are marked."""
MARK_COLOUR = (230, 159, 0)
"""Orange from the palette of Okabe and Ito: colour-blind readers do not confuse it with grey."""


def grey_png(pixels: np.ndarray) -> bytes:
    """Return a grey picture as the content of a PNG file.

    Parameters
    ----------
    pixels
        uint8, shape (height, width): 0 is black, 255 is white.
    """
    from PIL import Image

    return _png(Image.fromarray(pixels))


def marked_png(pixels: np.ndarray) -> bytes:
    """Return a picture with marks as the content of a PNG file.

    Parameters
    ----------
    pixels
        uint8, shape (height, width): grey levels below GREYS, or NOTHING, or MARKED.
    """
    from PIL import Image

    grey = np.rint(np.arange(GREYS) * 255 / (GREYS - 1)).astype(np.uint8)
    palette = [*np.repeat(grey, 3).tolist(), 255, 255, 255, *MARK_COLOUR]
    picture = Image.fromarray(pixels)
    picture.putpalette(palette)
    return _png(picture, transparency=NOTHING)


def _png(picture: "Image.Image", **more) -> bytes:
    content = io.BytesIO()
    # With fixed settings and without a time, equal pixels make equal bytes.
    picture.save(content, format="PNG", compress_level=9, optimize=False, **more)
    return content.getvalue()


def halved(image: np.ndarray) -> np.ndarray:
    """Return a uint8 image at half its height and width: each pixel is the mean of four."""
    height, width = image.shape
    blocks = image.reshape(height // 2, 2, width // 2, 2).astype(np.uint16)
    return (blocks.sum(axis=(1, 3)) // 4).astype(np.uint8)
