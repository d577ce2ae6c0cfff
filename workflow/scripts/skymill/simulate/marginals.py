"""The distributions of the parameters of a simulated region, and series drawn from them.

A parameter's value is a function of one standard normal number (its normal score): the table's
quantile for this score, with interpolation. The parameters of one region are correlated because
their scores share two factors:

size
    The size of the region. It drives the sums over the region, R_VALUE and PIL_LEN.
shear
    The distance of the field from a potential field. It drives shear angles and mean densities.

Sources: the published quantiles of the 2020 data set (0, 25, 50, 75, 99 and 100 %), if any. Two
kinds of numbers are guesses: the minima of long-tailed parameters, and all quantiles of parameters
without published quantiles. The guesses are near the values of six real SWAN-SF windows, two of
small quiet regions and four of large regions.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from skymill.magnetic.schema import (
    EXTENSIVE_PARAMETERS,
    INDEX,
    LABELS,
    LORENTZ,
    MAGNETIC_PARAMETERS,
    PARAMETERS,
    STEPS,
    XR_MAX_MISSING,
)

_LOWEST, _HIGHEST = 1e-5, 1 - 1e-5
_POSITIVE = (_LOWEST, 0.25, 0.50, 0.75, 0.99, _HIGHEST)
_SIGNED = (_LOWEST, 0.01, 0.25, 0.50, 0.75, 0.99, _HIGHEST)


@dataclass(frozen=True)
class Marginal:
    """The distribution of one parameter.

    `scores` are the normal scores of the known `quantiles` (logarithms of quantiles if `log` is
    set). The value of scores below `zero_below` is exactly 0. `size` and `shear` are the loadings
    on the two factors. The rest of the variance is the parameter's own.
    """

    scores: np.ndarray
    quantiles: np.ndarray
    size: float
    shear: float
    log: bool
    zero_below: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return the values, float64, of normal scores of any shape."""
        values = np.interp(scores, self.scores, self.quantiles)
        if self.log:
            values = np.exp(values)
        return np.where(scores < self.zero_below, 0.0, values)


def _marginal(quantiles, size, shear, levels=_POSITIVE, *, log=False, zero_share=0.0) -> Marginal:
    normal = NormalDist()
    values = np.array(quantiles, dtype=np.float64)
    return Marginal(
        scores=np.array([normal.inv_cdf(level) for level in levels]),
        quantiles=np.log(values) if log else values,
        size=size,
        shear=shear,
        log=log,
        zero_below=normal.inv_cdf(zero_share) if zero_share else -np.inf,
    )


def _long_tailed(*quantiles, size, shear) -> Marginal:
    return _marginal(quantiles, size, shear, log=True)


def _mean(*quantiles, size, shear) -> Marginal:
    return _marginal(quantiles, size, shear)


def _signed(spread, tail, extreme, *, centre=0.0, size=0.0, shear=0.0) -> Marginal:
    offsets = np.array([-extreme, -tail, -spread, 0.0, spread, tail, extreme])
    return _marginal(centre + offsets, size, shear, _SIGNED)


def _zero_inflated(zero_share, *pairs, size, shear, log=False) -> Marginal:
    """The smallest positive value, then pairs of (level, quantile)."""
    first, *others = pairs
    levels = (zero_share, *(level for level, _ in others))
    quantiles = (first, *(quantile for _, quantile in others))
    return _marginal(quantiles, size, shear, levels, log=log, zero_share=zero_share)


