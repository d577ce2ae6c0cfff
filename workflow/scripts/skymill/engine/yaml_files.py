"""YAML files, and the JSON schemas (written in YAML) that their content must match."""

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
        When the file is not YAML in UTF-8, or nests deeper than MOST_DEPTH.
    """
    import yaml

    try:
        return yaml.load(_shallow_text(path), Loader=yaml_loader())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
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
        When the document does not match the schema; the message says where and why.
    """
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for

    rules = read_yaml(schema)
    wrong = best_match(validator_for(rules)(rules).iter_errors(document))
    if wrong is not None:
        where = ".".join(map(str, wrong.absolute_path))
        raise SkymillError(": ".join(filter(None, (name, where, wrong.message))))
