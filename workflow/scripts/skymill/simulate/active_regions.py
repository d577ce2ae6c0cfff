"""Images that look like active regions, fast enough to simulate hundreds of thousands.

A region is a handful of round spots. Each SDO channel shows the spots differently: bright in the
ultraviolet, dark in the continuum, with both polarities in the magnetogram.
"""

import functools
import io
from dataclasses import dataclass

import numpy as np

from skymill.engine.randomness import generator, key

SIZE = 256
"""Pixels along an edge, as in SDOBenchmark."""

QUALITY = 80
"""The quality of the JPEG encoder: about 9 kB per image, as in SDOBenchmark."""

NOISE_SIGMA = 5.0
"""Standard deviation of the pixel noise, in grey levels."""


@dataclass(frozen=True)
class Look:
    """How a channel shows a region, in grey levels and relative to the size of the spots.

    Attributes
    ----------
    background
        Grey level without spots.
    contrast
        Grey levels of a spot of strength 1, negative for dark spots.
    spread
        Factor of the spots' radii.
    bipolar
        Whether following spots have the opposite sign.
    """

    background: float
    contrast: float
    spread: float
    bipolar: bool = False


LOOKS = {
    "94": Look(12, 90, 1.2),
    "131": Look(20, 100, 1.1),
    "171": Look(45, 120, 1.4),
    "193": Look(50, 130, 1.5),
    "211": Look(40, 120, 1.5),
    "304": Look(35, 110, 1.2),
    "335": Look(18, 90, 1.5),
    "1700": Look(90, 80, 0.9),
    "continuum": Look(190, -110, 0.5),
    "magnetogram": Look(128, 100, 0.7, bipolar=True),
}
"""The ten channels, in the order of SDOBenchmark's documentation: wavelengths in angstrom, HMI."""


@dataclass(frozen=True, eq=False)
class Spots:
    """The spots of one region: float32 arrays of equal length.

    Attributes
    ----------
    row, column
        Centres, in pixels.
    radius
        Standard deviations of the spots, in pixels.
    strength
        Around 1; negative for following polarity.
    """

    row: np.ndarray
    column: np.ndarray
    radius: np.ndarray
    strength: np.ndarray


def draw_spots(rng: np.random.Generator) -> Spots:
    """Draw the spots of a region: leading ones on the right, following ones on the left."""
    count = int(rng.integers(4, 9))
    polarity = np.where(np.arange(count) % 2 == 0, 1.0, -1.0)
    values = (
        rng.normal(SIZE / 2, SIZE / 12, count),
        rng.normal(SIZE / 2, SIZE / 14, count) + polarity * rng.uniform(20, 45),
        rng.uniform(6, 26, count),
        polarity * rng.uniform(0.4, 1.1, count),
    )
    return Spots(*(value.astype(np.float32) for value in values))


def draw_image(spots: Spots, channel: str, rng: np.random.Generator, seed: int) -> np.ndarray:
    """Draw the image of a region in one channel at one time.

    Parameters
    ----------
    spots
        The region, from `draw_spots`. Position and brightness change a little between images.
    channel
        One of LOOKS.
    rng
        The random generator of this image only.
    seed
        The seed of the noise field from which the noise of all images is cut.

    Returns
    -------
    uint8, shape (SIZE, SIZE).
    """
    look = LOOKS[channel]
    row_drift, column_drift = rng.normal(0, 3, 2).astype(np.float32)
    radius = spots.radius * np.float32(look.spread)
    strength = spots.strength if look.bipolar else np.abs(spots.strength)
    flicker = rng.uniform(0.8, 1.2, len(radius)).astype(np.float32)
    # A round Gaussian is the product of one Gaussian per axis. So a sum of round Gaussians is one
    # product of two thin matrices.
    pixels = (_bells(spots.row + row_drift, radius) * (look.contrast * flicker * strength)) @ (
        _bells(spots.column + column_drift, radius).T
    )
    noise = _noise(seed)
    row, column = rng.integers(0, noise.shape[0] - SIZE, 2)
    pixels += noise[row : row + SIZE, column : column + SIZE]
    pixels += np.float32(look.background)
    return np.clip(pixels, 0, 255, out=pixels).astype(np.uint8)


def encode(pixels: np.ndarray, description: str | None = None) -> bytes:
    """Return pixels as a greyscale JPEG, with the EXIF ImageDescription if given."""
    from PIL import ExifTags, Image

    options = {}
    if description is not None:
        options["exif"] = exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = description
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, **options)
    return buffer.getvalue()


def _bells(centre: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return a Gaussian of height 1 along an axis for each spot, float32, shape (SIZE, spots)."""
    axis = np.arange(SIZE, dtype=np.float32)[:, None]
    return np.exp(np.square((axis - centre) / radius) * np.float32(-0.5))


@functools.lru_cache(maxsize=1)
def _noise(seed: int) -> np.ndarray:
    """Return a field from which noise is cut: new noise per image would take most of the time."""
    rng = generator(key(seed, "sdo", "noise"), 0)
    return rng.normal(0, NOISE_SIGMA, (2 * SIZE, 2 * SIZE)).astype(np.float32)
