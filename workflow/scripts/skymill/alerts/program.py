"""Compile an Avro schema to the small program that walks its records, see walk.py."""

import numpy as np

from skymill.alerts import walk
from skymill.alerts.packet import IMAGES, SLOTS, TEXTS

MAX_CODE = 2**16
"""Words of a program. The general reader reads records whose schema needs a longer program."""

_FIXED_SIZES = {"float": 4, "double": 8}
_OPTIONS = {
    "float": walk.OPTION_FIXED,
    "double": walk.OPTION_FIXED,
    "int": walk.OPTION_VARINT,
    "long": walk.OPTION_VARINT,
    "string": walk.OPTION_BYTES,
    "bytes": walk.OPTION_BYTES,
}


class Unsupported(Exception):
    """The schema cannot be walked: the general reader reads its records."""


def compile_program(schema) -> np.ndarray:
    """Return the program of a schema, int64.

    Parameters
    ----------
    schema
        The `expanded` of a schemas.Schema: names are replaced by their types.

    Raises
    ------
    Unsupported
        When the schema refers to itself, nests too deeply, or has arrays whose items may have no
        bytes.
    """
    compiler = _Compiler()
    compiler.add(schema, "")
    compiler.emit(walk.END)
    return np.array(compiler.code, np.int64)


def unwrapped(schema):
    """Return a schema without enclosing objects that only add remarks."""
    while isinstance(schema, dict) and not isinstance(schema["type"], str):
        schema = schema["type"]
    return schema


def kind_of(schema) -> str:
    """Return the name of a schema's type; `union` for a list."""
    schema = unwrapped(schema)
    if isinstance(schema, list):
        return "union"
    return schema["type"] if isinstance(schema, dict) else schema


class _Compiler:
    def __init__(self):
        self.code: list[int] = []
        self.depth = 0
        # The place of the last FIXED, as long as the next FIXED can be merged into it.
        self.fixed: int | None = None

    def emit(self, *words: int) -> int:
        """Append an operation with its operands; return the place of the operation."""
        if len(self.code) > MAX_CODE:
            raise Unsupported("its program would be too long")
        self.fixed = None
        self.code.extend(words)
        return len(self.code) - len(words)

    def add(self, schema, path: str | None) -> None:
        """Append the operations that walk one value; `path` is None inside arrays and maps."""
        schema = unwrapped(schema)
        kind = kind_of(schema)
        if kind == "union":
            self.add_union(schema, path)
        elif path in SLOTS:
            self.add_kept(kind, path)
        elif kind in ("record", "error"):
            for field in schema["fields"]:
                inner = f"{path}.{field['name']}" if path else field["name"]
                self.add(field["type"], None if path is None else inner)
        elif kind in ("array", "map"):
            self.add_items(schema["items" if kind == "array" else "values"], kind == "map")
        elif kind == "enum":
            self.emit(walk.ENUM, len(schema["symbols"]))
        else:
            self.add_plain(kind, schema)

    def add_plain(self, kind: str, schema) -> None:
        if kind in _FIXED_SIZES or kind == "fixed":
            size = schema["size"] if kind == "fixed" else _FIXED_SIZES[kind]
            if self.fixed is not None:
                self.code[self.fixed + 1] += size
            else:
                place = self.emit(walk.FIXED, size)
                self.fixed = place
        elif kind in ("int", "long"):
            self.emit(walk.VARINT)
        elif kind in ("string", "bytes"):
            self.emit(walk.BYTES)
        elif kind == "boolean":
            self.emit(walk.BOOLEAN)
        elif kind != "null":
            raise Unsupported(f"it refers to {kind}, which is no type, or is being defined")

    def add_kept(self, kind: str, path: str) -> None:
        """Append the operation that keeps a field; the general reader reports a wrong type."""
        slot = SLOTS[path]
        number = path not in TEXTS and path not in IMAGES
        if kind == "null":
            return
        if number and kind in ("int", "long"):
            self.emit(walk.KEEP_INTEGER, slot)
        elif number and kind in _FIXED_SIZES:
            self.emit(walk.KEEP_FLOAT if kind == "float" else walk.KEEP_DOUBLE, slot)
        elif not number and kind in ("string", "bytes"):
            self.emit(walk.KEEP_SPAN, slot)
        else:
            self.emit(walk.FAIL)

    def add_union(self, branches: list, path: str | None) -> None:
        kinds = [kind_of(branch) for branch in branches]
        if len(kinds) == 2 and "null" in kinds and path not in SLOTS:
            null = kinds.index("null")
            other = kinds[1 - null]
            if other in _OPTIONS:
                # The branch as it is stored: zigzag doubles the number.
                size = [_FIXED_SIZES[other]] if other in _FIXED_SIZES else []
                self.emit(_OPTIONS[other], 2 * null, *size)
                return
        table = self.emit(walk.UNION, len(branches), *([0] * len(branches))) + 2
        jumps = []
        for place, branch in enumerate(branches):
            self.fixed = None
            self.code[table + place] = len(self.code)
            self.add(branch, path)
            jumps.append(self.emit(walk.JUMP, 0) + 1)
        for jump in jumps:
            self.code[jump] = len(self.code)
        self.fixed = None

    def add_items(self, items, has_keys: bool) -> None:
        if not has_keys and least_bytes(items) == 0:
            raise Unsupported("it has an array whose items may have no bytes")
        if self.depth == walk.MAX_DEPTH:
            raise Unsupported("its arrays nest too deeply")
        self.depth += 1
        self.emit(walk.BEGIN)
        loop = self.emit(walk.NEXT, 0, int(has_keys))
        self.add(items, None)
        self.emit(walk.JUMP, loop)
        self.code[loop + 1] = len(self.code)
        self.fixed = None
        self.depth -= 1


def least_bytes(schema) -> int:
    """Return a lower bound of the bytes of a value; it is 0 only if a value may have no bytes."""
    schema = unwrapped(schema)
    kind = kind_of(schema)
    if kind == "null":
        return 0
    if kind in ("record", "error"):
        return sum(least_bytes(field["type"]) for field in schema["fields"])
    return schema["size"] if kind == "fixed" else 1
