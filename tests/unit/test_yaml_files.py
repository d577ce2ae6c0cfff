"""YAML files, and the schemas that their content must match."""

import pytest

from skymill.engine.errors import SkymillError
from skymill.engine.yaml_files import read_yaml, read_yaml_nodes, require_schema

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
    with pytest.raises(SkymillError, match=r"some\.yaml is not YAML in UTF-8: "):
        read_yaml(path)


@pytest.mark.parametrize("read", [read_yaml, read_yaml_nodes])
@pytest.mark.parametrize(
    "text",
    ["[" * 10**5, "[" * 101 + "]" * 101, "\n".join(" " * depth + "a:" for depth in range(102))],
    ids=["endless", "lists", "sections"],
)
def test_a_file_that_nests_too_deeply_is_refused_before_its_values_are_made(tmp_path, read, text):
    # The loader in C would end the process without a message.
    path = tmp_path / "some.yaml"
    path.write_text(text)
    with pytest.raises(SkymillError, match=r"some\.yaml nests more than 100 deep"):
        read(path)


def test_a_file_may_nest_as_deep_as_the_limit(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("[" * 100 + "]" * 100)
    assert str(read_yaml(path)) == "[" * 100 + "]" * 100


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
