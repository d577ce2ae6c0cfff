"""Which steps of a parameter were not measured."""

import numpy as np

from skymill.magnetic.schema import EXTENSIVE_PARAMETERS, XR_MAX_MISSING


def missing_steps(series: np.ndarray, name: str) -> np.ndarray:
    """Return where a parameter has no value: bool, shape of `series` (float64, raw values).

    Three kinds of numbers are no values: NaN, an exact zero of a parameter that is a sum over the
    region, and the sentinel of XR_MAX.
    """
    missing = np.isnan(series)
    if name in EXTENSIVE_PARAMETERS:
        missing |= series == 0
    if name == "XR_MAX":
        missing |= series == XR_MAX_MISSING
    return missing
