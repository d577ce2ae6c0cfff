"""Arrow arrays from NumPy arrays and sequences.

PyArrow's own `pa.array` imports pandas if pandas is installed. That import takes a third of a
second or more in every job and every worker process.
"""

import json
import operator
from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def to_arrow(
    values: np.ndarray | Sequence, kind: pa.DataType, missing: np.ndarray | None = None
) -> pa.Array:
    """Return values as an Arrow array. An array of numbers shares the memory of the values.

    Parameters
    ----------
    values
        An array, shape (n,), of numbers, bool, or bytes (dtype S, for a string column). Or a
        sequence of str, bytes or int, in which None is null.
    kind
        The Arrow type: a numeric type, bool, string, or binary of a fixed length.
    missing
        bool, shape (n,): which elements of an array are null.

    Raises
    ------
    TypeError, OverflowError
        When the type cannot represent all values of the array's type, or a value of the sequence.
    ValueError
        When the length of a binary value is not that of the type.
    """
    if not isinstance(values, np.ndarray):
        return _sequence_to_arrow(values, kind)
    valid = None if missing is None else _bits(~missing)
    if values.dtype.kind == "S":
        sizes = np.char.str_len(values)
        letters = np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.itemsize)
        text = letters[np.arange(letters.shape[1]) < sizes[:, None]]
        return _array(kind, len(values), valid, _offsets(sizes), text)
    data = np.ascontiguousarray(values.astype(kind.to_pandas_dtype(), casting="safe", copy=False))
    return _array(kind, len(values), valid, _bits(data) if pa.types.is_boolean(kind) else data)


def _sequence_to_arrow(values: Sequence, kind: pa.DataType) -> pa.Array:
    missing = np.array([value is None for value in values], bool)
    valid = _bits(~missing) if missing.any() else None
    if pa.types.is_integer(kind):
        numbers = [0 if value is None else operator.index(value) for value in values]
        return _array(kind, len(values), valid, np.array(numbers, kind.to_pandas_dtype()))
    if pa.types.is_fixed_size_binary(kind):
        parts = [bytes(kind.byte_width) if value is None else value for value in values]
        if any(len(part) != kind.byte_width for part in parts):
            raise ValueError(f"a value does not have the {kind.byte_width} bytes of its type")
        return _array(kind, len(values), valid, b"".join(parts))
    parts = [b"" if value is None else value.encode() for value in values]
    sizes = np.array([len(part) for part in parts], np.int64)
    return _array(kind, len(values), valid, _offsets(sizes), b"".join(parts))


def _array(kind: pa.DataType, size: int, valid: np.ndarray | None, *data) -> pa.Array:
    buffers = [None if each is None else pa.py_buffer(each) for each in (valid, *data)]
    return pa.Array.from_buffers(kind, size, buffers)


def _bits(flags: np.ndarray) -> np.ndarray:
    return np.packbits(flags, bitorder="little")


def _offsets(sizes: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def shaped(column: pa.ChunkedArray, field: pa.Field) -> np.ndarray:
    """Return a column of lists as an array, shape (n, ...), by the shape in field.metadata."""
    flat = pa.concat_arrays(
        [chunk.flatten() for chunk in column.chunks] or [pa.array([], field.type.value_type)]
    )
    shape = json.loads(field.metadata[b"shape"])
    return flat.to_numpy(zero_copy_only=False).reshape(len(column), *shape)
