"""Walk the bytes of an Avro record with compiled loops: keep a few fields, skip the rest.

Avro has no index: to find the third cutout, every byte before it must be walked. With schema 4
these are some two thousand history values. `program.py` compiles each schema once to a small
program, and a loop that Numba compiles runs the program on every record. All functions that the
loops call are compiled in this module too: Numba's cache does not notice changes in other modules.

Source of the encoding: Apache Avro 1.11 specification, section Binary encoding.
"""

import numpy as np
from numba import boolean, int64, njit, uint8, void
from numba.types import Array, UniTuple

from skymill.engine.compiled import compiled

(
    END,
    FAIL,
    FIXED,
    VARINT,
    ENUM,
    BYTES,
    BOOLEAN,
    UNION,
    JUMP,
    BEGIN,
    NEXT,
    OPTION_FIXED,
    OPTION_VARINT,
    OPTION_BYTES,
    KEEP_INTEGER,
    KEEP_FLOAT,
    KEEP_DOUBLE,
    KEEP_SPAN,
) = range(18)
"""Operations; operands follow their operation, see program.py."""

NULL, INTEGER, REAL, SPAN = range(4)
"""Kinds of slots: empty; an integer; the bits of a float64; the begin and length of bytes."""

MAX_DEPTH = 32
"""Levels of nested arrays that can be walked."""

MAX_ITEMS = 2**26
"""Maximum number of items of all arrays of a record: the bytes of the longest record."""

FAILED = -1

LONGEST_BLOCK = 2**40
"""Maximum size of a block in bytes: bytes that state a larger block are not a block."""

SYNC_BYTES = 16
"""Bytes of the marker that ends a file's header and each of its blocks."""


@njit(inline="always")
def _read_long(text, position, limit):
    """Return a zigzag number and where it ends; the end is FAILED if there is no number."""
    number = int64(0)
    shift = int64(0)
    while position < limit and shift < 64:
        byte = int64(text[position])
        position += 1
        if shift == 63 and byte > 1:
            break
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return ((number >> 1) & 0x7FFFFFFFFFFFFFFF) ^ -(number & 1), position
        shift += 7
    return int64(0), int64(FAILED)


@njit(inline="always")
def _read_float(text, position, size):
    """Return the bits of the float64 that equals a little-endian float of 4 or 8 bytes."""
    bits = np.uint64(0)
    for place in range(size):
        bits |= np.uint64(text[position + place]) << np.uint64(8 * place)
    if size == 8:
        return np.int64(bits)
    single = np.empty(1, np.uint32)
    single[0] = np.uint32(bits)
    double = np.empty(1, np.float64)
    double[0] = np.float64(single.view(np.float32)[0])
    return double.view(np.int64)[0]


_compiled = compiled(
    int64(
        Array(uint8, 1, "C", readonly=True),
        int64,
        int64,
        Array(int64, 1, "C", readonly=True),
        Array(int64, 2, "C"),
    ),
    error_model="numpy",
    nogil=True,
)


