"""Keys of steps: what the 2020 files and SWAN-SF have in common, as one number a step.

Equal values give equal keys, whichever file they are from. The exact key is taken over all 24
shared parameters, the rounded one over five digits of eight that sum over the region: it survives
float32 and ten decimals.
"""

import numpy as np

from skymill.magnetic.fingerprints import TRIVIAL, fold, is_measured
from skymill.swan_sf.schema import PARAMETERS

ROUNDED_PARAMETERS = (
    "TOTUSJH",
    "TOTBSQ",
    "TOTPOT",
    "TOTUSJZ",
    "ABSNJZH",
    "SAVNCPP",
    "USFLUX",
    "MEANPOT",
)
"""Positive and far from zero in a region that was measured, so that digits mean something."""

_ROUNDED = [PARAMETERS.index(name) for name in ROUNDED_PARAMETERS]
_BATCH = 4096
"""Steps at a time: what they need stays in the processor's cache."""

_POWERS = 10.0 ** np.arange(-300, 309)
_SMALLEST, _LARGEST = 1e-280, 1e300
"""Between these a value has five digits to round to."""


def keys(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact and the rounded key of each step.

    Parameters
    ----------
    values
        float64, shape (24, steps), parameters in the order of swan_sf.schema.PARAMETERS.

    Returns
    -------
    exact
        uint64, shape (steps,). TRIVIAL where fewer than eight values are finite and not zero. NaN
        equals NaN and -0.0 equals 0.0. Steps that differ in one parameter never collide.
    rounded
        uint64, shape (steps,). TRIVIAL where one of the eight values is zero, missing or infinite.
    """
    exact, rounded = np.empty((2, values.shape[1]), dtype=np.uint64)
    for start in range(0, values.shape[1], _BATCH):
        part = slice(start, start + _BATCH)
        batch = values[:, part] + 0.0
        batch[np.isnan(batch)] = np.nan
        exact[part] = _fold(batch.view(np.uint64), is_measured(batch))
        rounded[part] = _fold(*five_digits(batch[_ROUNDED]))
    return exact, rounded


def five_digits(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values rounded to five digits, as numbers that are equal when those digits are.

    Parameters
    ----------
    values
        float64, shape (parameters, steps).

    Returns
    -------
    codes
        uint64, of the same shape.
    usable
        bool, shape (steps,): whether all values of a step have digits.
    """
    size = np.abs(values)
    has_digits = (size > _SMALLEST) & (size < _LARGEST)
    size = np.where(has_digits, size, 1.0)
    exponent = np.floor(np.log10(size)).astype(np.int64)
    digits = np.rint(size / _POWERS[exponent - 4 + 300]).astype(np.int64)
    # Either the logarithm was just below a whole number, or 99999.7 was rounded up.
    over = digits >= 100_000
    digits[over] //= 10
    exponent += over
    code = (exponent + 400) * 100_000 + digits
    return np.where(values < 0, -code, code).view(np.uint64), has_digits.all(axis=0)


def _fold(bits: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return one number for each column of `bits`, TRIVIAL where it is not usable."""
    return np.where(usable, fold(bits), TRIVIAL)