# The archive's maxima of TOTPOT (8.68e26) and MEANPOT (7.53e8) are single outliers far above the
# 99 % quantile. Interpolation up to them would fill the gap with values that were never measured.
# So these maxima continue the trend of the other quantiles.
MARGINALS = {
    "TOTUSJH": _long_tailed(1.5, 43.2, 154, 625, 4948, 11523, size=0.96, shear=0.10),
    "TOTBSQ": _long_tailed(8e6, 3.29e8, 1.42e9, 8.1e9, 8.9e10, 1.43e11, size=0.98, shear=0),
    "TOTPOT": _long_tailed(5e19, 2.35e21, 1.03e22, 1e23, 1.62e24, 8e24, size=0.95, shear=0.15),
    "TOTUSJZ": _long_tailed(3e10, 9.66e11, 3.32e12, 1.32e13, 9.44e13, 2.24e14, size=0.97, shear=0),
    "ABSNJZH": _long_tailed(0.004, 3.13, 10.5, 46.7, 934, 2980, size=0.80, shear=0.30),
    "SAVNCPP": _long_tailed(4e9, 2.77e11, 8.12e11, 2.73e12, 3.26e13, 1.09e14, size=0.84, shear=0.2),
    "USFLUX": _long_tailed(1.5e19, 6.38e20, 2.39e21, 9.77e21, 7.33e22, 1.3e23, size=0.98, shear=0),
    "MEANPOT": _long_tailed(300, 1570, 1951, 5075, 19192, 60000, size=0.50, shear=0.55),
    "EPSZ": _marginal(
        (-0.99, -0.629, -0.567, -0.373, -0.03, 0.05, 0.98), 0.40, 0.40,
        (_LOWEST, 0.25, 0.50, 0.75, 0.99, 0.999, _HIGHEST),
    ),
    "SHRGT45": _long_tailed(0.03, 2.24, 4.81, 21.6, 62.5, 100, size=0.40, shear=0.75),
    "MEANSHR": _mean(12, 21.9, 23.9, 32.1, 52.5, 135.8, size=0.40, shear=0.75),
    "MEANGAM": _mean(15, 29, 34, 43, 58, 80, size=0.35, shear=0.70),
    "MEANGBT": _mean(55, 95, 112, 135, 190, 300, size=-0.50, shear=0.10),
    "MEANGBZ": _mean(55, 97, 116, 140, 200, 320, size=-0.50, shear=0.10),
    "MEANGBH": _mean(22, 46, 57, 69, 105, 180, size=-0.35, shear=0.25),
    "MEANJZH": _signed(0.006, 0.035, 0.12),
    "MEANJZD": _signed(0.35, 3.0, 12.0, centre=0.05),
    "MEANALP": _signed(0.02, 0.12, 0.5),
    "EPSX": _signed(0.09, 0.25, 0.8),
    "EPSY": _signed(0.05, 0.17, 0.7),
    "R_VALUE": _zero_inflated(
        0.52, 2.0, (0.75, 3.68), (0.99, 5.24), (_HIGHEST, 5.84), size=0.80, shear=0.30
    ),
    "RBZ_VALUE": _zero_inflated(
        0.60, 1.8, (0.75, 3.3), (0.99, 5.0), (_HIGHEST, 5.7), size=0.75, shear=0.30
    ),
    "RBT_VALUE": _zero_inflated(
        0.62, 1.8, (0.75, 3.2), (0.99, 4.9), (_HIGHEST, 5.6), size=0.70, shear=0.30
    ),
    "RBP_VALUE": _zero_inflated(
        0.64, 1.8, (0.75, 3.1), (0.99, 4.8), (_HIGHEST, 5.6), size=0.70, shear=0.30
    ),
    "FDIM": _zero_inflated(0.80, 0.6, (0.99, 1.35), (_HIGHEST, 1.7), size=0.65, shear=0.25),
    "BZ_FDIM": _zero_inflated(0.79, 0.6, (0.99, 1.40), (_HIGHEST, 1.7), size=0.65, shear=0.25),
    "BT_FDIM": _zero_inflated(0.83, 0.6, (0.99, 1.30), (_HIGHEST, 1.7), size=0.60, shear=0.25),
    "BP_FDIM": _zero_inflated(0.85, 0.6, (0.99, 1.25), (_HIGHEST, 1.7), size=0.60, shear=0.25),
    "PIL_LEN": _zero_inflated(
        0.42, 1.0, (0.50, 5.0), (0.75, 103.0), (0.99, 4912.0), (_HIGHEST, 26094.0),
        size=0.78, shear=0.35, log=True,
    ),
    "XR_MAX": _long_tailed(6e-8, 3.97e-7, 7.09e-7, 1.16e-6, 1.04e-5, 7e-4, size=0.10, shear=0.15),
}  # fmt: skip
"""The drawn parameters. TOTFX, TOTFY and TOTFZ are computed from EPS* and TOTBSQ."""

SIZE_SHIFT = {"X": 2.1, "M": 1.7, "C": 1.1, "B": 0.6, "Q": -0.43}
"""Mean size factor of a region by the strongest class that it produces.

Weighted with the share of windows in such regions (about 0.3, 3, 17, 10 and 70 %), the mean is 0
and the variance 0.48. The variance among the regions of one class is SIZE_SPREAD**2. So over all
windows, the factor has mean 0 and variance 1, and the marginals are those of the table.
"""

SIZE_SPREAD = 0.72
"""Standard deviation of the size factor among regions of one class."""

SHEAR_NEAR_FLARE = {"X": 1.2, "M": 0.9, "C": 0.5, "B": 0.25, "Q": 0.0}
"""The amount that the windows before a flare of this class add to the shear factor."""

UNMEASURED_SHARE, NAN_SHARE, NO_X_RAY_SHARE = 0.01, 0.005, 0.01
"""Shares of a region's steps: not measured, without magnetic numbers, without X-ray flux."""

LONGEST_GAP = 3
"""The gaps above last from 1 to this number of steps."""

MEMORY = 0.99
"""Correlation of the slow noise from step to step: it falls to a half in 69 steps, 14 hours."""

LACKING_REGION_SHARE = 0.005
"""Share of the regions in which one parameter is NaN at all steps."""