@compiled(
    UniTuple(int64, 2)(
        Array(uint8, 1, "C", readonly=True),
        int64,
        int64,
        Array(int64, 1, "C", readonly=True),
        Array(int64, 2, "C"),
        int64,
    ),
    error_model="numpy",
    nogil=True,
)
def _walk(text, start, limit, code, slots, left):
    """Do the work of walk_record, for at most `left` items; return also how many are left."""
    slots[:, :] = 0
    remaining = np.zeros(MAX_DEPTH, np.int64)
    depth = 0
    place = 0
    position = start
    while True:
        operation = code[place]
        if operation == OPTION_FIXED:
            # By far the most frequent operation: a nullable number of a history array.
            if position >= limit:
                return int64(FAILED), left
            branch = int64(text[position])
            position += 1
            if branch != code[place + 1]:
                if branch != 2 - code[place + 1]:
                    return int64(FAILED), left
                position += code[place + 2]
                if position > limit:
                    return int64(FAILED), left
            place += 3
        elif operation == FIXED:
            position += code[place + 1]
            if position > limit:
                return int64(FAILED), left
            place += 2
        elif operation == VARINT:
            _, position = _read_long(text, position, limit)
            if position == FAILED:
                return int64(FAILED), left
            place += 1
        elif operation == OPTION_VARINT:
            if position >= limit:
                return int64(FAILED), left
            branch = int64(text[position])
            position += 1
            if branch != code[place + 1]:
                if branch != 2 - code[place + 1]:
                    return int64(FAILED), left
                _, position = _read_long(text, position, limit)
                if position == FAILED:
                    return int64(FAILED), left
            place += 2
        elif operation in (BYTES, OPTION_BYTES):
            present = True
            if operation == OPTION_BYTES:
                if position >= limit:
                    return int64(FAILED), left
                branch = int64(text[position])
                position += 1
                present = branch != code[place + 1]
                if present and branch != 2 - code[place + 1]:
                    return int64(FAILED), left
                place += 1
            if present:
                size, position = _read_long(text, position, limit)
                if position == FAILED or size < 0 or size > limit - position:
                    return int64(FAILED), left
                position += size
            place += 1
        elif operation == UNION:
            branch, position = _read_long(text, position, limit)
            if position == FAILED or branch < 0 or branch >= code[place + 1]:
                return int64(FAILED), left
            place = code[place + 2 + branch]
        elif operation == JUMP:
            place = code[place + 1]
        elif operation == BEGIN:
            if depth == MAX_DEPTH:
                return int64(FAILED), left
            remaining[depth] = 0
            depth += 1
            place += 1
        elif operation == NEXT:
            # Operands: where the array ends, whether each item has a key.
            left -= 1
            if left < 0:
                return int64(FAILED), left
            if remaining[depth - 1] == 0:
                count, position = _read_long(text, position, limit)
                if position == FAILED:
                    return int64(FAILED), left
                if count == 0:
                    depth -= 1
                    place = code[place + 1]
                    continue
                if count < 0:
                    size, position = _read_long(text, position, limit)
                    if position == FAILED or size < 0 or size > limit - position:
                        return int64(FAILED), left
                    # No field inside an array is kept, so the array is skipped by its stated size.
                    # The values that follow prove the size.
                    position += size
                    continue
                # An item has at least one byte.
                if count > limit - position:
                    return int64(FAILED), left
                remaining[depth - 1] = count
            remaining[depth - 1] -= 1
            if code[place + 2]:
                size, position = _read_long(text, position, limit)
                if position == FAILED or size < 0 or size > limit - position:
                    return int64(FAILED), left
                position += size
            place += 3
        elif operation == ENUM:
            branch, position = _read_long(text, position, limit)
            if position == FAILED or branch < 0 or branch >= code[place + 1]:
                return int64(FAILED), left
            place += 2
        elif operation == BOOLEAN:
            if position >= limit or text[position] > 1:
                return int64(FAILED), left
            position += 1
            place += 1
        elif operation == KEEP_INTEGER:
            number, position = _read_long(text, position, limit)
            if position == FAILED:
                return int64(FAILED), left
            slot = code[place + 1]
            slots[slot, 0] = INTEGER
            slots[slot, 1] = number
            place += 2
        elif operation in (KEEP_FLOAT, KEEP_DOUBLE):
            size = 4 if operation == KEEP_FLOAT else 8
            if size > limit - position:
                return int64(FAILED), left
            slot = code[place + 1]
            slots[slot, 0] = REAL
            slots[slot, 1] = _read_float(text, position, size)
            position += size
            place += 2
        elif operation == KEEP_SPAN:
            size, position = _read_long(text, position, limit)
            if position == FAILED or size < 0 or size > limit - position:
                return int64(FAILED), left
            slot = code[place + 1]
            slots[slot, 0] = SPAN
            slots[slot, 1] = position
            slots[slot, 2] = size
            position += size
            place += 2
        elif operation == END:
            return position, left
        else:
            return int64(FAILED), left


@_compiled
def walk_record(text, start, limit, code, slots):
    """Walk one record and note where the fields of packet.FIELDS are.

    Parameters
    ----------
    text
        The bytes; no byte from `limit` on is read.
    start, limit
        Where the record begins, and where its block ends.
    code
        The program of the writer's schema.
    slots
        int64, shape (fields, 3): receives for each field its kind (NULL, INTEGER, REAL or SPAN),
        its value or where it begins, and its length.

    Returns
    -------
    Where the record ends, or FAILED if the bytes cannot be a record of this schema.
    """
    return _walk(text, start, limit, code, slots, MAX_ITEMS)[0]


@njit(inline="always")
def _walk_file(text, begin, end, beginning, code, slots):
    """Walk a file with one record in one block; return False if the file has another form."""
    first = begin + len(beginning)
    if first + 2 * SYNC_BYTES > end:
        return False
    # With slices, and loops without an early exit, the compiler compares many bytes at a time.
    own = text[begin:first]
    sync, last = text[first : first + SYNC_BYTES], text[end - SYNC_BYTES : end]
    difference = uint8(0)
    for place in range(len(beginning)):
        difference |= own[place] ^ beginning[place]
    for place in range(SYNC_BYTES):
        difference |= sync[place] ^ last[place]
    if difference:
        return False
    limit = end - SYNC_BYTES
    count, position = _read_long(text, first + SYNC_BYTES, limit)
    if position == FAILED or count != 1:
        return False
    size, position = _read_long(text, position, limit)
    if position == FAILED or position + size != limit:
        return False
    return _walk(text, position, limit, code, slots, MAX_ITEMS)[0] == limit


