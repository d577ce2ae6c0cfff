"""Raw files: what is not the 2020 data set is named, and where a file came from is known."""

import gzip
import json

import pytest
from records import ABSENT, document, record, write_raw

from skymill.digests import file_sha256
from skymill.errors import SkymillError
from skymill.products import write_json
from skymill.raw import (
    HEAD_BYTES,
    missing_local,
    origin,
    outdated,
    sidecar_path,
    verify_raw,
    write_sidecar,
)

OLD = {"id": 1, "classNum": 3, "values": document(1)["1"]["values"]}


def verify(tmp_path, content):
    raw = tmp_path / "train_partition1_data.json"
    raw.write_bytes(content)
    return verify_raw(raw, "json_lines")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n\n\t", "is empty"),
        (b"<!DOCTYPE html><html><body>503</body></html>", "HTML page"),
        (b"\n  <html>", "HTML page"),
        (b"\xef\xbb\xbf<!DOCTYPE html>", "HTML page"),
        ("\ufeff<!DOCTYPE html>".encode("utf-16"), "HTML page"),
        (record(1).decode().encode("utf-16"), "no JSON object"),
        (gzip.compress(b"{}", mtime=0), "compressed archive"),
        (b"PK\x03\x04 something", "compressed archive"),
        (b"[" + record(1) + b"]", "one JSON array"),
        (json.dumps(OLD).encode(), "2019 competition"),
        (json.dumps({"classNum": 1, **OLD}).encode(), "2019 competition"),
        (json.dumps({"values": OLD["values"], "classNum": 1}).encode(), "2019 competition"),
        (b'{"message": "403 - Forbidden", "code": 403}', "error message in JSON"),
        (b'{"error": "not found"}\n', "error message in JSON"),
        (b"TOTUSJH\tTOTBSQ\n1\t2\n", "no JSON object"),
        (b"\xef\xbb\xbf" + record(1), "no JSON object"),
        (b"version https://git-lfs.github.com/spec/v1\n", "no JSON object"),
    ],
)
def test_what_is_not_the_2020_data_set_is_named(tmp_path, content, said):
    with pytest.raises(SkymillError, match=said) as caught:
        verify(tmp_path, content)
    assert "train_partition1_data.json" in str(caught.value)
    assert "IEEE Big Data Cup 2020" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        record(1) + b"\n",
        b"\n \n" + record(1),
        record(1, ABSENT),
        record(1)[:100],  # one bad line is for ingest to reject
        record(1)[:3000] + b"\n" + record(2),
        record(1)[-3000:] + b"\n" + record(2),
        b"0.5\n" + record(2),
        b'"an error"\n' + record(2),
        b"\xef\xbb\xbf" + record(1) + b"\r\n" + record(2),
        b"{" + b" " * HEAD_BYTES + record(1)[1:],
        record(1, "Q").replace(b": 1", b": NaN"),
    ],
)
def test_json_lines_get_a_receipt(tmp_path, content):
    receipt = verify(tmp_path, content)
    raw = tmp_path / "train_partition1_data.json"
    assert receipt == {
        "name": raw.name,
        "bytes": len(content),
        "sha256": file_sha256(raw),
        "source": "local",
    }


def test_a_folder_gets_a_receipt_over_names_and_content(tmp_path):
    folder = tmp_path / "ztf_public_20181129"
    folder.mkdir()
    with pytest.raises(SkymillError, match="holds no files"):
        verify_raw(folder, "folder")
    (folder / "1.avro").write_bytes(b"Obj")
    first = verify_raw(folder, "folder")
    assert first["bytes"] == 3
    assert first["source"] == "local"
    (folder / "1.avro").rename(folder / "2.avro")
    assert verify_raw(folder, "folder")["sha256"] != first["sha256"]


def test_a_file_without_a_sidecar_was_put_there_by_hand(tmp_path):
    assert origin(write_raw(tmp_path / "raw.json", [])) == "local"


@pytest.mark.parametrize("source", ["sample", "archive", "local"])
def test_the_sidecar_says_where_a_file_came_from(tmp_path, source):
    raw = write_raw(tmp_path / "raw.json", [record(1)])
    write_sidecar(raw, source, url="https://example.org")
    assert sidecar_path(raw) == tmp_path / "raw.json.source.json"
    assert origin(raw) == verify_raw(raw, "json_lines")["source"] == source


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b"[]", b"3", b'{"source": "moon"}', b'{"source": []}', b"\xff\xfe"],
)
def test_a_sidecar_that_does_not_say_it_is_refused(tmp_path, content):
    raw = write_raw(tmp_path / "raw.json", [record(1)])
    sidecar_path(raw).write_bytes(content)
    with pytest.raises(SkymillError, match=r"does not say where raw\.json came from"):
        origin(raw)


def test_a_receipt_is_outdated_by_another_size_or_another_origin(tmp_path):
    raw, receipt = tmp_path / "raw.json", tmp_path / "receipt.json"
    assert outdated(raw, receipt) is None
    raw.write_bytes(b"{}\n")
    write_json(receipt, {"bytes": 3, "source": "local"})
    assert outdated(raw, receipt) is None
    write_sidecar(raw, "archive")
    assert "archive" in outdated(raw, receipt)
    raw.write_bytes(b"{}")
    assert "2 bytes" in outdated(raw, receipt)


def test_a_local_file_may_go_only_after_it_was_read_itself(tmp_path):
    raw, receipt = tmp_path / "raw.json", tmp_path / "receipt.json"
    assert missing_local([(raw, receipt)]) == [raw]
    write_json(receipt, {"bytes": 3, "source": "sample"})
    assert missing_local([(raw, receipt)]) == [raw]
    write_json(receipt, {"bytes": 3, "source": "local"})
    assert missing_local([(raw, receipt)]) == []
