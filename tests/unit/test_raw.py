"""Raw files of another data set are refused by name, and the origin of a file is known."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import tarfile
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import ABSENT, document, record, write_raw

from skymill.engine.digests import file_sha256
from skymill.engine.errors import SkymillError
from skymill.raw import files
from skymill.raw.files import (
    HEAD_BYTES,
    HashedRaw,
    changed_since,
    damaged_sidecar,
    origin,
    put_by_hand,
    sidecar_path,
    verify_raw,
    write_sidecar,
)

OLD = {"id": 1, "classNum": 3, "values": document(1)["1"]["values"]}


def tarball(name, content):
    """Return a tarball of one file, without compression."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


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
        (record(1).decode().encode("utf-16"), "not JSON in UTF-8"),
        (gzip.compress(b"<html>", mtime=0), "HTML page"),
        (gzip.compress(gzip.compress(record(1), mtime=0), mtime=0), "compressed archive"),
        (bz2.compress(record(1)), "compressed archive"),
        (lzma.compress(record(1)), "compressed archive"),
        (tarball("train_partition1_data.json", record(1)), "compressed archive"),
        (gzip.compress(tarball("a.json", record(1)), mtime=0), "compressed archive"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"PK\x03\x04 something", "compressed archive"),
        (b"[" + record(1) + b"]", "one JSON array"),
        (json.dumps(OLD).encode(), "2019 competition"),
        (json.dumps({"classNum": 1, **OLD}).encode(), "2019 competition"),
        (json.dumps({"values": OLD["values"], "classNum": 1}).encode(), "2019 competition"),
        (b'{"message": "403 - Forbidden", "code": 403}', "error message in JSON"),
        (b'{"error": "not found"}\n', "error message in JSON"),
        (b"TOTUSJH\tTOTBSQ\n1\t2\n", "not a JSON object"),
        (b"\xef\xbb\xbfversion 1\n", "not a JSON object"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a JSON object"),
    ],
)
def test_a_file_that_is_not_of_the_2020_data_set_is_refused_by_name(tmp_path, content, said):
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
        record(1)[:100],  # ingest rejects a single bad line
        record(1)[:3000] + b"\n" + record(2),
        record(1)[-3000:] + b"\n" + record(2),
        b"0.5\n" + record(2),
        b'"an error"\n' + record(2),
        b"\xef\xbb\xbf" + record(1) + b"\r\n" + record(2),
        b"{" + b" " * HEAD_BYTES + record(1)[1:],
        record(1, "Q").replace(b": 1", b": NaN"),
        b"\xef\xbb\xbf" + record(1),
        gzip.compress(record(1), mtime=0),
        gzip.compress(b"\xef\xbb\xbf" + record(1) + b"\n", mtime=0),
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


def test_a_gzip_stream_that_is_damaged_at_its_beginning_is_named(tmp_path):
    whole = gzip.compress(record(1), mtime=0)
    with pytest.raises(SkymillError, match="is cut short: its gzip stream has no end"):
        verify(tmp_path, whole[:15])
    with pytest.raises(SkymillError, match=r"json is damaged: .*Fetch or copy the file again"):
        verify(tmp_path, b"\x1f\x8b\x07" + whole[3:])


def test_a_table_may_be_gzipped(tmp_path):
    raw = tmp_path / "data.csv.gz"
    raw.write_bytes(gzip.compress(b"a,b\n1,2\n", mtime=0))
    assert verify_raw(raw, "text")["sha256"] == file_sha256(raw)
    raw.write_bytes(gzip.compress(b"<html>", mtime=0))
    with pytest.raises(SkymillError, match="should be plain text, but it is an HTML"):
        verify_raw(raw, "text")


def test_a_folder_gets_a_receipt_over_names_and_content(tmp_path):
    folder = tmp_path / "ztf_public_20181129"
    folder.mkdir()
    with pytest.raises(SkymillError, match="contains no files"):
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
def test_a_sidecar_without_an_origin_is_refused(tmp_path, content):
    raw = write_raw(tmp_path / "raw.json", [record(1)])
    sidecar_path(raw).write_bytes(content)
    with pytest.raises(SkymillError, match=r"does not say where raw\.json came from"):
        origin(raw)


def test_another_size_or_origin_makes_a_document_stale(tmp_path):
    raw, name = tmp_path / "raw.json", "raw:raw.json"
    document = {"raw": {"name": name, "bytes": 3, "source": "local"}}
    assert changed_since(document, raw, name, never) is None
    raw.write_bytes(b"{}\n")
    assert changed_since(document, raw, name, never) is None
    write_sidecar(raw, "archive")
    assert "archive" in changed_since(document, raw, name, never)
    raw.write_bytes(b"{}")
    assert "2 bytes" in changed_since(document, raw, name, never)


