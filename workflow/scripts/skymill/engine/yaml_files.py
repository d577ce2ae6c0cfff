"""YAML files, and the JSON schemas (written in YAML) that their content must match."""

import datetime
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skymill.engine.errors import SkymillError

MOST_DEPTH = 100
"""No configuration nests deeper. Python, and more so the loader in C, ends at deep nesting."""


def yaml_loader() -> type:
    """Return PyYAML's safe loader: the one in C, which is ten times faster, if it is installed."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises
    ------
    SkymillError
        When the file is not YAML in UTF-8, nests deeper than MOST_DEPTH, or has a number that YAML
        reads differently than people do.
    """
    import yaml

    try:
        loader = yaml_loader()(_shallow_text(path))
        try:
            nodes = loader.get_single_node()
            require_plain(nodes, str(path))
            return None if nodes is None else with_integers(loader.construct_document(nodes))
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError) as error:
        raise SkymillError(f"{path} is not YAML in UTF-8: {error}") from None


def read_yaml_nodes(path: Path) -> Any:
    """Return the nodes of a YAML file, in which aliases are not yet expanded.

    Raises
    ------
    SkymillError
        When the file nests deeper than MOST_DEPTH.
    yaml.YAMLError, UnicodeDecodeError
        When the file is not YAML in UTF-8.
    """
    import yaml

    return yaml.compose(_shallow_text(path), Loader=yaml_loader())


def require_plain(nodes: Any, name: str) -> None:
    """Check the numbers and dates of a YAML file, before its values are made.

    YAML 1.1 reads 010 as 8, and 1:30 as 90. Impossible dates and integers of more than 4,300 digits
    are errors of Python without a place in the file.

    Parameters
    ----------
    nodes
        The nodes of the file, from read_yaml_nodes.
    name
        The name of the file, for the message.

    Raises
    ------
    SkymillError
        For the first value that is read differently, or not at all; the message says where it is.
    """
    for where, node in _scalars(nodes, (), set()):
        kind, text = node.tag.rpartition(":")[2], node.value
        if kind == "timestamp":
            says = _impossible_date(node)
        elif kind not in ("int", "float"):
            continue
        elif len(text) > MOST_DIGITS:
            says = f"a number of {len(text):,} characters is too long"
        elif ":" in text:
            says = f"YAML reads {text} as a number with base 60. Write a plain number, or quotes"
        elif kind == "int" and _OCTAL.match(text):
            says = (
                f"YAML reads {text} as an octal number. Write it without the first 0, or in quotes"
            )
        else:
            continue
        if says:
            line = node.start_mark.line + 1
            raise SkymillError(f"{name}: line {line}: {'.'.join(where)}: {says}.")


MOST_DIGITS = 1000
"""The most characters of a number in a YAML file; Python refuses integers of 4,300 digits."""

_OCTAL = re.compile("[-+]?0[0-7_]*[0-7]$")


def _scalars(node: Any, where: tuple[str, ...], known: set[int]) -> Iterator[tuple]:
    """Yield each scalar node with its place: the keys of the sections and the numbers of items."""
    if node is None or id(node) in known:
        return
    known.add(id(node))
    if node.id == "mapping":
        for key, value in node.value:
            name = str(key.value) if key.id == "scalar" else "?"
            yield from _scalars(key, (*where, name), known)
            yield from _scalars(value, (*where, name), known)
    elif node.id == "sequence":
        for at, value in enumerate(node.value):
            yield from _scalars(value, (*where, str(at)), known)
    else:
        yield where, node


def _impossible_date(node: Any) -> str | None:
    """Return what is wrong with a date, or None."""
    import yaml

    try:
        yaml.constructor.SafeConstructor().construct_yaml_timestamp(node)
    except (ValueError, AttributeError) as error:
        return f"YAML reads {node.value} as a date, but {error}. Write it in quotes"
    return None


def with_integers(value: Any, known: dict[int, Any] | None = None) -> Any:
    """Return a value in which every number without a fraction is an integer: 7.0 is 7.

    In JSON Schema, 7.0 is an integer too. Equal numbers must give the same digests and bytes.
    `known` has the results so far: a value that aliases repeat, also within itself, is one object.
    """
    known = {} if known is None else known
    if id(value) in known:
        return known[id(value)]
    if isinstance(value, dict):
        section = known[id(value)] = {}
        section.update((key, with_integers(part, known)) for key, part in value.items())
        return section
    if isinstance(value, list):
        items = known[id(value)] = []
        items.extend(with_integers(part, known) for part in value)
        return items
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shallow_text(path: Path) -> str:
    """Return the text of a YAML file, unless the file nests too deeply."""
    import yaml

    text = path.read_text(encoding="utf-8")
    depth = 0
    # The events come one after the other, at any depth.
    for event in yaml.parse(text, Loader=yaml_loader()):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise SkymillError(
                f"{path} nests more than {MOST_DEPTH} deep. Write the file with fewer sections."
            )
    return text


def require_schema(document: object, schema: Path, name: str) -> None:
    """Check that a document matches a schema.

    `name` is what the message calls the document: a file, or `config`.

    Raises
    ------
    SkymillError
        When the document does not match the schema, or has a number that is not finite; the message
        says where and why.
    """
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for

    for where, number in _not_finite(document, (), set()):
        raise SkymillError(f"{name}: {'.'.join(where)}: {number} is not a finite number.")
    rules = read_yaml(schema)
    wrong = best_match(validator_for(rules)(rules).iter_errors(document))
    if wrong is not None:
        where = ".".join(map(str, wrong.absolute_path))
        says = wrong.message + _misread(wrong.instance)
        raise SkymillError(": ".join(filter(None, (name, where, says))))


def _misread(value: object) -> str:
    """Return how YAML came to a value that the schema refuses, if people may not expect it."""
    if isinstance(value, bool):
        return ". YAML reads yes, no, on and off as True and False; a text needs quotes"
    if isinstance(value, datetime.date):
        return f". YAML reads {value} as a date; a text needs quotes"
    if isinstance(value, str) and _is_number(value):
        return f". {value!r} is a text; YAML reads numbers without quotes, such as 1000 or 1.0e+3"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _not_finite(
    value: object, where: tuple[str, ...], known: set[int]
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield the numbers that are NaN or infinite, with their places."""
    if isinstance(value, float) and not math.isfinite(value):
        yield where, value
    if not isinstance(value, dict | list) or id(value) in known:
        return
    known.add(id(value))
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _not_finite(part, (*where, str(key)), known)
