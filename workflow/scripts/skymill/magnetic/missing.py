"""Which steps of a parameter were not measured."""

import numpy as np

from skymill.magnetic.schema import EXTENSIVE_PARAMETERS, XR_MAX_MISSING


def missing_steps(series: np.ndarray, name: str) -> np.ndarray:
    """Return where a parameter has no value, as bool of the same shape.

    NaN, an exact zero of a parameter that sums over the region, and the sentinel of XR_MAX are no
    values. `series` is float64, raw.
    """
    missing = np.isnan(series)
    if name in EXTENSIVE_PARAMETERS:
        missing |= series == 0
    if name == "XR_MAX":
        missing |= series == XR_MAX_MISSING
    return missing
