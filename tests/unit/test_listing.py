"""The listing of a folder has names, sizes, and the latest change; no file is read."""

import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.engine.errors import SkymillError
from skymill.engine.listing import (
    DANGLING,
    LOOP,
    changed_folder,
    in_order,
    list_files,
    listing_digest,
    require_no_loops,
    total_bytes,
)

THEN = 1_000_000_000


@pytest.fixture
def folder(tmp_path):
    """Two old files, one of them in a subfolder."""
    for name in ("a", "deep/er/b"):
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
        os.utime(path, (THEN, THEN))
    return tmp_path / "own"


def test_files_have_their_paths_and_sizes_and_the_latest_time_counts(folder):
    os.utime(folder / "a", (THEN + 5, THEN + 5))
    assert list_files(folder) == ({"a": 5, "deep/er/b": 5}, THEN + 5)


def test_an_empty_folder_has_no_files_and_no_time(tmp_path):
    assert list_files(tmp_path) == ({}, 0.0)


def test_files_that_snakemake_leaves_do_not_count(folder):
    (folder / ".snakemake_timestamp").touch()
    assert list_files(folder)[0].keys() == {"a", "deep/er/b"}


def test_a_name_need_not_be_utf_8(folder):
    (folder / "deep" / os.fsdecode(b"caf\xe9")).touch()
    listing, _ = list_files(folder)
    assert os.fsdecode(b"deep/caf\xe9") in listing
    assert listing_digest(listing) != listing_digest({"a": 5, "deep/er/b": 5})


def test_links_to_files_and_to_folders_are_followed(folder, tmp_path):
    big = tmp_path / "big"
    (big / "second").mkdir(parents=True)
    (big / "second/c").write_bytes(b"123")
    (folder / "second").symlink_to(big / "second")
    (folder / "again").symlink_to(folder / "a")
    assert list_files(folder)[0] == {"a": 5, "again": 5, "deep/er/b": 5, "second/c": 3}
    digest = listing_digest(list_files(folder)[0])
    (big / "second/d").touch()
    found = changed_folder(folder, list_files(folder), digest, lambda moment: True)
    assert "have changed since they were read" in found


@pytest.mark.parametrize("target", ["nowhere", "a/below", "/nowhere/at/all"])
def test_a_dangling_link_is_listed_without_bytes(folder, target):
    (folder / "gone").symlink_to(target)
    listing, latest = list_files(folder)
    assert listing == {"a": 5, "deep/er/b": 5, "gone": DANGLING}
    assert latest == THEN
    assert total_bytes(listing.values()) == 10
    require_no_loops(folder, listing)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("loop", "loop"),
        ("loop", "."),
        ("deep/loop", ".."),
        ("deep/er/loop", "../../.."),
        ("loop", "/"),
    ],
)
def test_a_loop_of_links_ends_and_is_refused_by_name(folder, link, target):
    (folder / link).symlink_to(target)
    listing, _ = list_files(folder)
    assert listing == {"a": 5, "deep/er/b": 5, link: LOOP}
    with pytest.raises(SkymillError, match=rf"own/{link} is a link .* Delete the link"):
        require_no_loops(folder, listing)


def test_a_loop_through_another_folder_ends(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (folder / "there").symlink_to(other)
    (other / "back").symlink_to(folder)
    listing, _ = list_files(folder)
    assert listing == {"a": 5, "deep/er/b": 5, "there/back": LOOP}


FOLDERS = ("own", "own/x", "own/x/y", "big", "big/z")
LINKS = st.dictionaries(
    st.tuples(st.sampled_from(FOLDERS), st.sampled_from(["l", "m"])),
    st.sampled_from([*FOLDERS, "own/x/file", "big/file", "gone", "big/z/l", "own/m"]),
    max_size=6,
)


@given(LINKS)
def test_a_listing_of_links_is_that_of_a_copy_without_links_and_always_ends(tmp_path, links):
    root = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    for place in FOLDERS:
        (root / place).mkdir(parents=True)
        (root / place / "file").write_bytes(place.encode())
    for (place, name), target in links.items():
        (root / place / name).symlink_to(root / target)
    listing, latest = list_files(root / "own")
    assert list_files(root / "own") == (listing, latest)
    for name, size in listing.items():
        path = root / "own" / name
        assert path.is_symlink() or size >= 0
        if size >= 0:
            assert size == path.stat().st_size
        else:
            assert path.is_dir() if size == LOOP and path.exists() else not path.exists()
    if min(listing.values()) >= 0:
        shutil.copytree(root / "own", root / "copy")
        assert list_files(root / "copy")[0] == listing


@given(st.sets(st.lists(st.sampled_from(["a", "a.b", "a b", "c"]), min_size=1).map("/".join)))
def test_names_are_in_the_order_of_paths(names):
    assert in_order(names) == [path.as_posix() for path in sorted(map(Path, names))]


def test_a_time_in_the_future_does_not_count(folder):
    os.utime(folder / "a", (time.time() + 1e6,) * 2)
    assert list_files(folder)[1] == THEN


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda own: None, None),
        (lambda own: (own / "a").write_bytes(b"54321"), "was changed after it was read"),
        (lambda own: (own / "a").write_bytes(b"1"), "have changed since they were read"),
        (lambda own: (own / "c").touch(), "have changed since they were read"),
        (lambda own: (own / "deep/er/b").unlink(), "have changed since they were read"),
        (
            lambda own: (own / "deep/er/b").rename(own / "deep/b"),
            "have changed since they were read",
        ),
    ],
)
def test_a_folder_has_changed_if_names_sizes_or_times_differ(folder, edit, said):
    digest = listing_digest(list_files(folder)[0])
    edit(folder)
    found = changed_folder(folder, list_files(folder), digest, lambda moment: moment <= THEN)
    assert found is None if said is None else said in found


def test_a_note_of_macos_does_not_change_a_folder(folder):
    listing, latest = list_files(folder)
    before = listing_digest(listing)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "._a").write_bytes(b"x")
    later, now_latest = list_files(folder)
    assert later.keys() - listing.keys() == {".DS_Store", "._a"}
    assert (listing_digest(later), now_latest) == (before, latest)
    assert listing_digest({"a.DS_Store": 1}) != listing_digest({})
