"""YAML files, and the schemas that their content must match."""

import pytest
import yaml

from skymill.engine.errors import SkymillError
from skymill.engine.yaml_files import read_yaml, require_schema

SCHEMA = """
type: object
required: [name]
additionalProperties: false
properties:
  name: {type: string}
  limits:
    type: object
    properties:
      share: {type: number, maximum: 1}
      list: {type: array, items: {type: string}}
      either: {anyOf: [{type: integer}, {type: "null"}]}
"""


@pytest.fixture(name="schema")
def _schema(tmp_path):
    path = tmp_path / "schema.yaml"
    path.write_text(SCHEMA)
    return path


def test_content_of_a_file(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("{a: [1, 2.5, true, null, ö], b: {c: 2020-01-01x}}", encoding="utf-8")
    assert read_yaml(path) == {"a": [1, 2.5, True, None, "ö"], "b": {"c": "2020-01-01x"}}


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"!!python/object:os.system {}"])
def test_a_file_that_is_not_safe_yaml_is_refused(tmp_path, content):
    path = tmp_path / "some.yaml"
    path.write_bytes(content)
    with pytest.raises((yaml.YAMLError, UnicodeDecodeError)):
        read_yaml(path)


@pytest.mark.parametrize("limits", [{}, {"share": 1, "list": ["a"]}, {"either": None}])
def test_a_valid_document_passes(schema, limits):
    require_schema({"name": "a", "limits": limits}, schema, "config")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "config: 'name' is a required property"),
        ({"name": "a", "limit": 1}, "config: Additional properties are not allowed ('limit' was"),
        ({"name": "a", "limits": {"share": 2}}, "config: limits.share: 2 is greater than the max"),
        ({"name": "a", "limits": {"list": ["b", 3]}}, "config: limits.list.1: 3 is not of type"),
        ({"name": "a", "limits": {"either": "x"}}, "config: limits.either: 'x' is not "),
    ],
)
def test_the_message_says_where_a_document_is_wrong(schema, document, message):
    with pytest.raises(SkymillError) as error:
        require_schema(document, schema, "config")
    assert str(error.value).startswith(message)
