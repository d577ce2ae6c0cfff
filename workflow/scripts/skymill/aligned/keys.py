"""Keys of steps: one number per step, by which the 2020 files and SWAN-SF are compared.

Equal values have equal keys in any file. The exact key uses all 24 shared parameters. The rounded
key uses five digits of eight parameters that are sums over the region. So the rounded key does not
change if values are stored as float32 or with ten decimals.
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
"""Parameters that are positive and far from zero in a measured region, so that rounding works."""

_ROUNDED = [PARAMETERS.index(name) for name in ROUNDED_PARAMETERS]
_BATCH = 4096
"""Steps per batch: so few that a batch stays in the processor's cache."""

_POWERS = 10.0 ** np.arange(-300, 309)
_SMALLEST, _LARGEST = 1e-280, 1e300
"""Between these limits, a value can be rounded to five digits."""


def keys(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact and the rounded key of each step.

    Parameters
    ----------
    values
        float64, shape (24, steps), parameters in the order of swan_sf.schema.PARAMETERS.

    Returns
    -------
    exact
        uint64, shape (steps,). TRIVIAL if fewer than eight values are finite and not zero. NaN
        equals NaN and -0.0 equals 0.0. Steps that differ in one parameter never collide.
    rounded
        uint64, shape (steps,). TRIVIAL if one of the eight values is zero, missing or infinite.
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
    """Return values rounded to five digits, as codes: equal codes mean equal digits.

    Parameters
    ----------
    values
        float64, shape (parameters, steps).

    Returns
    -------
    codes
        uint64, shape (parameters, steps).
    usable
        bool, shape (steps,): whether all values of a step could be rounded.
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
    """Return one number per column of `bits`; TRIVIAL if the column is not usable."""
    return np.where(usable, fold(bits), TRIVIAL)
