"""PNG files for a page: 8 bits a pixel, the same bytes for the same pixels."""

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

GREYS = 254
"""Grey levels of a picture with marks: 0 is black, GREYS - 1 is white."""
NOTHING, MARKED = 254, 255
"""Values of a picture with marks: what is not drawn, and what has no value."""
MARK_COLOUR = (230, 159, 0)
"""Orange, which no grey looks like, whatever colours a reader can tell apart (Okabe and Ito)."""


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
        uint8, shape (height, width): grey levels below GREYS, NOTHING and MARKED.
    """
    from PIL import Image

    grey = np.rint(np.arange(GREYS) * 255 / (GREYS - 1)).astype(np.uint8)
    palette = [*np.repeat(grey, 3).tolist(), 255, 255, 255, *MARK_COLOUR]
    picture = Image.fromarray(pixels)
    picture.putpalette(palette)
    return _png(picture, transparency=NOTHING)


def _png(picture: "Image.Image", **more) -> bytes:
    content = io.BytesIO()
    # Fixed settings and no time, so that equal pixels give equal bytes.
    picture.save(content, format="PNG", compress_level=9, optimize=False, **more)
    return content.getvalue()


def halved(image: np.ndarray) -> np.ndarray:
    """Return an image, uint8, at half its height and width: the mean of each four pixels."""
    height, width = image.shape
    blocks = image.reshape(height // 2, 2, width // 2, 2).astype(np.uint16)
    return (blocks.sum(axis=(1, 3)) // 4).astype(np.uint8)
