"""GOES classes of the samples, from the peak fluxes that SDOBenchmark stores.

The archive stores the flux of an event's GOES class divided by 0.85, such as 1.6470588235294118e-06
for a C1.4; 1e-9 means that no flare was recorded. The stored flux times 0.85 has the rounding
errors of two float divisions. So this module rounds the flux to the two digits of the class, with
exact decimals.
"""

from decimal import ROUND_HALF_UP, Decimal

LABELS = ("X", "M", "C", "Q")
"""Labels of the published data set. Below C1.0 the label is Q, with or without a flare."""
QUIET = "quiet"

_QUIET_FLUX = Decimal("1e-9")
_THRESHOLDS = {
    "X": Decimal("1e-4"),
    "M": Decimal("1e-5"),
    "C": Decimal("1e-6"),
    "B": Decimal("1e-7"),
    "A": Decimal("1e-8"),
}
"""Flux at which each class begins, in W/m2 from 1 to 8 angstroms."""
_TENTH = Decimal("0.1")


def goes_class(peak_flux: str, scale: float) -> str:
    """Return the GOES class of a stored flux, such as `M8.7`, or `quiet`.

    Parameters
    ----------
    peak_flux
        The text in the archive, in W/m2 divided by 0.85.
    scale
        The factor for the flux. With 1 the class is the stored flux, not rounded. With another
        factor the mantissa is rounded to one decimal, halves up.
    """
    if Decimal(peak_flux) <= _QUIET_FLUX:
        return QUIET
    flux = _scaled(peak_flux, scale)
    letter = _letter(flux)
    return f"{letter}{_plain(flux / _THRESHOLDS[letter])}"


def label(peak_flux: str, scale: float) -> str:
    """Return X, M, C or Q by the flux thresholds 1e-4, 1e-5 and 1e-6, see `goes_class`."""
    letter = _letter(_scaled(peak_flux, scale))
    return letter if letter in LABELS else "Q"


def _scaled(peak_flux: str, scale: float) -> Decimal:
    """Return the flux of the class: exact when the scale is 1, else with about two digits."""
    if scale == 1:
        return Decimal(peak_flux)
    flux = Decimal(peak_flux) * Decimal(repr(scale))
    step = _THRESHOLDS[_letter(flux)] * _TENTH
    # A mantissa of 9.96 becomes 10.0 here, which is 1.0 of the next class.
    return (flux / step).quantize(Decimal(1), ROUND_HALF_UP) * step


def _letter(flux: Decimal) -> str:
    return next((letter for letter, begins in _THRESHOLDS.items() if flux >= begins), "A")


def _plain(number: Decimal) -> str:
    """Return a number without exponent, with at least one decimal and no more trailing zeros."""
    text = f"{number.normalize():f}"
    return text if "." in text else f"{text}.0"
