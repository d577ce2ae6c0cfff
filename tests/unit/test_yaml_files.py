"""YAML files, and the schemas that their content must match."""

import pytest

from skymill.engine.errors import SkymillError
from skymill.engine.yaml_files import (
    read_yaml,
    read_yaml_nodes,
    require_plain,
    require_schema,
    with_integers,
)

NAN, INF = float("nan"), float("inf")
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
        (
            {"name": "a", "limits": {"share": NAN}},
            "config: limits.share: nan is not a finite number.",
        ),
        ({"name": "a", "limits": {"list": [-INF]}}, "config: limits.list.0: -inf is not a finite"),
        ({"name": INF}, "config: name: inf is not a finite number."),
    ],
)
def test_the_message_says_where_a_document_is_wrong(schema, document, message):
    with pytest.raises(SkymillError) as error:
        require_schema(document, schema, "config")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yes", "True is not of type 'number'. YAML reads yes, no, on and off as True and False"),
        ("2018-06-01", "is not of type 'number'. YAML reads 2018-06-01 as a date"),
        ("1e3", "'1e3' is not of type 'number'. '1e3' is a text; YAML reads numbers without"),
        ("'0.5'", "'0.5' is not of type 'number'. '0.5' is a text"),
        ("half", "'half' is not of type 'number'"),
    ],
)
def test_the_message_says_how_yaml_read_a_value(tmp_path, schema, text, said):
    path = tmp_path / "config.yaml"
    path.write_text(f"{{name: a, limits: {{share: {text}}}}}")
    with pytest.raises(SkymillError) as error:
        require_schema(read_yaml(path), schema, "config")
    assert str(error.value).startswith("config: limits.share: ")
    assert said in str(error.value)


# --- Numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("010", "YAML reads 010 as an octal number"),
        ("-007", "YAML reads -007 as an octal number"),
        ("1:30", "YAML reads 1:30 as a number with base 60"),
        ("190:20:30.15", "YAML reads 190:20:30.15 as a number with base 60"),
        ("2018-13-45", "YAML reads 2018-13-45 as a date, but month must be in 1..12"),
        ("9" * 5000, "a number of 5,000 characters is too long"),
    ],
)
def test_a_number_that_yaml_reads_differently_is_refused_with_its_place(tmp_path, value, said):
    path = tmp_path / "some.yaml"
    path.write_text(f"a: 1\nb:\n  - c: {value}\n")
    for read in (read_yaml, lambda path: require_plain(read_yaml_nodes(path), str(path))):
        with pytest.raises(SkymillError, match=r"some\.yaml: line 3: b\.0\.c: ") as error:
            read(path)
        assert said in str(error.value)
    path.write_text(f"{{? {value} : 1}}")
    with pytest.raises(SkymillError, match=r"some\.yaml: line 1: "):
        read_yaml(path)


def test_plain_numbers_and_quoted_texts_are_read(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text(
        "[0, -0, 10, 0.5, 0x10, 1_000, -7, '010', '1:30', '2018-13-45', 2018-06-01, 08]"
    )
    expected = [0, 0, 10, 0.5, 16, 1000, -7, "010", "1:30", "2018-13-45"]
    assert read_yaml(path)[:10] == expected
    path.write_text("")
    assert read_yaml(path) is None


@pytest.mark.parametrize("text", ["a: !!int x", "a: !!timestamp x", "a: !!float x"])
def test_a_value_that_is_not_of_its_tag_is_refused(tmp_path, text):
    path = tmp_path / "some.yaml"
    path.write_text(text)
    with pytest.raises(SkymillError, match=r"some\.yaml"):
        read_yaml(path)


def test_a_number_without_a_fraction_is_an_integer(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text(
        "{a: 1.0, b: [-0.0, {c: 1.0e+18}], d: 0.5, e: .nan, f: .inf, g: true, h: '1.0'}"
    )
    found = read_yaml(path)
    assert str(found) == str(
        {"a": 1, "b": [0, {"c": 10**18}], "d": 0.5, "e": NAN, "f": INF, "g": True, "h": "1.0"}
    )


def test_a_value_that_aliases_repeat_stays_one_object(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("a: &a [1.0, *a]\nb: &b {c: *b, d: 2.0}")
    found = read_yaml(path)
    assert found["a"][0] == 1
    assert found["a"][1] is found["a"]
    assert found["b"]["c"] is found["b"]
    many = [1.0]
    for _ in range(100):
        many = [many, many]
    assert with_integers(many)[0] is not many
