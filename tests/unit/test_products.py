"""Products are whole or absent, and manifests are functions of what they describe."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from records import contents_of

from skymill.digests import file_sha256
from skymill.errors import SkymillError
from skymill.products import (
    HashedFile,
    describe_file,
    manifest_path,
    new_directory,
    new_file,
    read_json,
    require_files,
    source_of,
    write_json,
    write_manifest,
)
from skymill.tables import write_parquet, write_table


class Trouble(Exception):
    """Something that goes wrong in the middle."""


def write_half(product, name):
    """Write something into a new product and fail."""
    with product as temporary:
        (temporary / name).write_text("half")
        raise Trouble


def test_a_new_file_appears_when_its_block_ends_well(tmp_path):
    with new_file(tmp_path / "deep" / "file") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "deep" / "file").exists()
        assert temporary.parent == tmp_path / "deep"
    assert contents_of(tmp_path / "deep") == {"deep/file": b"new"}


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(Trouble):
        write_half(new_file(tmp_path / "file"), "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_file_left_over_from_a_killed_job_is_no_obstacle(tmp_path):
    with new_file(tmp_path / "file") as temporary:
        name = temporary.name
        temporary.write_text("new")
    (tmp_path / name).write_text("left over")
    with new_file(tmp_path / "file") as temporary:
        assert not temporary.exists()
        temporary.write_text("newer")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_new_directory_replaces_the_old_one_whole(tmp_path):
    for content in ("old", "new"):
        with new_directory(tmp_path / "deep" / "set") as temporary:
            (temporary / content).write_text(content)
    assert contents_of(tmp_path / "deep") == {"deep/set/new": b"new"}


def test_an_error_leaves_the_old_directory_and_no_other(tmp_path):
    with new_directory(tmp_path / "set") as temporary:
        (temporary / "part").write_text("old")
    with pytest.raises(Trouble):
        write_half(new_directory(tmp_path / "set"), "part")
    assert contents_of(tmp_path) == {f"{tmp_path.name}/set/part": b"old"}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_directory_left_over_from_a_killed_job_is_emptied(tmp_path):
    with new_directory(tmp_path / "set") as temporary:
        name = temporary.name
    (tmp_path / name).mkdir()
    (tmp_path / name / "left").write_text("over")
    with new_directory(tmp_path / "set") as temporary:
        assert list(temporary.iterdir()) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_json_is_sorted_readable_and_ends_with_a_newline(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [1]})
    write_json(tmp_path / "b.json", {"a": [1], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json").read_text().endswith("}\n")
    assert read_json(tmp_path / "a.json") == {"a": [1], "b": 1}


def test_json_refuses_nan_and_leaves_the_old_document(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert read_json(tmp_path / "a.json") == {"a": 1}


def test_a_manifest_stands_beside_its_product(tmp_path):
    assert manifest_path(tmp_path / "set") == tmp_path / "set.manifest.json"


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "one.json", {"source": "local"})
    write_json(tmp_path / "two.json", {"source": "archive"})
    return ["one.json", "two.json"]


def manifest(path, inputs, settings=None, gates=()):
    settings = {"seed": 1, "split": {"unit": "region"}} if settings is None else settings
    content = {"files": [], "counts": {"records": 3}}
    write_manifest(path, content, code="c0de", settings=settings, inputs=inputs, gates=gates)
    return path.read_bytes()


def test_a_manifest_says_what_its_product_holds_and_was_made_from(tmp_path, inputs):
    manifest(tmp_path / "m.json", inputs, gates=["gate.json"])
    document = read_json(tmp_path / "m.json")
    assert document["counts"] == {"records": 3}
    assert document["code"] == "c0de"
    assert document["source"] == "local"
    assert document["config"]["keys"] == ["seed", "split"]
    assert document["gates"] == ["gate.json"]
    assert document["inputs"] == {
        name: file_sha256(tmp_path / name) for name in ("one.json", "two.json")
    }


def test_equal_inputs_give_equal_manifests(tmp_path, inputs):
    one = manifest(tmp_path / "m.json", inputs)
    reordered = {"split": {"unit": "region"}, "seed": 1}
    assert manifest(tmp_path / "n.json", inputs[::-1], reordered) == one


def test_a_changed_setting_or_input_changes_the_manifest(tmp_path, inputs):
    one = manifest(tmp_path / "m.json", inputs)
    assert manifest(tmp_path / "m.json", inputs, {"seed": 2}) != one
    write_json(tmp_path / "two.json", {"source": "archive", "more": 1})
    assert manifest(tmp_path / "m.json", inputs) != one


def test_what_a_gate_says_does_not_change_the_manifest(tmp_path, inputs):
    write_json(tmp_path / "gate.json", {"limit": 1})
    one = manifest(tmp_path / "m.json", inputs, gates=["gate.json"])
    write_json(tmp_path / "gate.json", {"limit": 2})
    assert manifest(tmp_path / "m.json", inputs, gates=["gate.json"]) == one


def test_a_manifest_holds_no_absolute_path(tmp_path, inputs):
    assert str(tmp_path).encode() not in manifest(tmp_path / "m.json", inputs)


@pytest.mark.parametrize(
    ("sources", "stated"),
    [
        (["archive", "archive"], "archive"),
        (["archive", "local"], "local"),
        (["local", "sample", "archive"], "sample"),
    ],
)
def test_the_least_trustworthy_source_is_stated(sources, stated):
    assert source_of([{"source": source} for source in sources]) == stated


def test_files_are_found_in_manifest_order_and_checked_by_size(tmp_path):
    product = tmp_path / "set"
    product.mkdir()
    entries = []
    for name in ("b", "a"):
        (product / name).write_text(name * 3)
        entries.append({"name": name, "bytes": 3})
    assert require_files(product, {"files": entries}) == [product / "b", product / "a"]
    (product / "a").write_text("aa")
    with pytest.raises(SkymillError, match=r"Delete .*set and run again"):
        require_files(product, {"files": entries})


def test_the_file_of_a_single_product_stands_under_its_own_name(tmp_path):
    entry = write_table(tmp_path / "plan.parquet", pa.table({"a": [1.5, 2.5]}))
    assert entry["name"] == "plan.parquet"
    assert require_files(tmp_path / "plan.parquet", {"files": [entry]}) == [
        tmp_path / "plan.parquet"
    ]


def test_equal_tables_give_equal_bytes_and_a_true_entry(tmp_path):
    table = pa.table({"a": [1.5, float("nan")], "b": ["x", None], "c": [1, 2]})
    entry = write_parquet(tmp_path / "a.parquet", table, rows_per_group=1)
    other = write_parquet(tmp_path / "b.parquet", table, rows_per_group=1)
    assert {**entry, "name": ""} == {**other, "name": ""}
    assert entry["sha256"] == file_sha256(tmp_path / "a.parquet")
    assert entry["bytes"] == (tmp_path / "a.parquet").stat().st_size
    assert entry["rows"] == 2
    assert pq.read_metadata(tmp_path / "a.parquet").num_row_groups == 2
    read = pq.read_table(tmp_path / "a.parquet")
    assert read.schema == table.schema
    assert json.dumps(read.to_pylist()) == json.dumps(table.to_pylist())


def test_a_column_is_stored_as_its_kind_needs(tmp_path):
    columns = {"value": pa.array([1.5, 1.5]), "hash": pa.array([7, 2**64 - 1], pa.uint64())}
    table = pa.table({**columns, "name": ["x", "x"], "number": [1, 1]})
    write_parquet(tmp_path / "a.parquet", table, rows_per_group=2)
    group = pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    stored = {}
    for index in range(group.num_columns):
        column = group.column(index)
        encoding = {*column.encodings} & {"PLAIN", "BYTE_STREAM_SPLIT", "RLE_DICTIONARY"}
        assert column.compression == "ZSTD"
        assert (column.statistics is None) == (column.path_in_schema in ("value", "hash"))
        stored[column.path_in_schema] = encoding
    # The dictionary itself is plain.
    assert stored == {
        "value": {"BYTE_STREAM_SPLIT"},
        "hash": {"PLAIN"},
        "name": {"PLAIN", "RLE_DICTIONARY"},
        "number": {"PLAIN", "RLE_DICTIONARY"},
    }


def test_a_file_is_described_while_it_is_written_as_it_is_when_read(tmp_path):
    file = HashedFile(tmp_path / "file")
    for part in (b"one\n", memoryview(b"two\n"), b""):
        assert file.write(part) == len(part)
    assert file.tell() == 8
    assert file.describe(2) == describe_file(tmp_path / "file", 2)
    assert file.closed
