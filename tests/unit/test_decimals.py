"""The compiled reader agrees with Python on numbers it reads, and skips all other text."""

import json
import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from records import record

from skymill.magnetic.decimals import PADDING, read_table
from skymill.magnetic.parse import _PUNCTUATION, _parse_regular
from skymill.magnetic.schema import PARAMETERS, STEPS

HEAD = np.array([[int.from_bytes(b"[", "little")]], dtype=np.uint64)
COMMA = np.array([[0], [int.from_bytes(b", ", "little")]], dtype=np.uint64)
PUNCTUATION = (HEAD, HEAD * 0 + 0xFF, COMMA, np.array([[0], [0xFFFF]], dtype=np.uint64))


def read(first: str, second: str = "1.5") -> np.ndarray | None:
    """Return two numbers as `read_table` reads them from `[first, second`; None if it fails."""
    text = f"[{first}, {second}".encode()
    padded = np.frombuffer(text + b"\0" * PADDING, dtype=np.uint8).copy()
    values = np.empty((1, 2))
    end, whole = read_table(padded, 0, len(text), *PUNCTUATION, values.view(np.uint64))
    return values[0] if whole and end == len(text) else None


def bits(number: float) -> bytes:
    return struct.pack("<d", number)


PLAIN = st.floats(min_value=1e-300, max_value=1e300)


@given(PLAIN, st.booleans())
@example(1e16, False)
@example(9007199254740993.0, False)
@example(5e-05, True)
@example(2.2250738585072014e-300, False)
@example(1.7976931348623157e300, False)
def test_every_plain_number_that_python_writes_is_read_bit_for_bit(number, negative):
    number = -number if negative else number
    assert bits(read(repr(number))[0]) == bits(number)
    assert bits(read("0.25", repr(number))[1]) == bits(number)


@given(st.integers(0, 10**19 - 1), st.integers(-320, 320))
@example(2**53 + 1, 0)
@example(2**54 + 2, 0)
@example(2**54 + 6, 0)
@example(9007199254740993, -1)
@example(0, 5)
def test_a_number_that_is_read_has_the_value_that_python_reads(digits, power):
    token = f"{digits}e{power}"
    numbers = read(token)
    if numbers is None:
        # The general parser reads the number. This is only allowed near the limits of float64.
        assert not 1e-290 < float(token) < 1e300
    else:
        assert bits(numbers[0]) == bits(float(token))


@given(PLAIN, st.integers(-1, 1))
def test_numbers_near_the_middle_of_two_floats_are_rounded_as_in_python(number, aside):
    middle = (Fraction(number) + Fraction(math.nextafter(number, math.inf))) / 2
    power = math.floor(math.log10(number)) - 17
    digits = round(middle / Fraction(10) ** power) + aside
    token = f"{digits}e{power}"
    numbers = read(token)
    assert numbers is None or bits(numbers[0]) == bits(float(token))


@pytest.mark.parametrize("point", range(1, 20))
def test_the_point_may_be_anywhere_in_nineteen_digits(point):
    digits = "9123456789012345678"
    token = f"{digits[:point]}.{digits[point:]}" if point < 19 else digits
    assert bits(read(token)[0]) == bits(float(token))
    assert bits(read(f"0.{'0' * point}{digits}")[0]) == bits(float(f"0.{'0' * point}{digits}"))


@pytest.mark.parametrize(
    "token", ["0.0", "-0.0", "0e5", "-0E-5", "0", "1E+2", "1e02", "-12", "NaN"]
)
def test_unusual_spellings_are_read(token):
    assert bits(read(token)[0]) == bits(float(json.loads(token)))


@pytest.mark.parametrize(
    "token",
    [
        "-",
        "+1",
        ".5",
        "1.",
        "01",
        "00",
        "-01.5",
        "1e",
        "1e+",
        "1.e5",
        "--1",
        "-NaN",
        "nan",
        "null",
        "true",
        '"1"',
        "0x10",
        "1_0",
        "Infinity",
        "-Infinity",
        "1,",
        "1.5.5",
        "1e5.5",
        "1e+-5",
        "-0",
        "1e400",
        "1e-400",
        "12345678901234567890",
        "1e12345678",
        "1/",
        "1:",
        "",
        "- 1",
    ],
)
def test_text_that_is_no_plain_number_is_skipped(token):
    assert read(token) is None
    assert read("1.5", token) is None


@given(st.text(alphabet="0123456789-+.eEN an", max_size=24))
def test_numbers_that_json_refuses_are_not_read(token):
    numbers = read(token)
    if numbers is not None:
        assert bits(numbers[0]) == bits(float(json.loads(token)))


@given(st.data())
def test_a_text_that_ends_early_is_skipped(data):
    line = record(7, "Q")
    start = line.index(b'"TOTUSJH"')
    end = data.draw(st.integers(start, line.rindex(b'"59": ') + 5))
    padded = np.frombuffer(line[:end] + b"\0" * PADDING, dtype=np.uint8).copy()
    out = np.empty((len(PARAMETERS), STEPS), dtype=np.uint64)
    _, whole = read_table(padded, start, end, *_PUNCTUATION, out)
    assert not whole


@pytest.mark.parametrize("label", ["X", "Q"])
def test_a_line_in_the_style_of_the_archive_is_read_by_the_compiled_reader(label):
    out = np.empty((len(PARAMETERS), STEPS))
    assert _parse_regular(record(7, label), out, True) == (7, label)
