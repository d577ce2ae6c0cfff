"""The values that the schemas of the configuration allow agree with the tables in the code."""

import pytest
from records import REPOSITORY

from skymill import paths
from skymill.engine.products import SOURCES
from skymill.engine.yaml_files import read_yaml
from skymill.magnetic.columns import SUFFIXES
from skymill.magnetic.features import FUNCTIONS
from skymill.magnetic.inputs import INPUTS
from skymill.magnetic.placement import UNITS
from skymill.magnetic.plan_table import CHANGED, METHODS
from skymill.magnetic.schema import LABELS, PARAMETERS, STEPS, TRAIN_SPLITS
from skymill.raw.file_types import KINDS
from skymill.raw.registry import NIGHT, load_registry
from skymill.ztf.classes import CLASSES, MEMBERS
from skymill.ztf.export import FORMS
from skymill.ztf.labels import ON_CONFLICT, UNKNOWN
from skymill.ztf.plan import SPLITS


def schema_of(name):
    return read_yaml(REPOSITORY / "workflow" / "schemas" / f"{name}.schema.yaml")


CONFIG = schema_of("config")


def part(path):
    """Return a part of the configuration's schema, by the names of the keys."""
    found = CONFIG
    for name in path.split("."):
        found = found["items"] if name == "[]" else found["properties"][name]
    return found


def definition(name):
    return CONFIG["$defs"][name]


def keys(section):
    """Return the keys of a section, after a check that the schema allows no other keys."""
    assert section["additionalProperties"] is False
    return list(section["properties"])


def refers_to(section, name):
    """Return whether all values of a section refer to a definition."""
    return {value["$ref"] for value in section["properties"].values()} == {f"#/$defs/{name}"}


def test_operations_along_the_steps_have_a_name_and_a_function():
    allowed = part("features.derived.[].operation")["enum"]
    assert allowed == list(SUFFIXES) == list(FUNCTIONS)


def test_events_of_the_baseline_are_classes():
    assert part("baseline.positive.magnetic")["items"]["enum"] == list(LABELS)


def test_units_of_a_split_each_have_a_function():
    assert part("split.unit")["enum"] == list(UNITS)


def test_a_window_is_no_longer_than_a_record():
    assert part("features.derived.[].window")["maximum"] == STEPS


def test_methods_of_augmentation_agree_with_the_plan():
    allowed = keys(definition("class_augmentation"))
    assert allowed == [*CHANGED, "duplicate", "undersample"]
    assert set(METHODS) == {"original", *CHANGED, "duplicate"}


def test_augmentation_is_by_class():
    section = part("augmentation")
    assert sorted(keys(section)) == sorted(LABELS)
    assert refers_to(section, "class_augmentation")


def test_parameters_agree_with_the_archive():
    assert definition("parameter")["enum"] == list(PARAMETERS)


def test_forms_of_a_csv_agree_with_the_writer():
    assert part("ztf.csv")["enum"] == list(FORMS)


def test_splits_agree_with_the_magnetic_branch():
    assert definition("split")["enum"] == list(TRAIN_SPLITS)
    assert keys(part("split.fractions")) == list(TRAIN_SPLITS)
    assert part("split.fractions")["required"] == list(TRAIN_SPLITS)
    assert refers_to(part("split.fractions"), "split_fraction")


def test_every_training_file_has_a_split():
    section = part("split.partitions")
    assert keys(section) == [name for one in INPUTS.values() for name in one.train]
    assert refers_to(section, "split")


def test_inputs_of_the_magnetic_branch_can_all_be_read():
    assert part("magnetic.input")["enum"] == list(INPUTS)
    assert keys(part("features.columns")["then"]) == list(INPUTS)


def test_splits_of_ztf_agree_with_the_plan():
    section = part("ztf.split")
    assert ["train", *keys(section)] == list(SPLITS)
    assert section["required"] == keys(section)


def test_branches_agree_with_the_folders():
    branches = list(paths.BRANCH_FOLDERS)
    assert part("branches.[]")["enum"] == branches
    collections = sorted(paths.RAW_OF_BRANCH.get(branch, branch) for branch in branches)
    assert sorted(keys(part("source")["then"])) == sorted(["default", *collections])
    assert sorted(keys(part("simulate"))) == collections


def test_every_branch_has_a_collection_of_raw_files():
    assert sorted(load_registry(REPOSITORY / "config" / "sources.yaml")) == sorted(
        paths.RAW_OF_BRANCH.get(branch, branch) for branch in paths.BRANCH_FOLDERS
    )


def test_sources_agree_with_the_manifests():
    assert sorted(definition("source")["enum"]) == sorted(SOURCES)
    assert refers_to(part("source")["then"], "source")


def test_lists_of_labels_agree_with_the_published_lists():
    assert part("labels.source")["enum"] == list(MEMBERS) == list(paths.ZTF_LABELS_FILES)
    for name, file in paths.ZTF_LABELS_FILES.items():
        assert file.endswith(f"/{MEMBERS[name]}")


def test_any_class_can_have_a_label_and_those_of_the_default_map_are_published(default_config):
    assert part("labels.map")["additionalProperties"] == {"$ref": "#/$defs/label"}
    assert {*default_config["labels"]["map"]} <= {*CLASSES}


def test_rules_for_two_or_unknown_classes_agree_with_the_code():
    assert part("labels.on_conflict")["enum"] == list(ON_CONFLICT)
    assert part("labels.unknown")["enum"] == list(UNKNOWN)


def test_a_night_has_the_form_of_the_registry():
    pattern = definition("night")["anyOf"][1]["pattern"]
    assert pattern.replace("(?:", "(") == f"^{NIGHT}$".replace("(?:", "(")


def kinds_of(found):
    """Return the enums of the keys `kind` anywhere in a schema."""
    if isinstance(found, list):
        return [kind for item in found for kind in kinds_of(item)]
    if not isinstance(found, dict):
        return []
    own = [found["kind"]["enum"]] if "enum" in found.get("kind", ()) else []
    return own + [kind for value in found.values() for kind in kinds_of(value)]


def test_kinds_of_raw_files_agree_with_the_code():
    (allowed,) = kinds_of(schema_of("sources"))
    assert sorted(allowed) == sorted([*KINDS, "folder"])


@pytest.mark.parametrize("name", ["config.yaml"])
def test_the_default_configuration_has_every_key_that_is_required(name):
    config = read_yaml(REPOSITORY / "config" / name)
    assert sorted(config) == sorted(CONFIG["required"])
