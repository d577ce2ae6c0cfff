"""Read one Avro record of any schema within limits, value by value.

This reader covers the cases that the compiled loop of `walk.py` does not: schemas that refer to
themselves, arrays whose items have no bytes, fields of an unexpected type. It is slow but safe with
hostile bytes: a library that builds the objects that the bytes describe can be made to fill the
memory. Limits are depths and counts, never time or memory, so results do not depend on the machine.

Source of the encoding: Apache Avro 1.11 specification, section Binary encoding.
"""

import struct

import numpy as np

from skymill.alerts.packet import FIELDS, IMAGES, SLOTS, TEXTS
from skymill.alerts.schemas import BadAvro, Schema
from skymill.alerts.walk import INTEGER, NULL, REAL, SPAN

MOST_VALUES = 2**18
"""Values of a record, including items without bytes; ZTF's records have some 3,000."""

MOST_DEPTH = 64
"""Levels of nested values."""

_REAL = {"float": struct.Struct("<f"), "double": struct.Struct("<d")}
_NAMES = {"long": "int", "string": "str", "array": "list", "map": "dict", "record": "dict"}


def read_long(text: bytes, position: int) -> tuple[int, int]:
    """Return the zigzag number at a position, and where the number ends."""
    number = shift = 0
    while shift < 70:
        if position >= len(text):
            raise BadAvro("it ends within a number")
        byte = text[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80 and number < 2**64:
            return (number >> 1) ^ -(number & 1), position
        shift += 7
    raise BadAvro("a number has more than 64 bits")


def read_record(text: bytes, start: int, end: int, schema: Schema) -> tuple[bytes, np.ndarray, int]:
    """Read one record.

    Parameters
    ----------
    text, start, end
        The bytes, where the record begins, and where its block ends.
    schema
        The writer's schema.

    Returns
    -------
    A text; slots that refer to the text, int64, shape (fields, 3), see walk.walk_record; and where
    the record ends.

    Raises
    ------
    BadAvro
        When the bytes are not a record of this schema, a field that is kept has a wrong type, or a
        limit is exceeded.
    """
    reader = _Reader(text, start, end, schema.named)
    reader.read(schema.parsed, "", 0)
    return bytes(reader.kept), reader.slots, reader.position


class _Reader:
    def __init__(self, text: bytes, start: int, end: int, named: dict):
        self.position = start
        self.slots = np.zeros((len(FIELDS), 3), np.int64)
        self.kept = bytearray()
        self._text = text
        self._end = end
        self._named = named
        self._left = MOST_VALUES

    def read(self, schema, path: str | None, depth: int) -> None:
        """Read one value; `path` is None inside arrays and maps."""
        self._left -= 1
        if self._left < 0:
            raise BadAvro(f"it has more than {MOST_VALUES:,} values")
        if depth > MOST_DEPTH:
            raise BadAvro(f"it nests more than {MOST_DEPTH} values")
        if isinstance(schema, list):
            branch = self._long()
            if not 0 <= branch < len(schema):
                raise BadAvro(f"a union has no branch {branch}")
            self.read(schema[branch], path, depth + 1)
            return
        kind = schema if isinstance(schema, str) else schema["type"]
        if not isinstance(kind, str):
            self.read(kind, path, depth + 1)
        elif kind in self._named:
            self.read(self._named[kind], path, depth + 1)
        elif path in SLOTS:
            self._keep(kind, schema, path)
        elif kind in ("record", "error"):
            for field in schema["fields"]:
                inner = f"{path}.{field['name']}" if path else field["name"]
                self.read(field["type"], None if path is None else inner, depth + 1)
        elif kind == "array":
            self._read_items(schema["items"], depth, has_keys=False)
        elif kind == "map":
            self._read_items(schema["values"], depth, has_keys=True)
        else:
            self._plain(kind, schema)

    def _read_items(self, items, depth: int, *, has_keys: bool) -> None:
        while count := self._long():
            stated = None
            if count < 0:
                count, stated = -count, self._length()
            # Check before the loop: items may have no bytes.
            if count > self._left:
                raise BadAvro(f"it has more than {MOST_VALUES:,} values")
            begin = self.position
            for _ in range(count):
                if has_keys:
                    self._take(self._length())
                self.read(items, None, depth + 1)
            if stated is not None and self.position != begin + stated:
                raise BadAvro("items of an array have another length than it says")

    def _plain(self, kind: str, schema):
        """Read a value that contains no other values, and return it: bytes for texts."""
        if kind == "null":
            return None
        if kind in ("int", "long"):
            return self._long()
        if kind in _REAL:
            return _REAL[kind].unpack(self._take(_REAL[kind].size))[0]
        if kind in ("string", "bytes"):
            return self._take(self._length())
        if kind == "fixed":
            return self._take(schema["size"])
        if kind == "boolean":
            (byte,) = self._take(1)
            if byte > 1:
                raise BadAvro("a truth value is neither true nor false")
            return bool(byte)
        if kind == "enum":
            place = self._long()
            if not 0 <= place < len(schema["symbols"]):
                raise BadAvro(f"an enumeration has no place {place}")
            return schema["symbols"][place].encode()
        raise BadAvro(f"its schema refers to {kind:.100}, which is no type")

    def _keep(self, kind: str, schema, path: str) -> None:
        """Read a field of packet.FIELDS into its slot."""
        if kind in ("record", "error", "array", "map"):
            raise BadAvro(f"{path} is a {_NAMES.get(kind, kind)}")
        value = self._plain(kind, schema)
        slot, is_text = SLOTS[path], path in TEXTS or path in IMAGES
        if value is None:
            self.slots[slot] = NULL, 0, 0
        elif isinstance(value, bytes) and is_text:
            self.slots[slot] = SPAN, len(self.kept), len(value)
            self.kept += value
        elif isinstance(value, float) and not is_text:
            self.slots[slot] = REAL, np.float64(value).view(np.int64), 0
        elif type(value) is int and not is_text:
            self.slots[slot] = INTEGER, value, 0
        else:
            raise BadAvro(f"{path} is a {_NAMES.get(kind, kind)}")

    def _long(self) -> int:
        number, self.position = read_long(self._text, self.position)
        if self.position > self._end:
            raise BadAvro("it reaches over the end of its block")
        return number

    def _length(self) -> int:
        size = self._long()
        if size < 0:
            raise BadAvro("a length is negative")
        return size

    def _take(self, size: int) -> bytes:
        begin, after = self.position, self.position + size
        if after > self._end:
            raise BadAvro("it reaches over the end of its block")
        self.position = after
        return self._text[begin:after]
