"""Find the members of a tar with compiled loops: all whole alert files in a stretch of the tar.

All functions that these loops call are compiled in this module too: Numba's cache does not notice
changes in other modules.

Source: POSIX.1-2017, pax, section ustar Interchange Format; GNU tar manual for large sizes.
"""

from numba import boolean, int64, uint8
from numba.types import Array, UniTuple

from skymill.engine.compiled import compiled

BLOCK = 512
NAME_BYTES = 100
SIZE, SIZE_END = 124, 136
CHECKSUM = 148
KIND = 156

_SPACE, _SLASH, _DOT, _UNDERSCORE = b" /._"
_SUFFIX = tuple(b".avro")
_GZIP = tuple(b"\x1f\x8b")
_TEXT = Array(uint8, 1, "C", readonly=True)


def _compiled(signature):
    return compiled(signature, error_model="numpy", nogil=True)


@_compiled(int64(_TEXT, int64, int64))
def read_octal(text, begin, end):
    """Return the number of octal digits between spaces or NULs, or -1 if it is not a number."""
    while begin < end and (text[begin] == _SPACE or text[begin] == 0):
        begin += 1
    while begin < end and (text[end - 1] == _SPACE or text[end - 1] == 0):
        end -= 1
    number = int64(0)
    if begin == end or end - begin > 20:
        return int64(-1)
    for place in range(begin, end):
        digit = int64(text[place]) - 48
        if digit < 0 or digit > 7:
            return int64(-1)
        number = number * 8 + digit
    return number


@_compiled(boolean(_TEXT, int64))
def is_header(text, begin):
    """Return whether the checksum of the block at `begin` is right; its field counts as spaces."""
    total = int64(8 * _SPACE)
    for place in range(begin, begin + BLOCK):
        total += int64(text[place])
    for place in range(begin + CHECKSUM, begin + CHECKSUM + 8):
        total -= int64(text[place])
    return read_octal(text, begin + CHECKSUM, begin + CHECKSUM + 8) == total


@_compiled(boolean(_TEXT, int64))
def _is_alert_name(text, begin):
    """Return whether tarball.is_alert_file accepts the name in a header."""
    end = begin
    while end < begin + NAME_BYTES and text[end] != 0:
        end += 1
    base = end
    while base > begin and text[base - 1] != _SLASH:
        base -= 1
    if end - base < len(_SUFFIX) or (text[base] == _DOT and text[base + 1] == _UNDERSCORE):
        return False
    for place in range(len(_SUFFIX)):  # noqa: SIM110 (Numba has no generators)
        if text[end - len(_SUFFIX) + place] != _SUFFIX[place]:
            return False
    return True


@_compiled(UniTuple(int64, 2)(_TEXT, int64, int64, Array(int64, 2, "C")))
def find_members(text, begin, longest, places):
    """Find the plain alert files that follow each other whole in a stretch of a tar.

    Parameters
    ----------
    text
        The stretch.
    begin
        Where the first member's header should be.
    longest
        Maximum number of bytes of a file.
    places
        int64, shape (most files, 2): receives where each file begins and its size.

    Returns
    -------
    The number of files, and where the block after the last file begins. The search ends at the
    first other member: a damaged header, a link, a folder, another name, a number that is not
    octal, a packed file, or a file whose padding is not in the stretch.
    """
    count = int64(0)
    while count < len(places) and begin + BLOCK <= len(text):
        kind = text[begin + KIND]
        if kind != 48 and kind != 0:
            break
        size = read_octal(text, begin + SIZE, begin + SIZE_END)
        if size < 0 or size > longest:
            break
        first = begin + BLOCK
        after = first + size + -size % BLOCK
        if after > len(text) or not _is_alert_name(text, begin) or not is_header(text, begin):
            break
        if size > 1 and text[first] == _GZIP[0] and text[first + 1] == _GZIP[1]:
            break
        places[count, 0] = first
        places[count, 1] = size
        count += 1
        begin = after
    return count, begin
