"""Resources of a job grow with its threads, its input, and each failed attempt."""

import pytest

from skymill.resources import gigabytes, memory, minutes

MB = 10**6


@pytest.fixture
def inputs(tmp_path):
    """A file of 2 MB, and a folder with two such files."""
    (tmp_path / "file").write_bytes(bytes(2 * MB))
    (tmp_path / "set").mkdir()
    for name in "ab":
        (tmp_path / "set" / name).write_bytes(bytes(2 * MB))
    return {"file": str(tmp_path / "file"), "set": [str(tmp_path / "set"), str(tmp_path / "file")]}


def test_the_size_of_inputs_includes_files_in_folders(inputs):
    assert gigabytes(inputs["file"]) == 0.002
    assert gigabytes(inputs["set"]) == 0.006
    assert gigabytes([]) == 0


def test_an_unpacked_night_counts_as_the_largest_possible_night(tmp_path):
    (tmp_path / "ztf_public_20181129").mkdir()
    assert gigabytes(str(tmp_path / "ztf_public_20181129")) == 73


@pytest.mark.parametrize(
    ("needs", "threads", "attempt", "expected"),
    [
        ({}, 8, 1, 1000),
        ({}, 8, 2, 2000),
        ({"each": 500}, 8, 1, 5000),
        ({"each": 500}, 1, 3, 4500),
        ({"per_gb": 10_000, "of": "file"}, 1, 1, 1020),
        ({"each": 1, "per_gb": 10_000, "of": "set"}, 2, 2, 2124),
    ],
)
def test_memory_has_a_fixed_part_a_part_per_thread_and_a_part_per_gigabyte(
    inputs, needs, threads, attempt, expected
):
    assert memory(1000, **needs)(None, inputs, threads, attempt) == expected


@pytest.mark.parametrize(
    ("needs", "attempt", "expected"),
    [
        ({}, 1, 30),
        ({}, 2, 60),
        ({"per_gb": 1000, "of": "set"}, 1, 36),
        ({"per_gb": 1000, "of": "file"}, 3, 96),
    ],
)
def test_time_has_a_fixed_part_and_a_part_per_gigabyte(inputs, needs, attempt, expected):
    assert minutes(30, **needs)(None, inputs, attempt) == expected