_ZERO_WHEN_UNMEASURED = [
    INDEX[name]
    for name in MAGNETIC_PARAMETERS
    if name in EXTENSIVE_PARAMETERS or name.startswith(("MEAN", "EPS", "SHR"))
]
_MAGNETIC = [INDEX[name] for name in MAGNETIC_PARAMETERS]
_IDENTITY = {"TOTFX", "TOTFY", "TOTFZ", "TOTBSQ", "EPSX", "EPSY", "EPSZ"}
# These parameters are never missing: a region without USFLUX would be rejected completely, and a
# region without a term of the physical identity could not be checked.
_MAY_LACK = [
    INDEX[name] for name in MAGNETIC_PARAMETERS if name != "USFLUX" and name not in _IDENTITY
]


def simulate_series(labels: np.ndarray, stride: int, rng: np.random.Generator) -> np.ndarray:
    """Simulate the series of one region.

    Parameters
    ----------
    labels
        int, shape (windows,): positions in schema.LABELS of the windows in order of time.
    stride
        Steps between the starts of neighbouring windows, at most 60.

    Returns
    -------
    float64, shape (33, 60 + (windows - 1) * stride): parameters in file order.
    """
    steps = STEPS + (len(labels) - 1) * stride
    strongest = LABELS[labels.min()]
    size_level = SIZE_SHIFT[strongest] + SIZE_SPREAD * rng.standard_normal()
    levels = np.array([size_level, rng.standard_normal()])
    size, shear = _red_noise(rng, levels, steps, slow=0.01, fast=0.00001)
    shear = shear + _shear_before_flares(labels, stride, steps)
    levels = rng.standard_normal(len(MARGINALS))
    own = _red_noise(rng, levels, steps, slow=0.01, fast=0.0001)

    values = np.empty((len(PARAMETERS), steps))
    for (name, marginal), remainder in zip(MARGINALS.items(), own, strict=True):
        rest = math.sqrt(1 - marginal.size**2 - marginal.shear**2)
        score = marginal.size * size + marginal.shear * shear + rest * remainder
        values[INDEX[name]] = marginal(score)
    force = values[INDEX["TOTBSQ"]] / LORENTZ
    values[INDEX["TOTFX"]] = -values[INDEX["EPSX"]] * force
    values[INDEX["TOTFY"]] = -values[INDEX["EPSY"]] * force
    values[INDEX["TOTFZ"]] = values[INDEX["EPSZ"]] * force

    values[np.ix_(_ZERO_WHEN_UNMEASURED, _gaps(rng, steps, UNMEASURED_SHARE))] = 0.0
    values[np.ix_(_MAGNETIC, _gaps(rng, steps, NAN_SHARE))] = np.nan
    values[INDEX["XR_MAX"], _gaps(rng, steps, NO_X_RAY_SHARE)] = XR_MAX_MISSING
    if rng.random() < LACKING_REGION_SHARE:
        values[rng.choice(_MAY_LACK)] = np.nan
    return values


def _red_noise(
    rng: np.random.Generator, levels: np.ndarray, steps: int, *, slow: float, fast: float
) -> np.ndarray:
    """Return level + AR(1) + white noise of total variance 1, shape (levels, steps).

    `slow` and `fast` are the shares of the variance in AR(1) and white noise.
    """
    shape = (len(levels), steps)
    kicks = rng.standard_normal(shape) * math.sqrt(1 - MEMORY**2)
    kicks[:, 0] /= math.sqrt(1 - MEMORY**2)
    # The recursion in closed form; at 840 steps the powers stay within a few thousands.
    decay = MEMORY ** np.arange(steps)
    red = np.cumsum(kicks / decay, axis=1) * decay
    white = rng.standard_normal(shape)
    level = math.sqrt(1 - slow - fast) * levels[:, np.newaxis]
    return level + math.sqrt(slow) * red + math.sqrt(fast) * white


def _shear_before_flares(labels: np.ndarray, stride: int, steps: int) -> np.ndarray:
    """Return each step's shear: the mean of the additions of the windows that contain the step."""
    added = np.array([SHEAR_NEAR_FLARE[name] for name in LABELS])[labels]
    total, covering = np.zeros(steps), np.zeros(steps)
    for number, value in enumerate(added):
        covered = slice(number * stride, number * stride + STEPS)
        total[covered] += value
        covering[covered] += 1
    return total / covering


def _gaps(rng: np.random.Generator, steps: int, share: float) -> np.ndarray:
    """Return the positions of the steps in gaps: about `share` of all steps."""
    starts = np.flatnonzero(rng.random(steps) < share / ((1 + LONGEST_GAP) / 2))
    lengths = rng.integers(1, LONGEST_GAP + 1, len(starts))
    gaps = [np.arange(start, start + n) for start, n in zip(starts, lengths, strict=True)]
    return np.unique(np.concatenate([np.zeros(0, int), *gaps]).clip(0, steps - 1))
