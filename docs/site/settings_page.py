"""The page of every setting: from the schema, and from the comments and values of config.yaml."""

from collections.abc import Iterator
from pathlib import Path

import yaml

INTRODUCTION = """# Every setting

This page is generated from the schema and from the comments in `config/config.yaml`. For
how to set them, see [Settings in use](../docs/configuration.md). A misspelt key is refused by name
before anything runs.

"""


def page(root: Path) -> str:
    """Return the page in Markdown, with links as in a file of docs/."""
    schema = yaml.safe_load(
        (root / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8")
    )
    text = (root / "config/config.yaml").read_text(encoding="utf-8")
    comments = dict(_comments(text))
    default = yaml.safe_load(text)
    parts = [INTRODUCTION]
    for name, part in schema["properties"].items():
        parts += [f"## {name}\n\n", *_described(schema, (name,), part, default, comments)]
    return "".join(parts)


def keys(schema: dict) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key that a schema of the configuration names."""

    def below(path, part):
        yield path
        for name, inner in _properties(schema, part).items():
            yield from below((*path, name), inner)

    for name, part in schema["properties"].items():
        yield from below((name,), part)


def _described(schema, path, part, default, comments) -> Iterator[str]:
    """Yield the text of a key and of the keys below it."""
    part = _resolved(schema, part)
    inner = _properties(schema, part)
    if len(path) > 1:
        yield f"### `{'.'.join(path)}`\n\n"
    meaning = comments.get(path) or _sentence(part.get("description", ""))
    if meaning:
        yield f"{meaning}\n\n"
    known = default
    for name in path:
        known = known.get(name) if isinstance(known, dict) else None
    if not inner or not isinstance(known, dict):
        facts = [f"Default: {_value(known)}"] if _is_in(default, path) else []
        if allowed := _allowed(schema, part):
            facts.append(f"Allowed: {allowed}")
        yield "".join(f"- {fact}\n" for fact in facts) + "\n"
    for name, below in inner.items():
        yield from _described(schema, (*path, name), below, default, comments)


def _resolved(schema: dict, part: dict) -> dict:
    """Return a part of the schema with what it refers to."""
    if "$ref" in part:
        part = {**schema["$defs"][part["$ref"].rpartition("/")[2]], **part}
    return part


def _properties(schema: dict, part: dict) -> dict:
    """Return the keys that a part of the schema names, also those of its form as a section."""
    part = _resolved(schema, part)
    if part.get("type") == "array":
        return {}
    return part.get("properties") or part.get("then", {}).get("properties", {})


def _comments(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path of each key of a configuration with the comment above it."""
    lines = text.splitlines()

    def walk(node, path):
        if isinstance(node, yaml.MappingNode) and not node.flow_style:
            for key, value in node.value:
                here = (*path, key.value)
                number = key.start_mark.line
                indent = " " * key.start_mark.column
                above = []
                while number and lines[number - 1].startswith(f"{indent}#"):
                    number -= 1
                    above.insert(0, _line(lines[number]))
                if above:
                    yield here, _escaped(" ".join(above))
                yield from walk(value, here)

    yield from walk(yaml.compose(text), ())


def _line(text: str) -> str:
    """Return a line of a comment; one that is set in is an example."""
    line = text.strip().removeprefix("#")
    return f"`{line.strip()}`." if line.startswith("   ") else line.strip()


def _escaped(text: str) -> str:
    """Return a comment as Markdown: only its code is markup."""
    parts = text.split("`")
    for place in range(0, len(parts), 2):
        parts[place] = parts[place].replace("<", "&lt;")
        for sign in "*_":
            parts[place] = parts[place].replace(sign, f"\\{sign}")
    return "`".join(parts)


def _sentence(text: str) -> str:
    return text if not text or text.endswith(".") else f"{text}."


def _is_in(values: dict, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def _value(value) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return f"`{text.strip().removesuffix('...').strip()}`"


def _allowed(schema: dict, part: dict) -> str:
    """Return in words what a value may be."""
    if "else" in part:
        return f"{_allowed(schema, _resolved(schema, part['else']))}; or a section, see below"
    items = _resolved(schema, part.get("items", {}))
    if "enum" in items:
        return f"a list of {_allowed(schema, items)}"
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    kinds = part.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    words = {
        "integer": "a whole number",
        "number": "a number",
        "string": "text",
        "null": "null",
        "boolean": "true or false",
        "array": "a list",
        "object": "a section",
    }
    said = " or ".join(words[kind] for kind in kinds)
    bounds = [
        f"{word} {part[key]}"
        for key, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("exclusiveMaximum", "below"),
        )
        if key in part and abs(part[key]) < 1e15
    ]
    return " ".join([said, *bounds])
