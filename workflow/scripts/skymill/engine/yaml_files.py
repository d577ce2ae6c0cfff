"""YAML files, and the JSON schemas (written in YAML) that their content must match."""

from pathlib import Path
from typing import Any

from skymill.engine.errors import SkymillError


def yaml_loader() -> type:
    """Return PyYAML's safe loader: the one in C, which is ten times faster, if it is installed."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises
    ------
    yaml.YAMLError, UnicodeDecodeError
        When the file is not YAML in UTF-8.
    """
    import yaml

    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml_loader())


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