def test_another_file_makes_a_document_stale(tmp_path):
    raw = tmp_path / "raw.json"
    document = {"raw": {"name": "sample/raw/x.json", "bytes": 3, "source": "sample"}}
    said = "it was made from sample/raw/x.json, not from raw:x.json"
    assert changed_since(document, raw, "raw:x.json", never) == said


def night_of_two_files(tmp_path):
    """A night put there by hand as a folder; return it and the document of the job that read it."""
    night = tmp_path / "night"
    for name in ("a.avro", "deeper/b.avro"):
        (night / name).parent.mkdir(parents=True, exist_ok=True)
        (night / name).write_bytes(b"alert")
    return night, {"raw": {**verify_raw(night, "folder"), "name": "raw:night"}}


def never(moment):
    """A document that is older than all files."""
    return False


def later(moment):
    """A document that is younger than all files."""
    return True


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        (lambda night: None, False),
        (lambda night: (night / "deeper/b.avro").write_bytes(b"other alert"), True),
        (lambda night: (night / "deeper/b.avro").unlink(), True),
        (lambda night: (night / "deeper/c.avro").write_bytes(b""), True),
        (lambda night: (night / "a.avro").rename(night / "c.avro"), True),
        (lambda night: shutil.rmtree(night), False),
    ],
)
def test_other_files_in_a_folder_make_a_document_stale(tmp_path, change, noticed):
    night, document = night_of_two_files(tmp_path)
    change(night)
    assert bool(changed_since(document, night, "raw:night", later)) == noticed


def test_a_younger_file_in_a_folder_makes_a_document_stale(tmp_path):
    night, document = night_of_two_files(tmp_path)
    written = time.time() - 100
    for path in night.rglob("*.avro"):
        os.utime(path, (written - 1, written - 1))

    def is_younger(moment):
        return written >= moment

    assert changed_since(document, night, "raw:night", is_younger) is None
    os.utime(night / "deeper/b.avro", (written + 1, written + 1))
    assert "was changed after it was read" in changed_since(
        document, night, "raw:night", is_younger
    )
    # A time far in the future is ignored. Otherwise each run would read the night again.
    os.utime(night / "deeper/b.avro", (written + 10**6, written + 10**6))
    assert changed_since(document, night, "raw:night", is_younger) is None


@pytest.mark.parametrize("source", ["sample", "archive"])
def test_a_file_that_a_rule_wrote_was_not_put_there_by_hand(tmp_path, source):
    raw = write_raw(tmp_path / "raw.json", [record(1)])
    assert put_by_hand(raw)
    write_sidecar(raw, source)
    assert not put_by_hand(raw)
    write_sidecar(raw, source, bytes=raw.stat().st_size + 1)
    assert put_by_hand(raw)


