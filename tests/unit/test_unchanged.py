"""If a raw file or folder changes while it is read, the job fails and names the file."""

import os
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import SCRIPTS

from skymill.engine.errors import SkymillError
from skymill.engine.unchanged import Unchanged

THEN = 1_000_000_000


@pytest.fixture
def raw(tmp_path):
    """A file, and another file of the same size and time."""
    for name in ("raw", "other"):
        (tmp_path / name).write_bytes(name.encode().ljust(9))
        os.utime(tmp_path / name, (THEN, THEN))
    return tmp_path / "raw"


def append(path):
    with open(path, "ab") as stream:
        stream.write(b"more")
    os.utime(path, (THEN, THEN))


def edit(path):
    path.write_bytes(b"x" * path.stat().st_size)


def replace(path):
    path.with_name("other").replace(path)


def append_and_raise(path, error):
    append(path)
    raise error


def delete(path):
    path.unlink()


@pytest.mark.parametrize("change", [append, edit, replace, delete])
def test_a_file_that_changes_is_named_with_what_to_do(raw, change):
    message = rf"^{re.escape(str(raw))} changed while it was read\. .* run again\.$"
    with pytest.raises(SkymillError, match=message), Unchanged(raw):
        change(raw)


def test_a_file_that_is_only_read_has_not_changed(raw):
    with Unchanged(raw) as unchanged:
        raw.read_bytes()
        raw.with_name("copy").hardlink_to(raw)
    unchanged.require()


def test_a_change_explains_the_error_that_it_causes(raw):
    with pytest.raises(SkymillError, match="changed while it was read") as raised, Unchanged(raw):
        append_and_raise(raw, EOFError)
    assert isinstance(raised.value.__context__, EOFError)


def test_other_errors_stay_as_they_are(raw):
    with pytest.raises(EOFError), Unchanged(raw):
        raise EOFError
    with pytest.raises(KeyboardInterrupt), Unchanged(raw):
        append_and_raise(raw, KeyboardInterrupt)


def test_a_file_of_another_size_than_its_receipt_says_is_refused(raw):
    with Unchanged(raw) as unchanged:
        unchanged.require_size(9)
        with pytest.raises(SkymillError, match=r"it has 9 bytes, not 10\. Run again"):
            unchanged.require_size(10)


def test_notes_of_macos_may_come_and_go(tmp_path):
    folder = tmp_path / "night"
    folder.mkdir()
    for name in ("a", "._gone"):
        (folder / name).touch()
    with Unchanged(folder):
        (folder / ".DS_Store").touch()
        (folder / "._gone").unlink()


@pytest.fixture
def folder(tmp_path):
    """Two files, a linked folder with a third, and one dangling link; all times are old."""
    for name in ("night/a", "night/deep/b", "big/c"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
        os.utime(path, (THEN, THEN))
    (tmp_path / "night/linked").symlink_to(tmp_path / "big")
    (tmp_path / "night/gone").symlink_to("nowhere")
    return tmp_path / "night"


def arrives(folder):
    shutil.copy2(folder / "a", folder / "deep/new")


def appears(folder):
    (folder / "nowhere").touch()


CHANGES = {
    "a": lambda folder: edit(folder / "a"),
    "deep/b": lambda folder: append(folder / "deep/b"),
    "linked/c": lambda folder: (folder / "linked/c").unlink(),
    "deep/new": arrives,
    "linked/d": lambda folder: (folder / "linked/d").touch(),
    "(gone|nowhere)": appears,
}


@pytest.mark.parametrize("named", CHANGES)
def test_a_file_of_a_folder_that_changes_is_named(folder, named):
    message = rf"^{re.escape(str(folder))}/{named} changed while it was read"
    with pytest.raises(SkymillError, match=message), Unchanged(folder):
        CHANGES[named](folder)


def test_a_folder_that_is_gone_is_named(folder):
    with pytest.raises(SkymillError, match="night changed while it was read"), Unchanged(folder):
        shutil.rmtree(folder)


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3), max_size=4), st.data())
def test_a_folder_has_changed_exactly_if_a_file_has_another_size_or_time(tmp_path, files, data):
    own = tmp_path / f"{len(list(tmp_path.iterdir()))}"

    def make(sizes):
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        for name, size in sizes.items():
            (own / name).write_bytes(bytes(size))
            os.utime(own / name, (THEN, THEN))

    make(files)
    unchanged = Unchanged(own)
    later = data.draw(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3), max_size=4))
    make(later)
    if later == files:
        unchanged.require()
    else:
        with pytest.raises(SkymillError, match="changed while it was read"):
            unchanged.require()


GUARDS = ("with Unchanged(run.input.", "with HashedRaw(run.input.raw", "=verify_raw(raw,")
OF_THE_PACKAGE = {
    "locate_sdo.py": ("sdo/tree.py", "with Unchanged("),
    "unpack_sdo.py": ("sdo/unpack.py", "with Unchanged("),
    "tensors_sdo.py": ("sdo/tensors.py", "digest(data) != content"),
}
"""Scripts whose module compares. The tensors compare each image with its digest."""


@pytest.mark.parametrize(
    "script",
    [
        path
        for path in sorted(SCRIPTS.glob("*.py"))
        if re.search(r"run\.input\.(raw|folder|archive)\b", path.read_text())
    ],
    ids=lambda path: path.stem,
)
def test_each_script_that_reads_a_raw_file_notices_a_change(script):
    if script.name in OF_THE_PACKAGE:
        module, guard = OF_THE_PACKAGE[script.name]
        assert guard in (SCRIPTS / "skymill" / module).read_text()
    else:
        assert any(guard in script.read_text() for guard in GUARDS)
