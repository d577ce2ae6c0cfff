"""Read the schema of an Avro file within limits, before the schema is used.

A few bytes of schema can describe a huge structure: a schema can nest without end, refer to
itself, and double in size with every name that it uses twice. All limits are counts. No limit is a
time or an amount of memory, so every machine accepts and refuses the same files.
"""

import json
import re
from dataclasses import dataclass

MOST_BYTES = 2**20
"""Longest text of a schema; ZTF's have 20 kB."""

MOST_TYPES = 2**15
"""Types in a schema after every name is replaced by its type; ZTF's have some 300."""

MOST_DEPTH = 64
"""Levels of nested types."""

MOST_FIXED = 2**26
"""Bytes of a fixed type."""

LONGEST_DETAIL = 200
"""Characters that are kept of another library's error message."""

PRIMITIVE = frozenset(
    ("null", "boolean", "int", "long", "float", "double", "bytes", "string"),
)
"""Types that contain no other types."""

_ADDRESS = re.compile(r" (from|at|in)? ?<[^<>]* at 0x[0-9a-f]+>")


class BadAvro(Exception):
    """The bytes are not Avro that this reader understands; the text says why."""


@dataclass(frozen=True)
class Schema:
    """A schema within the limits.

    Attributes
    ----------
    parsed
        The schema as fastavro parses it, with full names.
    named
        The named types of the schema, by name.
    expanded
        The parsed schema with every name replaced by its type, except names inside their own
        definition.
    """

    parsed: object
    named: dict
    expanded: object


def read_schema(text: bytes) -> Schema:
    """Return a schema without logical types, so that values stay plain.

    Raises
    ------
    BadAvro
        When the text is not a schema, or the schema exceeds a limit.
    """
    import fastavro

    if len(text) > MOST_BYTES:
        raise BadAvro(f"its schema has {len(text):,} bytes, more than {MOST_BYTES:,}")
    _require_shallow(text)
    named: dict = {}
    try:
        document = _without_logical_types(json.loads(text))
        parsed = fastavro.schema.parse_schema(document, named)
    except MemoryError:
        raise
    except Exception as error:
        raise BadAvro(f"its schema cannot be read: {describe_error(error)}") from error
    return Schema(parsed, named, _Expansion(named).of(parsed, frozenset()))


def describe_error(error: Exception) -> str:
    """Return an exception's type and text without memory addresses, which differ between runs."""
    return f"{type(error).__name__} {_ADDRESS.sub('', str(error))}"[:LONGEST_DETAIL]


def _require_shallow(text: bytes) -> None:
    """Refuse JSON whose brackets nest deeper than those of any schema within the limits."""
    depth = 0
    # A bracket in a text, such as a remark, counts too. Texts rarely have that many open brackets.
    for bracket in re.findall(rb"[\[\]{}]", text):
        depth += 1 if bracket in b"[{" else -1
        if depth > 4 * MOST_DEPTH:
            raise BadAvro(f"its schema nests more than {4 * MOST_DEPTH} brackets")


def _without_logical_types(schema):
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        return {
            key: _without_logical_types(part)
            if key in ("type", "items", "values", "fields")
            else part
            for key, part in schema.items()
            if key != "logicalType"
        }
    return schema


class _Expansion:
    """Replaces names by their types, and counts the types."""

    def __init__(self, named: dict):
        self._named = named
        self._types = 0

    def of(self, schema, within: frozenset[str], depth: int = 0):
        """Return the expanded schema; `within` has the names of the types that contain it."""
        self._types += 1
        if self._types > MOST_TYPES:
            raise BadAvro(f"its schema stands for more than {MOST_TYPES:,} types")
        if depth > MOST_DEPTH:
            raise BadAvro(f"its schema nests more than {MOST_DEPTH} types")
        inner = depth + 1
        if isinstance(schema, list):
            return [self.of(branch, within, inner) for branch in schema]
        if isinstance(schema, str):
            known = self._named.get(schema)
            return schema if known is None or schema in within else self.of(known, within, inner)
        if not isinstance(schema, dict) or "type" not in schema:
            raise BadAvro("its schema cannot be read: a type is no type")
        kind = schema["type"]
        if not isinstance(kind, str):
            return self.of(kind, within, inner)
        if kind in ("record", "error"):
            within = within | {schema["name"]}
            fields = [
                {"name": field["name"], "type": self.of(field["type"], within, inner)}
                for field in schema["fields"]
            ]
            return {"type": kind, "name": schema["name"], "fields": fields}
        if kind in ("array", "map"):
            items = "items" if kind == "array" else "values"
            return {"type": kind, items: self.of(schema[items], within, inner)}
        if kind == "fixed":
            size = schema["size"]
            if type(size) is not int or not 0 <= size <= MOST_FIXED:
                raise BadAvro(f"its schema has a fixed type of {size!r:.30} bytes")
            return schema
        if kind == "enum":
            return schema
        return self.of(kind, within, inner) if kind not in PRIMITIVE else kind
