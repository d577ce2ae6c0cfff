"""GOES classes: exactly the stored classes, despite the errors of two float divisions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.sdo.goes import LABELS, QUIET, goes_class, label

BEGINS = {"A": 1e-8, "B": 1e-7, "C": 1e-6, "M": 1e-5, "X": 1e-4}
CLASSES = [(letter, tenths) for letter in "ABCM" for tenths in range(10, 100)]
CLASSES += [("X", tenths) for tenths in range(10, 201)]


@pytest.mark.parametrize("letter", "ABCMX")
def test_every_class_is_recovered_from_a_flux_stored_with_the_factor_085(letter):
    for kind, tenths in CLASSES:
        if kind != letter:
            continue
        name = f"{kind}{tenths // 10}.{tenths % 10}"
        # The archive may have computed the flux in either of these two ways.
        for flux in (tenths / 10 * BEGINS[kind] / 0.85, tenths * (BEGINS[kind] / 10) / 0.85):
            assert goes_class(repr(flux), 0.85) == name
            assert label(repr(flux), 0.85) == (kind if kind in LABELS else "Q")


@pytest.mark.parametrize(
    ("flux", "name", "kind"),
    [
        ("1.6470588235294118e-06", "C1.4", "C"),
        ("8e-07", "B6.8", "Q"),
        ("1e-06", "B8.5", "Q"),
        ("1.0235294117647059e-4", "M8.7", "M"),
        ("1e-09", QUIET, "Q"),
        ("1.1718e-4", "X1.0", "X"),
        ("1.17e-5", "C9.9", "C"),
    ],
)
def test_known_fluxes_have_their_classes(flux, name, kind):
    assert (goes_class(flux, 0.85), label(flux, 0.85)) == (name, kind)


def test_a_mantissa_that_rounds_to_ten_becomes_one_of_the_next_class():
    assert goes_class("9.96e-5", 0.9999999) == "X1.0"
    assert label("9.96e-5", 0.9999999) == "X"
    assert goes_class("9.94e-5", 0.9999999) == "M9.9"


@given(st.floats(1e-8, 1e-2))
def test_a_scale_of_one_uses_the_stored_flux_without_rounding(flux):
    name, kind = goes_class(repr(flux), 1.0), label(repr(flux), 1.0)
    expected = "X" if flux >= 1e-4 else "M" if flux >= 1e-5 else "C" if flux >= 1e-6 else "Q"
    assert kind == expected
    assert float(name[1:]) * BEGINS[name[0]] == pytest.approx(flux, rel=1e-12)


@given(st.floats(1e-8, 1e-2), st.floats(1e-8, 1e-2))
def test_a_larger_flux_never_has_a_weaker_label(first, second):
    low, high = sorted([first, second])
    order = [LABELS.index(label(repr(flux), 0.85)) for flux in (low, high)]
    assert order[0] >= order[1]