def test_a_missing_file_was_not_put_there_by_hand(tmp_path):
    assert not put_by_hand(tmp_path / "raw.json")
    write_sidecar(tmp_path / "raw.json", "archive")
    assert not put_by_hand(tmp_path / "raw.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"source": "moon"}'])
def test_a_file_with_a_damaged_sidecar_may_have_been_put_there_by_hand(tmp_path, content):
    raw = write_raw(tmp_path / "raw.json", [record(1)])
    write_sidecar(raw, "sample")
    assert damaged_sidecar(raw) is None
    sidecar_path(raw).write_bytes(content)
    assert damaged_sidecar(raw) == f"{sidecar_path(raw)} cannot be read"
    assert put_by_hand(raw)


def test_a_sidecar_without_its_file_or_a_file_without_one_is_not_damaged(tmp_path):
    raw = tmp_path / "raw.json"
    sidecar_path(raw).write_bytes(b"{")
    assert damaged_sidecar(raw) is None
    sidecar_path(raw).unlink()
    raw.write_bytes(b"x")
    assert damaged_sidecar(raw) is None


# --- Files that are hashed while they are read ---------------------------------------------------

CONTENT = gzip.compress(np.random.default_rng(0).bytes(300_000), mtime=0)
"""More than one block of a buffered reader, and more than one block of the final hashing."""


def read_nothing(stream):
    pass


def read_some(stream):
    stream.read(1000)


def read_all(stream):
    assert stream.read() == CONTENT


def read_in_pieces(stream):
    assert b"".join(iter(lambda: stream.read(777), b"")) == CONTENT


def read_into_buffers(stream):
    buffer = bytearray(70_000)
    while stream.readinto(buffer):
        pass


def read_twice(stream):
    read_in_pieces(stream)
    stream.seek(0)
    read_in_pieces(stream)


def read_back_and_forth(stream):
    for place, size in ((0, 5000), (2000, 100), (4000, 90_000), (0, 10), (80_000, 200_000)):
        stream.seek(place)
        assert stream.read(size) == CONTENT[place : place + size]


def read_the_end_first(stream):
    stream.seek(-1000, io.SEEK_END)
    assert stream.read() == CONTENT[-1000:]
    stream.seek(0)
    stream.read(1000)


def read_the_uncompressed(stream):
    with gzip.open(stream) as inflated:
        while inflated.read(10_000):
            pass


READS = (
    read_nothing,
    read_some,
    read_all,
    read_in_pieces,
    read_into_buffers,
    read_twice,
    read_back_and_forth,
    read_the_end_first,
    read_the_uncompressed,
)


@pytest.fixture
def night(tmp_path):
    """A fetched gzip file with a known checksum."""
    raw = tmp_path / "night.tar.gz"
    raw.write_bytes(CONTENT)
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    write_sidecar(raw, "archive", bytes=len(CONTENT), checksum=checksum, version=None)
    return raw


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("algorithm", [None, "md5", "sha256"])
def test_the_receipt_does_not_depend_on_the_reads(night, read, algorithm):
    checksum = algorithm and f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    raw = HashedRaw(night, "gzip", checksum=checksum)
    with raw.open(night) as stream:
        read(stream)
    assert raw.receipt() == verify_raw(night, "gzip", checksum=checksum)
    assert raw.receipt()["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert raw.receipt()["source"] == "archive"


def test_a_file_that_was_never_opened_has_the_same_receipt(night):
    assert HashedRaw(night, "gzip").receipt() == verify_raw(night, "gzip")


def test_a_file_that_is_opened_again_has_the_same_receipt(night):
    raw = HashedRaw(night, "gzip")
    for read in (read_some, read_the_end_first):
        with raw.open(night) as stream:
            read(stream)
    assert raw.receipt() == verify_raw(night, "gzip")


@given(st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 200_000)), max_size=6))
def test_any_seeks_and_reads_give_the_content_and_the_same_receipt(tmp_path, reads):
    path = tmp_path / "night.tar.gz"
    path.write_bytes(CONTENT)
    raw = HashedRaw(path, "gzip")
    with raw.open(path) as stream:
        for place, size in reads:
            stream.seek(place)
            assert stream.read(size) == CONTENT[place : place + size]
    assert raw.receipt()["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_a_fetched_file_that_was_replaced_counts_as_local_after_reading(night, caplog):
    night.write_bytes(CONTENT[:-1] + b"x")
    raw = HashedRaw(night, "gzip")
    with raw.open(night) as stream:
        stream.read()
    assert raw.receipt()["source"] == "local"
    assert put_by_hand(night)
    assert "is not the file that was fetched" in caplog.text


def test_a_file_with_a_wrong_checksum_is_refused_with_both_checksums(night):
    raw = HashedRaw(night, "gzip", checksum=f"sha256:{'0' * 64}")
    with pytest.raises(SkymillError, match=r"sha256 is [0-9a-f]{64}, expected is 0{64}"):
        raw.receipt()
    with pytest.raises(SkymillError, match="expected is 0"):
        verify_raw(night, "gzip", checksum=f"sha256:{'0' * 64}")


@pytest.mark.parametrize("content", [b"", b"<html>503</html>", b'{"error": 1}', b"text\n"])
def test_a_file_of_another_type_is_refused_before_it_is_read(tmp_path, content):
    (tmp_path / "night.tar.gz").write_bytes(content)
    with pytest.raises(SkymillError, match=r"night\.tar\.gz should be a gzip file, but it is "):
        HashedRaw(tmp_path / "night.tar.gz", "gzip")


@pytest.fixture
def unpacked(tmp_path):
    """A folder of files, some of them in a subfolder."""
    folder = tmp_path / "ztf_public_20181129"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(("b.avro", "a.avro", "deep/c.avro")):
        (folder / name).write_bytes(bytes([number]) * 1000 * number)
    return folder


@pytest.mark.parametrize("opened", [[], ["b.avro"], ["deep/c.avro", "a.avro", "b.avro"]])
@pytest.mark.parametrize("size", [0, 10, -1])
def test_the_receipt_of_a_folder_does_not_depend_on_the_reads(unpacked, opened, size):
    expected = verify_raw(unpacked, "folder")
    raw = HashedRaw(unpacked, "folder")
    for name in opened:
        with raw.open(unpacked / name) as stream:
            stream.read(size)
    assert raw.receipt() == expected
    assert (expected["bytes"], expected["source"]) == (3000, "local")


def test_links_in_a_folder_are_hashed_like_the_files_that_they_lead_to(unpacked, tmp_path):
    expected = verify_raw(unpacked, "folder")
    (unpacked / "deep").rename(tmp_path / "deep")
    (unpacked / "deep").symlink_to(tmp_path / "deep")
    (unpacked / "a.avro").rename(tmp_path / "elsewhere")
    (unpacked / "a.avro").symlink_to(tmp_path / "elsewhere")
    assert verify_raw(unpacked, "folder") == expected
    (tmp_path / "deep/d.avro").write_bytes(b"one more")
    assert "have changed" in changed_since(
        {"raw": {**expected, "name": "raw:night"}}, unpacked, "raw:night", later
    )


def test_a_dangling_link_in_a_folder_changes_the_receipt_and_the_bytes_do_not_count(unpacked):
    before = verify_raw(unpacked, "folder")
    (unpacked / "gone.avro").symlink_to("nowhere")
    after = verify_raw(unpacked, "folder")
    assert after["bytes"] == before["bytes"]
    assert after["sha256"] != before["sha256"]
    assert after["listing_sha256"] != before["listing_sha256"]


def test_a_loop_of_links_in_a_folder_is_refused_by_name(unpacked):
    (unpacked / "deep/loop").symlink_to(unpacked)
    with pytest.raises(SkymillError, match=r"deep/loop is a link to itself or to a folder"):
        HashedRaw(unpacked, "folder")


def test_a_changed_file_in_a_folder_changes_the_receipt(unpacked):
    before = verify_raw(unpacked, "folder")["sha256"]
    (unpacked / "deep" / "c.avro").write_bytes(b"x" * 2000)
    assert verify_raw(unpacked, "folder")["sha256"] != before


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "night" / "deep").mkdir(parents=True)
    with pytest.raises(SkymillError, match="contains no files"):
        HashedRaw(tmp_path / "night", "folder")


