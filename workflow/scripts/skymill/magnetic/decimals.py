"""Decimal text to float64 at machine speed, compiled by Numba: the inner loop of ingest.

The text is read eight bytes at a time, because a branch per digit would cost more than the rest.
All compiled code is in this module, because Numba's cache does not notice changes in other files.

Sources: Lemire, Number parsing at a gigabyte per second (2021), section 5 (decimal to binary);
Mula, SWAR conversion of eight digits (2014).
"""

import numpy as np
from llvmlite import ir
from numba import int64, njit, uint8, uint64
from numba.extending import intrinsic
from numba.types import Array, Tuple, boolean

from skymill.engine.compiled import compiled

U = np.uint64
"""Numba turns uint64 mixed with int64 into float64. So every literal next to a word is a U."""

PADDING = 32
"""Bytes after the end of the text that are read, but not used."""


@intrinsic
def _load(typing_context, address):
    """Return the eight bytes at an address, the first one lowest; they need no alignment."""

    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return uint64(uint64), generate


@intrinsic
def _high_product(typing_context, left, right):
    """Return the upper 64 of the 128 bits of a product."""

    def generate(context, builder, signature, arguments):
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))

    return uint64(uint64, uint64), generate


@intrinsic
def _trailing_zeros(typing_context, word):
    """Return the number of zero bits below the lowest one; 64 for 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return uint64(uint64), generate


@intrinsic
def _leading_zeros(typing_context, word):
    """Return the number of zero bits above the highest one; 64 for 0."""

    def generate(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.IntType(1)(0))

    return uint64(uint64), generate


_LOWEST, _HIGHEST = -342, 308
"""The powers of ten that this module scales. Beyond them, 19 digits make 0 or infinity."""


def _five_to_the(power: int) -> tuple[int, int]:
    """Return the first 128 bits of 5**power, cut off; from 5**-27 to 5**-1 rounded up.

    These reciprocals may multiply a multiple of their divisor. The product is then exact.
    """
    number = 5 ** abs(power)
    if power < 0:
        extra = 127 if power >= -27 else 128 + number.bit_length()
        number = (1 << (number.bit_length() + extra)) // number + 1
    bits = number.bit_length()
    number = number << (128 - bits) if bits < 128 else number >> (bits - 128)
    return number >> 64, number & (2**64 - 1)


_FIVES = np.array([_five_to_the(p) for p in range(_LOWEST, _HIGHEST + 1)], dtype=np.uint64)
_TENS = np.array([10**power for power in range(20)], dtype=np.uint64)

_ZERO, _ONE, _THREE, _EIGHT, _TEN = (U(number) for number in (0, 1, 3, 8, 10))
_WORD = U(64)
_MAX_DIGITS = U(19)
_BYTE = U(0xFF)
_ZEROS = U(int.from_bytes(b"00000000"))
_ABOVE_NINE = U(0x7676767676767676)
_HIGH_BITS = U(0x8080808080808080)
_PAIRS = U(0x000000FF000000FF)
_MINUS, _PLUS, _POINT, _EXPONENT, _LOWER_CASE = (U(byte) for byte in b"-+.e ")
_NAN, _THREE_BYTES = U(int.from_bytes(b"NaN", "little")), U(0xFFFFFF)
_NAN_BITS = U(np.array(np.nan).view(np.uint64))
_SIGN = U(1 << 63)
_INFINITY = U(0x7FF << 52)
_NONE = U(2**64 - 1)
"""The bits that mean "not read": a NaN that is never written."""


@njit(inline="always")
def _digits_in_front(digits):
    """Return how many of eight bytes, less the code of `0`, are digits before the first other."""
    return _trailing_zeros(((digits + _ABOVE_NINE) | digits) & _HIGH_BITS) >> _THREE


@njit(inline="always")
def _eight_digits(digits):
    """Return the number that eight digits form."""
    pairs = digits * _TEN + (digits >> _EIGHT)
    low, high = pairs & _PAIRS, (pairs >> U(16)) & _PAIRS
    return (low * U(100 + (1000000 << 32)) + high * U(1 + (10000 << 32))) >> U(32)


@njit(inline="always")
def _first_digits(digits, count):
    """Return the number that the first 1 to 7 of eight bytes form."""
    return _eight_digits(digits << (_WORD - (count << _THREE)))


@njit(inline="always")
def _append_digits(address, number):
    """Append all digits at an address to `number`.

    Returns the new number, the address after it and whether it has at most 19 digits.
    """
    digits = _load(address) ^ _ZEROS
    count = _digits_in_front(digits)
    while count == _EIGHT:
        if number >= _TENS[_MAX_DIGITS - _EIGHT]:
            return number, address, False
        number = number * _TENS[_EIGHT] + _eight_digits(digits)
        address += _EIGHT
        digits = _load(address) ^ _ZEROS
        count = _digits_in_front(digits)
    if count:
        if number >= _TENS[_MAX_DIGITS - count]:
            return number, address, False
        number = number * _TENS[count] + _first_digits(digits, count)
        address += count
    return number, address, True


@njit(inline="always")
def _scale(number, power):
    """Return the bits of the float64 nearest to number * 10**power; _NONE for difficult cases."""
    if power < _LOWEST or power > _HIGHEST:
        return _NONE
    zeros = _leading_zeros(number)
    number <<= zeros
    five = _FIVES[power - _LOWEST]
    high, low = _high_product(number, five[0]), number * five[0]
    if high & U(0x1FF) == U(0x1FF):
        # The deciding bits are all ones, so adding the power's second word may carry.
        more = _high_product(number, five[1])
        low += more
        if low < more:
            high += _ONE
        if low == U(2**64 - 1) and (power < -27 or power > 55):
            return _NONE
    top = high >> U(63)
    shift = top + U(9)
    mantissa = high >> shift
    # 217706 / 2**16 is log2(10), exact enough over the whole range of powers.
    exponent = ((217706 * power) >> 16) + 63 + 1023 + int64(top) - int64(zeros)
    if exponent < 1:
        return _NONE
    exact_half = low <= _ONE and -4 <= power <= 23 and (mantissa << shift) == high
    if exact_half and mantissa & _THREE == _ONE:
        mantissa -= _ONE
    mantissa = (mantissa + (mantissa & _ONE)) >> _ONE
    # The mantissa's highest bit, which is not stored, makes up for the 1 that is subtracted here.
    # A carry out of the rounding goes into the exponent, which is correct.
    bits = (U(exponent - 1) << U(52)) + mantissa
    return bits if bits < _INFINITY else _NONE


@njit(inline="always")
def _read_number(address):
    """Read a JSON number or NaN; return its bits, or _NONE, and the address after it."""
    word = _load(address)
    if word & _THREE_BYTES == _NAN:
        return _NAN_BITS, address + _THREE
    sign = _ZERO
    if word & _BYTE == _MINUS:
        sign = _SIGN
        address += _ONE
    begin = address
    number, address, fits = _append_digits(address, _ZERO)
    leading_zero = _load(begin) & _BYTE == U(ord("0"))
    if not fits or address == begin or (leading_zero and address != begin + _ONE):
        return _NONE, address
    power = int64(0)
    whole = True
    word = _load(address)
    if word & _BYTE == _POINT:
        whole = False
        begin = address + _ONE
        number, address, fits = _append_digits(begin, number)
        if not fits or address == begin:
            return _NONE, address
        power = -int64(address - begin)
        word = _load(address)
    if (word & _BYTE) | _LOWER_CASE == _EXPONENT:
        whole = False
        address += _ONE
        word >>= _EIGHT
        negative = word & _BYTE == _MINUS
        if negative or word & _BYTE == _PLUS:
            address += _ONE
        digits = _load(address) ^ _ZEROS
        count = _digits_in_front(digits)
        if count in (_ZERO, _EIGHT):
            return _NONE, address
        address += count
        size = int64(_first_digits(digits, count))
        power += -size if negative else size
    if number == _ZERO:
        # A number without fraction and exponent is an integer, and integers have no -0.
        return (_NONE if whole and sign else sign), address
    bits = _scale(number, power)
    return (bits if bits == _NONE else bits | sign), address


_TABLE = Array(uint64, 2, "C", readonly=True)


@compiled(
    Tuple((int64, boolean))(
        Array(uint8, 1, "C"), int64, int64, _TABLE, _TABLE, _TABLE, _TABLE, Array(uint64, 2, "C")
    ),
    error_model="numpy",
)
def read_table(text, start, end, row_words, row_masks, cell_words, cell_masks, out):
    """Read a table of numbers whose punctuation is known byte by byte.

    Parameters
    ----------
    text
        At least `end + PADDING` bytes. The bytes after `end` are zero.
    start, end
        Where the first row begins, and where the text ends.
    row_words, row_masks
        uint64, shape (rows, words): the bytes before each row's first number, as little-endian
        words, and the bits of the words to compare.
    cell_words, cell_masks
        uint64, shape (cells, 1): the bytes before each other number of a row; cell 0 is not used.
    out
        uint64, shape (rows, cells): receives the bits of the float64 values.

    Returns
    -------
    Where the last number ends, and whether the text was as expected. If not, `out` is undefined,
    and the text may still be valid.
    """
    base = uint64(text.ctypes.data)
    address, limit = base + uint64(start), base + uint64(end)
    rows, cells = out.shape
    for row in range(rows):
        for place in range(row_words.shape[1]):
            mask = row_masks[row, place]
            if (_load(address) ^ row_words[row, place]) & mask:
                return 0, False
            address += (_WORD - _leading_zeros(mask)) >> _THREE
        for cell in range(cells):
            if cell:
                mask = cell_masks[cell, 0]
                if (_load(address) ^ cell_words[cell, 0]) & mask:
                    return 0, False
                address += (_WORD - _leading_zeros(mask)) >> _THREE
            bits, address = _read_number(address)
            # No read goes beyond the padding: a number ends at the first zero byte, and no
            # punctuation matches a zero byte.
            if bits == _NONE or address > limit:
                return 0, False
            out[row, cell] = bits
    return int64(address - base), True
