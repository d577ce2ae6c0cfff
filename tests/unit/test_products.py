"""Products are complete or absent, and equal contents have equal manifests."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from records import contents_of, described

from skymill.engine.digests import document_digest, file_sha256
from skymill.engine.errors import SkymillError
from skymill.engine.products import (
    HashedFile,
    Product,
    check_document,
    describe_file,
    document_path,
    is_document,
    manifest_path,
    new_directory,
    new_file,
    read_document,
    read_json,
    source_of,
    write_document,
    write_json,
    write_page,
)
from skymill.engine.tables import write_parquet, write_table


class Trouble(Exception):
    """An error in the middle of writing."""


def write_half(product, name):
    """Write a part of a new product and fail."""
    with product as temporary:
        (temporary / name).write_text("half")
        raise Trouble


def test_a_new_file_appears_when_its_with_block_succeeds(tmp_path):
    with new_file(tmp_path / "deep" / "file") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "deep" / "file").exists()
        assert temporary.parent == tmp_path / "deep"
    assert contents_of(tmp_path / "deep") == {"deep/file": b"new"}


def test_an_error_leaves_only_the_old_file(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(Trouble):
        write_half(new_file(tmp_path / "file"), "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_new_directory_completely_replaces_the_old_one(tmp_path):
    for content in ("old", "new"):
        with new_directory(tmp_path / "deep" / "set") as temporary:
            (temporary / content).write_text(content)
    assert contents_of(tmp_path / "deep") == {"deep/set/new": b"new"}


def test_an_error_leaves_only_the_old_directory(tmp_path):
    with new_directory(tmp_path / "set") as temporary:
        (temporary / "part").write_text("old")
    with pytest.raises(Trouble):
        write_half(new_directory(tmp_path / "set"), "part")
    assert contents_of(tmp_path) == {f"{tmp_path.name}/set/part": b"old"}
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


def test_a_manifest_is_next_to_its_product(tmp_path):
    assert manifest_path(tmp_path / "set") == tmp_path / "set.manifest.json"


@pytest.mark.parametrize(
    ("product", "document"),
    [
        ("set", "set.manifest.json"),
        ("plan.parquet", "plan.parquet.manifest.json"),
        ("check.receipt.json", "check.receipt.json"),
    ],
)
def test_a_product_has_a_manifest_and_a_check_its_receipt(tmp_path, product, document):
    assert document_path(tmp_path / product) == tmp_path / document
    assert is_document(tmp_path / document)
    assert is_document(document)


@pytest.mark.parametrize("path", ["set", "plan.parquet", "raw.json.source.json", "products.json"])
def test_other_files_are_no_documents(path):
    assert not is_document(path)
    assert not is_document(Path(path))


def test_a_page_is_complete_or_absent(tmp_path):
    write_page(tmp_path / "deep" / "page.md", "# ζ\n")
    assert contents_of(tmp_path) == {f"{tmp_path.name}/deep/page.md": "# ζ\n".encode()}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\0\0\0", "is empty"),
        (b" \n", "is empty"),
        (b'{"a": 1', "contains no JSON object"),
        (b"[1]", "contains no JSON object"),
        (b"null", "contains no JSON object"),
        (b"\xff\xfe", "contains no JSON object"),
    ],
)
def test_damaged_json_is_refused_by_name(tmp_path, content, said):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(SkymillError, match=f"^{re.escape(str(path))} {said}: .*Delete it and run"):
        read_json(path)


def test_missing_json_has_another_error_than_damaged_json(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json")


CONTENT = {"counts": {"records": 3}, "source": "local"}


def test_a_document_contains_the_digest_of_its_content(tmp_path):
    write_document(tmp_path / "x.manifest.json", CONTENT)
    document = read_json(tmp_path / "x.manifest.json")
    assert document == {**CONTENT, "digest": document_digest(CONTENT)}
    assert read_document(tmp_path / "x.manifest.json") == document
    assert check_document(document, "x") is document


def test_equal_content_gives_equal_bytes(tmp_path):
    write_document(tmp_path / "a.manifest.json", CONTENT)
    write_document(tmp_path / "b.manifest.json", dict(reversed(CONTENT.items())))
    assert len(set(contents_of(tmp_path).values())) == 1


@pytest.mark.parametrize(
    "change",
    [{"source": "archive"}, {"counts": {"records": 4}}, {"more": 1}, {"digest": "0" * 64}],
)
def test_a_changed_document_is_refused_by_name(tmp_path, change):
    path = tmp_path / "x.manifest.json"
    write_document(path, CONTENT)
    document = {**read_json(path), **change}
    write_json(path, document)
    said = "does not have the content that was written: .* Delete it and run again"
    with pytest.raises(SkymillError, match=f"^{re.escape(str(path))} {said}"):
        read_document(path)
    with pytest.raises(SkymillError, match=f"^here {said}"):
        check_document(document, "here")


@pytest.mark.parametrize("content", [b'{"rows": NaN}', b'{"rows": 1e999}'])
def test_nan_and_infinity_are_refused_in_documents(tmp_path, content):
    (tmp_path / "x.manifest.json").write_bytes(content)
    with pytest.raises(SkymillError, match="does not have the content that was written"):
        read_document(tmp_path / "x.manifest.json")


def test_a_document_without_a_digest_is_refused(tmp_path):
    write_json(tmp_path / "x.manifest.json", CONTENT)
    with pytest.raises(SkymillError, match="or another version of Skymill wrote it"):
        read_document(tmp_path / "x.manifest.json")


@pytest.mark.parametrize(
    ("sources", "stated"),
    [
        (["archive", "archive"], "archive"),
        (["archive", "local"], "local"),
        (["local", "sample", "archive"], "sample"),
    ],
)
def test_the_least_trustworthy_source_is_stated(sources, stated):
    assert source_of(sources) == stated
    assert source_of(iter(sources)) == stated


def made(results, name, *entries, **content):
    """Write files of a product and its manifest in a results folder; return its path."""
    described = []
    for own, text in entries:
        path = results / own
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        described.append({**describe_file(path, text.count("\n")), "name": own})
    document = {"product": name, "files": described, "counts": {}, "source": "local", **content}
    (results / name).parent.mkdir(parents=True, exist_ok=True)
    write_document(document_path(results / name), document)
    return results / name


def test_a_product_is_opened_from_its_manifest(tmp_path):
    path = made(tmp_path, "processed/a.csv", ("processed/a.csv", "x\n"), counts={"rows": 1})
    for opened in (path, str(path), manifest_path(path), f"{path}.manifest.json"):
        product = Product(opened)
        assert product.path == path
        assert product.name == "processed/a.csv"
        assert product.counts == {"rows": 1}
        assert product.source == "local"
        assert product.document == read_document(manifest_path(path))


def test_a_receipt_is_opened_like_a_product(tmp_path):
    receipt = tmp_path / "interim" / "x.receipt.json"
    receipt.parent.mkdir()
    write_document(receipt, {"product": "interim/x.receipt.json", **CONTENT})
    assert Product(receipt).counts == {"records": 3}
    assert Product(receipt).results == tmp_path


def test_a_product_knows_its_results_folder(tmp_path, monkeypatch):
    path = made(tmp_path / "runs" / "trial", "processed/deep/a.csv")
    assert Product(path).results == tmp_path / "runs" / "trial"
    monkeypatch.chdir(tmp_path)
    assert Product("runs/trial/processed/deep/a.csv").results == tmp_path / "runs" / "trial"


def test_a_product_without_a_manifest_says_what_to_do(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(SkymillError, match=r"set\.manifest\.json is missing\. Run again"):
        Product(tmp_path / "set")


def test_a_product_with_a_damaged_manifest_is_refused(tmp_path):
    path = made(tmp_path, "set")
    manifest_path(path).write_bytes(b"")
    with pytest.raises(SkymillError, match=r"set\.manifest\.json is empty"):
        Product(path)


def test_files_are_found_in_manifest_order_and_checked_by_size(tmp_path):
    product = Product(made(tmp_path, "set", ("set/b", "bbb"), ("set/a", "aaa")))
    assert product.files() == [tmp_path / "set" / "b", tmp_path / "set" / "a"]
    (tmp_path / "set" / "a").write_text("aa")
    with pytest.raises(SkymillError, match=r"Delete .*set and run again"):
        product.files()
    (tmp_path / "set" / "a").unlink()
    with pytest.raises(SkymillError, match=r"set/a is not the file that .*set\.manifest\.json"):
        product.files()


def test_files_are_found_from_anywhere(tmp_path, monkeypatch):
    made(tmp_path / "data", "processed/set", ("processed/set/a", "a"))
    monkeypatch.chdir(tmp_path)
    product = Product("data/processed/set")
    monkeypatch.chdir(tmp_path / "data")
    assert Product("processed/set").files() == [tmp_path / "data" / "processed" / "set" / "a"]
    monkeypatch.chdir(tmp_path)
    assert product.files() == [tmp_path / "data" / "processed" / "set" / "a"]


def test_a_product_of_one_file_is_found_under_its_own_name(tmp_path):
    entry = write_table(tmp_path / "plan.parquet", pa.table({"a": [1.5, 2.5]}))
    assert entry["name"] == "plan.parquet"
    product = described(tmp_path / "plan.parquet", [entry])
    assert product.files() == [tmp_path / "plan.parquet"]


def test_files_next_to_a_product_do_not_belong_to_it(tmp_path):
    entries = [("x/a", "1\n"), ("x/b", "2\n3\n"), ("x.jsonl", "4\n"), ("xy/c", "5\n")]
    product = Product(made(tmp_path, "x", *entries))
    assert [entry["name"] for entry in product.entries] == ["x/a", "x/b"]
    assert product.files() == [tmp_path / "x" / "a", tmp_path / "x" / "b"]
    assert product.rows == 3


def test_a_product_of_no_files_has_no_rows(tmp_path):
    product = Product(made(tmp_path, "x"))
    assert (product.files(), product.rows) == ([], 0)


def test_equal_tables_give_equal_bytes_and_a_correct_entry(tmp_path):
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


def test_each_type_of_column_has_its_own_encoding(tmp_path):
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
    # The dictionary itself has the encoding PLAIN.
    assert stored == {
        "value": {"BYTE_STREAM_SPLIT"},
        "hash": {"PLAIN"},
        "name": {"PLAIN", "RLE_DICTIONARY"},
        "number": {"PLAIN", "RLE_DICTIONARY"},
    }


def test_the_entry_made_while_writing_equals_the_entry_made_by_reading(tmp_path):
    file = HashedFile(tmp_path / "file")
    for part in (b"one\n", memoryview(b"two\n"), b""):
        assert file.write(part) == len(part)
    assert file.tell() == 8
    assert file.describe(2) == describe_file(tmp_path / "file", 2)
    assert file.closed
