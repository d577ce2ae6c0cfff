"""Settings that each fit the schema, but not together."""

import pytest
from records import load_config

from skymill.settings import check_settings, source_of_branch


def problems(config):
    return list(check_settings(config))


@pytest.mark.parametrize("names", [["config.yaml"], ["config.yaml", "published.yaml"]])
def test_the_configurations_that_come_with_the_workflow_are_sound(names):
    assert problems(load_config(*names)) == []


@pytest.mark.parametrize(
    ("fractions", "sound"),
    [((0.98, 0.01, 0.01), True), ((0.7, 0.2, 0.1), True), ((0.9, 0.2, 0.1), False)],
)
def test_fractions_have_to_add_up_to_one(default_config, fractions, sound):
    default_config["split"]["fractions"] = dict(
        zip(("train", "dev", "test"), fractions, strict=True)
    )
    found = problems(default_config)
    assert (found == []) == sound
    assert all("split.fractions add up to 1.2" in problem for problem in found)


def test_a_split_without_a_file_is_a_problem_of_the_partition_unit_only(default_config):
    default_config["split"]["partitions"]["train_partition3_data"] = "train"
    assert problems(default_config) == []
    default_config["split"]["unit"] = "partition"
    assert problems(default_config) == ["split.partitions gives no file to test."]


def test_an_unknown_column_is_a_problem(default_config):
    default_config["features"]["columns"].append("MEANSHER")
    assert "features.columns names MEANSHER" in problems(default_config)[0]
    default_config["branches"] = []
    assert problems(default_config) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("local", "local"),
        ({"default": "local"}, "local"),
        ({"default": "sample", "magnetic": "archive"}, "archive"),
        ({"other": "archive"}, "sample"),
    ],
)
def test_a_branch_has_its_own_source_else_the_common_one(source, expected):
    assert source_of_branch({"source": source}, "magnetic") == expected