@compiled(
    void(
        Array(uint8, 1, "C", readonly=True),
        Array(int64, 2, "C"),
        Array(uint8, 1, "C", readonly=True),
        Array(int64, 1, "C"),
        Array(int64, 3, "C"),
        Array(boolean, 1, "C"),
    ),
    error_model="numpy",
    nogil=True,
)
def walk_files(text, places, beginning, code, slots, walked):
    """Walk files that contain one record in one block each, as nearly all files do.

    Parameters
    ----------
    text, places
        Bytes, and the begin and size of each file in them, int64, shape (files, 2).
    beginning
        The first bytes of a file of this schema, up to the sync marker; its codec is null.
    code
        The program of this schema.
    slots
        int64, shape (files, fields, 3): receives the slots of each file, see walk_record.
    walked
        Which files were walked. Files that are already walked are skipped.
    """
    for index in range(len(places)):
        if not walked[index]:
            begin = places[index, 0]
            end = begin + places[index, 1]
            walked[index] = _walk_file(text, begin, end, beginning, code, slots[index])


@compiled(
    UniTuple(int64, 2)(
        Array(uint8, 1, "C", readonly=True),
        int64,
        int64,
        Array(int64, 1, "C", readonly=True),
        Array(int64, 2, "C"),
        int64,
    ),
    error_model="numpy",
    nogil=True,
)
def find_record(text, start, limit, code, slots, work):
    """Find the first place at or after `start` where the bytes can be a record.

    Parameters
    ----------
    text, limit, code, slots
        See walk_record; receives the slots of the record that is found.
    work
        How many places and items of arrays may be checked.

    Returns
    -------
    The place, or FAILED if there is none; and how much work is left, negative if the work was not
    enough.
    """
    for place in range(start, limit):
        position, work = _walk(text, place, limit, code, slots, work - 1)
        if position != FAILED or work < 0:
            return place if position != FAILED else int64(FAILED), work
    return int64(FAILED), work


@compiled(
    UniTuple(int64, 3)(
        Array(uint8, 1, "C", readonly=True),
        int64,
        int64,
        Array(int64, 1, "C", readonly=True),
        Array(int64, 2, "C"),
        int64,
        int64,
    ),
    error_model="numpy",
    nogil=True,
)
def follow_records(text, start, limit, code, slots, most, work):
    """Walk records that follow each other, from a place on.

    Parameters
    ----------
    text, start, limit, code, slots, work
        See find_record; receives the slots of the last record.
    most
        Maximum number of records to walk.

    Returns
    -------
    Where the last record ends, or FAILED if it is not a record; the number of records; how much
    work is left.
    """
    position, found = start, int64(0)
    while position != FAILED and position < limit and found < most:
        position, work = _walk(text, position, limit, code, slots, work - 1)
        found += 1
    return position, found, work


@njit(inline="always")
def _block_end(text, place):
    """Return where the block of records at a place ends by its stated size, or FAILED."""
    count, position = _read_long(text, place, len(text))
    if position == FAILED or count < 1:
        return int64(FAILED)
    size, position = _read_long(text, position, len(text))
    if position == FAILED or size < 1 or size > LONGEST_BLOCK:
        return int64(FAILED)
    return position + size


@njit(inline="always")
def _same_marker(text, one, other):
    """Return whether two places have the same marker; 16 equal bytes are not a marker."""
    same, varied = True, False
    for at in range(SYNC_BYTES):
        same &= text[one + at] == text[other + at]
        varied |= text[one + at] != text[one]
    return same and varied


@njit(
    int64(Array(uint8, 1, "C", readonly=True), int64),
    cache=True,
    error_model="numpy",
    nogil=True,
)
def find_first_block(text, last):
    """Return where the first block begins in a file whose header cannot be read, or FAILED.

    The block has the same marker before and after it. Then the text ends, or another block begins;
    if that block is whole, the same marker follows it. The search ends at the place `last`.
    """
    limit = len(text) - SYNC_BYTES
    for place in range(SYNC_BYTES, min(last, limit)):
        end = _block_end(text, place)
        if end == FAILED or end > limit or not _same_marker(text, place - SYNC_BYTES, end):
            continue
        if end == limit:
            return int64(place)
        following = _block_end(text, end + SYNC_BYTES)
        if following != FAILED and (following > limit or _same_marker(text, end, following)):
            return int64(place)
    return int64(FAILED)
