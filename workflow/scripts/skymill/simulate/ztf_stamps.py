"""Simulated stamps of ZTF alerts: stars on sky and noise, as gzipped FITS in the style of ZTF."""

import functools
import io
from dataclasses import dataclass

import numpy as np

from skymill.engine.randomness import generator, key

SIZE, CENTRE = 63, 31
"""Pixels along each axis of a whole stamp, and the place of the source."""

CROP = 10
"""Pixels on each side of the source in a crop of 21."""

DETECTOR = {"xpos": 3072, "ypos": 3080}
"""Pixels of a readout channel along each axis, which are counted from 1."""

MEAN_NEIGHBOURS = 5
"""Other stars in a stamp."""

PSF_SIGMA = 1.0
"""The width of a star's image in pixels. In a real night, the median full width at half maximum is
2.4."""

ZERO_POINT = 25.4
"""The magnitude of 1 DN: `magzpsci` of a real night."""

_CARDS = (
    "SIMPLE  =  T",
    "BITPIX  =                  -32",
    "NAXIS   =                    2",
    "NAXIS1  = {columns:20d}",
    "NAXIS2  = {rows:20d}",
    "BUNIT   = 'DN      '",
    "END",
)
"""The cards of real packets, in which the value of SIMPLE is not at its standard place."""

_BLOCK = 2880

_GZIP_LEVEL = 1
"""The level of compression: on these pixels, nearly as small as level 6."""


@dataclass(frozen=True)
class Edge:
    """The edge of the detector that cuts a stamp.

    Attributes
    ----------
    axis
        `xpos` (columns) or `ypos` (rows).
    low
        Whether pixels are missing at the low end of the axis; otherwise at the high end.
    length
        The remaining pixels, 41 to 62.
    """

    axis: str
    low: bool
    length: int

    @property
    def position(self) -> int:
        """The pixel of the source on the detector, counted from 1."""
        cut = SIZE - self.length
        return CENTRE + 1 - cut if self.low else DETECTOR[self.axis] - CENTRE + cut

    def cut(self, stamp: np.ndarray) -> np.ndarray:
        """Return the remaining part of a whole stamp."""
        part = slice(SIZE - self.length, None) if self.low else slice(self.length)
        return stamp[:, part] if self.axis == "xpos" else stamp[part]


@dataclass(frozen=True, eq=False)
class Scene:
    """The constant part of the image at an object's place in one filter.

    Attributes
    ----------
    template
        Reference image, float32, shape (63, 63), DN.
    stars
        The reference image with its sky, but without its noise.
    shift
        Place of the source within its pixel, columns and rows, -0.45 to 0.45.
    flux
        Flux of the source in the reference image, DN.
    psf
        Image of a star of 1 DN at the source's place, float32, shape (63, 63).
    """

    template: np.ndarray
    stars: np.ndarray
    shift: tuple[float, float]
    flux: float
    psf: np.ndarray


@functools.lru_cache(maxsize=512)
def scene(number: int, filter_id: int, seed: int) -> Scene:
    """Return the scene at an object's place in a filter."""
    rng = generator(key(seed, "ztf", "scene"), number)
    shift = tuple(rng.uniform(-0.45, 0.45, 2).tolist())
    neighbours = rng.poisson(MEAN_NEIGHBOURS)
    places = np.vstack([np.add(CENTRE, shift), rng.uniform(-3, SIZE + 3, (neighbours, 2))])
    flux = np.append(10 ** rng.uniform(1, 4.5), 10 ** rng.uniform(2, 4.5, neighbours))
    # Each filter has its own brightnesses, and its reference image has its own noise.
    rng = generator(key(seed, "ztf", "scene", filter_id), number)
    flux *= rng.lognormal(0, 0.3, len(flux))
    images = np.stack([_star(*place) for place in places])
    sky = rng.normal(76, 11)
    stars = (sky + np.tensordot(flux, images, 1)).astype(np.float32)
    template = stars + _noise(rng, stars, 2.5)
    return Scene(template, stars, shift, float(flux[0]), images[0].astype(np.float32))


def draw_stamps(
    rng: np.random.Generator, seen: Scene, change: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return science, template and difference of an alert, float32, shape (63, 63), DN.

    The source is brighter than in the template by `change` DN. The difference is science minus
    template, or template minus science if the change is negative. It is exact for each pixel.
    """
    science = seen.stars + np.float32(change) * seen.psf
    science += _noise(rng, science, 5)
    template = seen.template
    return science, template, science - template if change > 0 else template - science


def blank(rng: np.random.Generator, stamps: tuple[np.ndarray, ...], in_crop: bool) -> None:
    """Make pixels of a rectangle NaN, in place: in and around the central crop, or outside it.

    The pixels of a saturated star are unknown. But in a third of the templates they are known.
    """
    if in_crop:
        height, width = rng.integers(3, 9, 2)
        top, left = rng.integers(CENTRE - 4, CENTRE + 4, 2)
    else:
        height, width = rng.integers((3, 2), (40, CENTRE - CROP))
        top, left = rng.integers(SIZE - height), rng.choice((0, SIZE - width))
    spared = 1 if rng.random() < 1 / 3 else None
    for place, stamp in enumerate(stamps):
        if place != spared:
            stamp[top : top + height, left : left + width] = np.nan


def fits_gzip(stamp: np.ndarray) -> bytes:
    """Return a stamp as gzipped FITS with ZTF's header of six cards, pixels big-endian float32."""
    # Not isal, see tarballs.write_piece.
    import zlib

    content = _header(*stamp.shape) + stamp.astype(">f4").tobytes()
    content += bytes(-len(content) % _BLOCK)
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(content) + packer.flush()
    ending = zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03" + body + ending


def jpeg(stamp: np.ndarray) -> bytes:
    """Return a stamp as a small grey JPEG."""
    from PIL import Image

    low, high = np.nanpercentile(stamp, (1, 99))
    grey = (np.nan_to_num(np.clip((stamp - low) / (high - low), 0, 1)) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "JPEG")
    return stream.getvalue()


@functools.lru_cache(maxsize=64)
def _header(rows: int, columns: int) -> bytes:
    cards = (card.format(rows=rows, columns=columns).ljust(80) for card in _CARDS)
    return "".join(cards).ljust(_BLOCK).encode("ascii")


def _star(x: float, y: float) -> np.ndarray:
    """Return the image of a star of 1 DN at column x and row y, shape (63, 63)."""
    pixel = np.arange(SIZE)
    across, down = (np.exp(-(((pixel - at) / PSF_SIGMA) ** 2) / 2) for at in (x, y))
    return np.outer(down, across) / (2 * np.pi * PSF_SIGMA**2)


def _noise(rng: np.random.Generator, image: np.ndarray, floor: float) -> np.ndarray:
    """Return noise: of the readout and the sky, and of the photons at a gain of 6 per DN."""
    drawn = rng.standard_normal(image.shape, dtype=np.float32)
    return drawn * np.sqrt(np.float32(floor**2) + np.maximum(image, 0) / 6)
