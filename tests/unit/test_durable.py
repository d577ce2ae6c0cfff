"""Written files survive a power cut, and temporary files of a killed run are found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from records import SCRIPTS

from skymill.engine import durable
from skymill.engine.durable import delete_partial, partial_path
from skymill.engine.products import (
    new_directory,
    new_file,
    read_json,
    scratch_directory,
    write_json,
)


@pytest.fixture
def calls(monkeypatch):
    """The calls that make files durable, in order: the kind of call, and the name or folder."""
    made = []
    replace = Path.replace

    def note(what):
        return lambda path: made.append((what, Path(path).suffix or "folder"))

    def renamed(self, target):
        made.append(("rename", "."))
        return replace(self, target)

    monkeypatch.setattr("skymill.engine.products.flush", note("flush"))
    monkeypatch.setattr("skymill.engine.products.flush_tree", note("flush tree"))
    monkeypatch.setattr("skymill.engine.durable.flush", note("flush"))
    monkeypatch.setattr(Path, "replace", renamed)
    return made


def test_the_content_of_a_file_is_on_the_disk_before_its_name(tmp_path, calls):
    with new_file(tmp_path / "file") as temporary:
        temporary.write_text("new")
        assert calls == []
    assert calls == [("flush", ".partial"), ("rename", ".")]


def test_the_name_of_a_document_is_on_the_disk_at_the_end(tmp_path, calls):
    write_json(tmp_path / "a.json", {"a": 1})
    assert calls == [("flush", ".partial"), ("rename", "."), ("flush", "folder")]


def test_all_files_of_a_directory_are_on_the_disk_before_its_name(tmp_path, calls):
    with new_directory(tmp_path / "set") as temporary:
        for number in range(5):
            (temporary / str(number)).write_text("new")
    assert calls == [("flush tree", ".partial"), ("rename", ".")]


def test_flushing_is_done_by_the_system(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.fstat(descriptor)))
    write_json(tmp_path / "a.json", {"a": 1})
    assert len(flushed) == 2
    assert flushed[0].st_ino == (tmp_path / "a.json").stat().st_ino
    assert flushed[1].st_ino == tmp_path.stat().st_ino


def test_a_flush_that_has_begun_changes_no_file(tmp_path):
    path = tmp_path / "large"
    content = bytes(range(256)) * 10_000
    with open(path, "wb") as file:
        file.write(content)
        durable.begin_flush(file)
        assert path.read_bytes() == content
        file.write(b"more")
        durable.begin_flush(file)
    assert path.read_bytes() == content + b"more"


def test_a_flush_begins_where_the_system_supports_it(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *call: begun.append(call), raising=False)
    with open(tmp_path / "some", "wb") as file:
        durable.begin_flush(file)
        assert begun == [(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)]
        monkeypatch.delattr(os, "posix_fadvise")
        durable.begin_flush(file)
    assert len(begun) == 1


@pytest.mark.parametrize("few", [100, 2])
def test_all_files_of_a_folder_are_flushed_one_by_one_or_together(tmp_path, monkeypatch, few):
    for number in range(3):
        (tmp_path / str(number)).touch()
    flushed = []
    monkeypatch.setattr(durable, "FEW", few)
    monkeypatch.setattr(durable, "flush", flushed.append)
    durable.flush_tree(tmp_path)
    assert len(flushed) == (3 if few == 100 else 0)


def test_a_missing_folder_cannot_be_flushed(tmp_path):
    with pytest.raises(FileNotFoundError):
        durable.flush_file_system(tmp_path / "nothing")


WRITER = """
import sys, time
from pathlib import Path
from skymill.engine.products import new_file
with new_file(Path("product")) as temporary:
    temporary.write_text(sys.argv[1] * 1000)
    Path(f"{sys.argv[1]}.written").touch()
    while not Path("go").exists():
        time.sleep(0.01)
"""


def test_two_processes_that_write_one_product_do_not_share_a_temporary_file(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, letter], cwd=tmp_path, env={"PYTHONPATH": str(SCRIPTS)}
        )
        for letter in "AB"
    ]
    while len(list(tmp_path.glob("*.written"))) < 2:
        assert all(writer.poll() is None for writer in writers)
    (tmp_path / "go").touch()
    assert [writer.wait() for writer in writers] == [0, 0]
    content = (tmp_path / "product").read_text()
    assert content in ("A" * 1000, "B" * 1000)
    assert not list(tmp_path.glob(".*"))


def test_only_temporary_files_of_a_killed_run_are_deleted(tmp_path):
    kept = [tmp_path / "deep" / name for name in ("x.parquet", ".sdo.partial", "x.partial")]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    file, folder = partial_path(tmp_path / "deep" / "a"), partial_path(tmp_path / "deep" / "b")
    file.touch()
    folder.mkdir()
    (folder / "part").touch()
    assert delete_partial(tmp_path) == sorted([file, folder])
    assert sorted((tmp_path / "deep").iterdir()) == sorted(kept)


def test_temporary_files_that_another_run_may_be_writing_are_kept(tmp_path):
    (tmp_path / "raw" / "deep").mkdir(parents=True)
    own, others = partial_path(tmp_path / "a"), partial_path(tmp_path / "raw" / "deep" / "b")
    own.touch()
    others.touch()
    assert delete_partial(tmp_path, leave=tmp_path / "raw") == [own]
    assert others.exists()
    assert delete_partial(tmp_path / "raw", leave=tmp_path / "raw") == [others]


def fail_with_parts(raw):
    with scratch_directory(raw) as folder:
        (folder / "part").touch()
        raise KeyError


def test_temporary_parts_are_deleted_at_the_end_also_after_an_error(tmp_path):
    with pytest.raises(KeyError):
        fail_with_parts(tmp_path / "raw" / "x.zip")
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_folder_without_fsync_is_no_error(tmp_path, monkeypatch):
    def refuse(descriptor):
        if os.fstat(descriptor).st_ino == tmp_path.stat().st_ino:
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    write_json(tmp_path / "a.json", {"a": 1})
    assert read_json(tmp_path / "a.json") == {"a": 1}
