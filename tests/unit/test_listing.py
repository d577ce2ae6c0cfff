"""The listing of a folder has names, sizes, and the latest change; no file is read."""

import os
import time

import pytest

from skymill.engine.listing import changed_folder, list_files, listing_digest

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


def test_a_link_to_a_folder_is_not_followed(folder):
    (folder / "loop").symlink_to(folder)
    assert list_files(folder)[0].keys() == {"a", "deep/er/b"}


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