# --- Files that change while they are read -------------------------------------------------------


def replaced(raw):
    new = raw.with_name("new")
    new.write_bytes(CONTENT + b"tail")
    new.replace(raw)


def appended(raw):
    with open(raw, "ab") as stream:
        stream.write(b"tail")


@pytest.mark.parametrize("change", [replaced, appended])
@pytest.mark.parametrize("read", [read_nothing, read_some, read_all])
@pytest.mark.parametrize("checksum", [None, f"sha256:{'0' * 64}"])
def test_a_file_that_changes_while_it_is_read_has_no_receipt(night, change, read, checksum):
    raw = HashedRaw(night, "gzip", checksum=checksum)
    with raw.open(night) as stream:
        read(stream)
        change(night)
    with pytest.raises(SkymillError, match=r"night\.tar\.gz changed while it was read"):
        raw.receipt()
    # The checksum of neither content says that the download was replaced by hand.
    assert sidecar_path(night).exists()


@pytest.mark.parametrize("change", [replaced, appended])
def test_a_file_that_changes_while_it_is_verified_has_no_receipt(night, monkeypatch, change):
    def hashing(path, algorithm):
        change(path)
        return "0" * 64

    monkeypatch.setattr(files, "large_file_digest", hashing)
    with pytest.raises(SkymillError, match=r"night\.tar\.gz changed while it was read"):
        verify_raw(night, "gzip")
    assert sidecar_path(night).exists()


def test_an_error_of_a_reader_that_a_change_causes_names_the_change(night):
    with (
        pytest.raises(SkymillError, match="changed while it was read"),
        HashedRaw(night, "gzip") as raw,
        raw.open(night),
    ):
        fail_after(replaced, night)


def fail_after(change, raw):
    """Fail like a reader that comes to the end of a file too early."""
    change(raw)
    raise SkymillError("the archive is cut short")


def test_an_error_of_a_reader_without_a_change_stays(night):
    with pytest.raises(SkymillError, match="cut short"), HashedRaw(night, "gzip"):
        raise SkymillError("the archive is cut short")


@pytest.mark.parametrize("name", ["new.avro", "deep/new.avro", "0.avro"])
def test_a_folder_that_gets_more_files_while_it_is_read_has_no_receipt(unpacked, name):
    raw = HashedRaw(unpacked, "folder")
    with raw.open(unpacked / "b.avro") as stream:
        stream.read()
    # As by `cp -p`: the new file is old.
    shutil.copy2(unpacked / "b.avro", unpacked / name)
    with pytest.raises(SkymillError, match=rf"{name} changed while it was read"):
        raw.receipt()
