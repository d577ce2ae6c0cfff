"""Settings that the schema allows, but that do not fit together."""

import copy
import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import REPOSITORY, load_config

from skymill.engine.digests import document_digest
from skymill.engine.errors import SkymillError
from skymill.engine.yaml_files import require_schema
from skymill.magnetic.features import FUNCTIONS
from skymill.magnetic.inputs import INPUTS, SWAN
from skymill.magnetic.schema import PARAMETERS, STEPS
from skymill.settings import (
    check_settings,
    in_force,
    of_input,
    plan_keys,
    require_bounded,
    require_bounded_file,
    source_of_branch,
    without_nulls,
)

SCHEMA_FILE = REPOSITORY / "workflow/schemas/config.schema.yaml"


@pytest.fixture(name="problems")
def _problems(tmp_path):
    """Return a function that lists the problems of a configuration, in an empty folder."""
    return lambda config: list(check_settings(config, tmp_path))


@pytest.mark.parametrize("names", [["config.yaml"], ["config.yaml", "published.yaml"]])
def test_the_configurations_of_the_workflow_are_valid(names, problems):
    assert problems(load_config(*names)) == []


@pytest.mark.parametrize(
    ("fractions", "sound"),
    [((0.98, 0.01, 0.01), True), ((0.7, 0.2, 0.1), True), ((0.9, 0.2, 0.1), False)],
)
def test_fractions_must_add_up_to_one(default_config, fractions, sound, problems):
    default_config["split"]["fractions"] = dict(
        zip(("train", "dev", "test"), fractions, strict=True)
    )
    found = problems(default_config)
    assert (found == []) == sound
    assert all("split.fractions add up to 1.2" in problem for problem in found)


def test_a_split_may_have_no_file_or_the_fraction_0(default_config, problems):
    split = default_config["split"]
    split["partitions"]["train_partition2_data"] = "train"
    split["fractions"] = {"train": 0.8, "dev": 0, "test": 0.2}
    for unit in ("region", "record", "partition"):
        split["unit"] = unit
        assert problems(default_config) == []


@pytest.mark.parametrize(
    ("folds", "fold", "said"),
    [
        (None, None, None),
        (5, None, None),
        (5, 0, None),
        (5, 4, None),
        (5, 5, "split.fold is 5, but the numbers of 5 folds are 0 to 4."),
        (None, 0, "split.fold is 0, but there are no folds. Set split.folds to their number."),
    ],
)
def test_the_fold_must_be_one_of_the_folds(default_config, problems, folds, fold, said):
    default_config["split"] |= {"folds": folds, "fold": fold}
    assert problems(default_config) == [said] * bool(said)


def test_folds_may_be_left_out_of_the_configuration(default_config, problems):
    for name in ("folds", "fold"):
        del default_config["split"][name]
    assert problems(default_config) == []
    assert plan_keys(default_config) == ["split.unit", "split.augment", "split.fractions"]
    default_config["split"]["folds"] = 5
    assert problems(default_config) == []
    assert plan_keys(default_config) == ["split.unit", "split.augment", "split.folds"]


def test_fractions_are_ignored_with_folds(default_config, problems):
    default_config["split"] |= {"folds": 5, "fold": 1}
    default_config["split"]["fractions"]["train"] = 0.9
    assert problems(default_config) == []


def test_an_unknown_column_is_a_problem(default_config, problems):
    default_config["features"]["columns"].append("MEANSHER")
    assert "features.columns names MEANSHER" in problems(default_config)[0]
    default_config["branches"] = []
    assert problems(default_config) == []


def derived(operation, window, parameter="MEANSHR"):
    return {"operation": operation, "parameter": parameter, "window": window}


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (derived("lag", 60), "lag of MEANSHR with window 60 is 0 at every step"),
        (derived("diff", 60, "USFLUX_log"), "diff of USFLUX_log with window 60 is 0 at every"),
        (derived("rolling_std", 1), "rolling_std of MEANSHR with window 1 is 0 at every step"),
        (derived("rolling_mean", 1), "rolling_mean of MEANSHR with window 1 is MEANSHR itself"),
        *((derived(name, 59), None) for name in ("lag", "diff", "rolling_std", "rolling_mean")),
        *((derived(name, 60), None) for name in ("rolling_std", "rolling_mean")),
        *((derived(name, 1), None) for name in ("lag", "diff")),
        *((derived(name, 2), None) for name in ("rolling_std", "rolling_mean")),
    ],
)
def test_a_derived_column_without_information_is_refused(default_config, problems, column, said):
    default_config["features"]["derived"].append(column)
    found = problems(default_config)
    assert len(found) == bool(said)
    assert all(problem.startswith(f"features.derived: {said}") for problem in found)


@pytest.mark.parametrize("operation", ["lag", "diff", "rolling_std", "rolling_mean"])
@pytest.mark.parametrize("window", range(1, STEPS + 1))
def test_exactly_the_columns_without_information_are_refused(
    default_config, problems, operation, window
):
    values = np.random.default_rng(window).normal(size=(1, STEPS))
    column = np.nan_to_num(FUNCTIONS[operation](values, window))
    useless = not column.any() or bool((column == values).all())
    default_config["features"]["derived"] = [derived(operation, window)]
    default_config["features"]["columns"] = ["MEANSHR"]
    assert bool(problems(default_config)) == useless


@pytest.mark.parametrize(
    ("augmentation", "said"),
    [
        ({"X": {"warp": 0}}, "augmentation.X.warp: 0 changes nothing"),
        ({"M": {"scale": 0, "warp": 1}}, "augmentation.M.scale: 0 changes nothing"),
        ({"B": {"duplicate": {"fraction": 0.1, "times": 0}}}, "augmentation.B.duplicate.times: 0"),
        ({"B": {"duplicate": {"fraction": 0, "times": 3}}}, "augmentation.B.duplicate.fraction: 0"),
        ({"Q": {"undersample": 0}}, "augmentation.Q.undersample: 0 changes nothing"),
        ({"Q": {"undersample": 1, "warp": 2}}, "augmentation.Q: undersample 1 removes every"),
        ({name: {"undersample": 1} for name in "XMCBQ"}, "augmentation: undersample 1 for every"),
        ({"Q": {"undersample": 1}}, None),
        ({"Q": {}}, None),
        ({}, None),
    ],
)
def test_an_augmentation_without_effect_or_without_records_is_refused(
    default_config, problems, augmentation, said
):
    default_config["augmentation"] = augmentation
    found = problems(default_config)
    assert len(found) == bool(said)
    assert all(problem.startswith(said) for problem in found)


def test_null_excludes_a_file_from_the_splits(default_config):
    default_config["split"]["partitions"]["train_partition3_data"] = None
    assert list(in_force(default_config)["split"]["partitions"]) == [
        *("train_partition1_data", "train_partition2_data")
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("local", "local"),
        ({"default": "local"}, "local"),
        ({"default": "sample", "magnetic": "archive"}, "archive"),
        ({"other": "archive"}, "sample"),
    ],
)
def test_a_branch_uses_its_own_source_or_the_default(source, expected):
    assert source_of_branch({"source": source}, "magnetic") == expected


@pytest.mark.parametrize(
    ("unit", "cut"),
    [
        ("region", "split.fractions"),
        ("record", "split.fractions"),
        ("partition", "split.partitions"),
    ],
)
def test_a_plan_reads_either_fractions_or_partitions(unit, cut):
    assert plan_keys({"split": {"unit": unit}}) == ["split.unit", "split.augment", cut]


@pytest.mark.parametrize("unit", ["region", "record", "partition"])
def test_a_plan_with_folds_reads_neither(unit):
    split = {"unit": unit, "folds": 5, "fold": None}
    expected = ["split.unit", "split.augment", "split.folds", "split.fold"]
    assert plan_keys({"split": split}) == expected


@pytest.mark.parametrize(
    ("outside", "sound"), [((0.2, 0.2), True), ((0, 0), True), ((0.5, 0.5), False)]
)
def test_some_objects_must_remain_for_training(default_config, problems, outside, sound):
    default_config["ztf"]["split"] = dict(zip(("validation", "test"), outside, strict=True))
    found = problems(default_config)
    assert (found == []) == sound
    assert all(problem.startswith("ztf.split: validation and test take 1 ") for problem in found)


# --- The results folder --------------------------------------------------------------------------


@pytest.fixture(name="results")
def _results(tmp_path, default_config):
    """Return a function that lists the problems of a results folder."""

    def check(results):
        return list(check_settings({**default_config, "results": str(results)}, tmp_path))

    return check


def make_results(folder):
    """Make a folder with the list of products that a run writes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "products.json").write_text("{}")


@pytest.mark.parametrize(
    "name", ["data", "trial", "runs/trial", "runs/2024-01-01/a.b", "interim", "raw", "my workflow"]
)
def test_an_ordinary_folder_may_contain_results(results, name):
    assert results(name) == []


def test_a_folder_outside_the_project_may_contain_results(results, tmp_path):
    assert results("/scratch/trial") == []
    assert results(tmp_path / "trial") == []


@pytest.mark.parametrize("name", ["data", "trial", "runs/trial"])
def test_a_results_folder_may_be_used_again(results, tmp_path, name):
    make_results(tmp_path / name)
    for own in ("interim/ztf", "preprocessed", "processed/sdo", "sample/raw", "raw/ztf", "logs"):
        (tmp_path / name / own).mkdir(parents=True)
    assert results(name) == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "/", "..", "../trial", "runs/../trial", "trial/", "./trial", "runs//trial", "runs/."],
)
def test_a_path_that_is_not_plain_is_no_results_folder(results, name):
    assert results(name) == [
        f"results: {name} is not a plain path such as `trial` or `runs/trial`."
    ]


@pytest.mark.parametrize(
    "name", ["workflow", "config/mine", "envs", "profiles/x", "logs", "tests/a", ".snakemake/b"]
)
def test_the_folders_of_the_workflow_are_no_results_folders(results, name):
    (problem,) = results(name)
    assert problem == f"results: {name} is a folder of the workflow itself. Choose another name."


@pytest.mark.parametrize("name", ["data/raw", "data/raw/ztf", "data/raw/a/b"])
def test_results_must_not_be_in_the_folder_of_raw_files(results, name):
    (problem,) = results(name)
    assert problem.startswith(f"results: {name} is in data/raw, the folder of raw files.")


@pytest.mark.parametrize("name", ["data/trial", "data/interim", "data/runs/trial"])
def test_results_must_not_be_in_the_default_results_folder(results, name):
    (problem,) = results(name)
    assert problem.startswith(f"results: {name} is inside data, another results folder")


@pytest.mark.parametrize("name", ["first/second", "first/deep/second", "first/interim"])
def test_results_must_not_be_in_another_results_folder(results, tmp_path, name):
    assert results(name) == []
    make_results(tmp_path / "first")
    (problem,) = results(name)
    assert problem.startswith(f"results: {name} is inside first, another results folder")
    assert problem.endswith("Choose a folder outside first.")


def test_results_must_not_be_in_another_results_folder_outside_the_project(results, tmp_path):
    make_results(tmp_path / "first")
    (problem,) = results(tmp_path / "first" / "second")
    assert f"is inside {tmp_path / 'first'}, another results folder" in problem


@pytest.mark.parametrize("inner", ["runs/trial", "runs/deep/trial"])
def test_results_must_not_contain_another_results_folder(results, tmp_path, inner):
    (tmp_path / inner).mkdir(parents=True)
    assert results("runs") == []
    make_results(tmp_path / inner)
    assert results("runs") == [
        f"results: runs contains another results folder, {inner}. Choose another name."
    ]


def test_results_must_not_contain_another_results_folder_outside_the_project(results, tmp_path):
    make_results(tmp_path / "runs" / "trial")
    (problem,) = results(tmp_path / "runs")
    assert problem.startswith(f"results: {tmp_path / 'runs'} contains another results folder, ")


def test_results_folders_may_be_next_to_each_other(results, tmp_path):
    for name in ("first", "runs/one", "data"):
        make_results(tmp_path / name)
    assert results("second") == results("runs/two") == results("data") == []


def test_the_folder_that_snakemake_runs_in_need_not_be_named(default_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_results(tmp_path / "runs" / "trial")
    for name in ("runs", str(tmp_path / "runs")):
        (problem,) = check_settings({**default_config, "results": name})
        assert problem.startswith(f"results: {name} contains another results folder, ")


@pytest.mark.parametrize(
    ("branches", "source", "said"),
    [
        (["sdo", "aligned"], "sample", None),
        (["magnetic", "sdo", "aligned"], "archive", None),
        (["magnetic", "sdo", "aligned"], {"default": "local", "sdo": "archive"}, None),
        (["sdo", "aligned"], {"default": "local", "magnetic": "sample"}, None),
        (["magnetic", "sdo"], {"magnetic": "local"}, None),
        (["magnetic", "aligned"], "sample", "branches: aligned needs the samples of sdo."),
        (["sdo", "aligned"], {"swan_sf": "local"}, "source: sdo would be simulated and swan_sf"),
        (["sdo", "aligned"], {"sdo": "local"}, "source: swan_sf would be simulated and sdo real"),
        (
            ["magnetic", "sdo", "aligned"],
            {"default": "archive", "magnetic": "sample"},
            "source: magnetic would be simulated and sdo, swan_sf real.",
        ),
    ],
)
def test_the_aligned_branch_only_joins_real_with_real_or_simulated_with_simulated(
    default_config, problems, branches, source, said
):
    default_config |= {"branches": branches, "source": source}
    found = problems(default_config)
    assert len(found) == (said is not None)
    assert not said or found[0].startswith(said)


@pytest.mark.parametrize(("official", "problem"), [(True, False), (False, True)])
def test_the_splits_of_pairs_leave_pairs_for_training(default_config, problems, official, problem):
    shares = {"follow_official": official, "split": {"validation": 0.5, "test": 0.5}}
    default_config["aligned"] = {**default_config["aligned"], **shares}
    said = ["aligned.split: validation and test take 1 of the pairs, so none is left."]
    assert problems(default_config) == (said if problem else [])


def test_the_aligned_branch_uses_the_source_of_swan_sf():
    source = {"default": "sample", "swan_sf": "local"}
    assert source_of_branch({"source": source}, "aligned") == "local"
    assert source_of_branch({"source": source}, "swan_sf") == "local"


@pytest.mark.parametrize(
    ("section", "left"),
    [
        (None, {}),
        ({}, {}),
        ({"AGN": None, "QSO": "QSO"}, {"QSO": "QSO"}),
        ({"X": {"warp": None, "scale": 8}, "M": None}, {"X": {"scale": 8}}),
        (
            {"X": {"duplicate": {"fraction": 0, "times": None}}},
            {"X": {"duplicate": {"fraction": 0}}},
        ),
    ],
)
def test_null_removes_an_entry_at_any_depth(section, left):
    assert without_nulls(section) == left


def test_null_in_a_later_file_removes_entries_of_open_sections(default_config):
    default_config["labels"]["map"]["AGN"] = None
    default_config["ztf"]["sample"] = None
    default_config["augmentation"]["X"] = None
    found = in_force(default_config)
    assert found["labels"]["map"] == {"QSO": "QSO", "YSO": "YSO"}
    assert found["ztf"]["sample"] == {}
    assert sorted(found["augmentation"]) == ["B", "C", "M", "Q"]
    # In other sections null is a value.
    assert found["dask"] == {"scheduler_address": None}


@pytest.mark.parametrize("section", ["QSO", [None], 3])
def test_a_value_that_is_no_section_is_kept_for_the_schema_to_refuse(default_config, section):
    default_config["labels"]["map"] = section
    default_config["ztf"] = section
    found = in_force(default_config)
    assert found["labels"]["map"] == section
    assert found["ztf"] == section


def test_a_configuration_without_null_is_unchanged(default_config):
    assert in_force(default_config) == default_config
    assert in_force({}) == {}


def test_two_spellings_of_a_published_class_are_refused(default_config, problems):
    default_config["labels"]["map"] |= {"qso": "Quasar", "dwarf nova": "DN", "Dwarf nova": "DN"}
    assert problems(default_config) == [
        "labels.map names QSO and qso, which are one class. Remove one: {QSO: null}."
    ]


def test_a_product_cannot_be_the_list_of_labels(default_config, problems, tmp_path):
    for file in ("lists/own.csv", "/elsewhere/own.csv", "data/raw/own.csv"):
        default_config["labels"]["file"] = file
        assert problems(default_config) == []
    for file in ("data/preprocessed/ztf/labels.parquet", f"{tmp_path}/data/interim/own.csv"):
        default_config["labels"]["file"] = file
        assert "Copy the list to another folder" in problems(default_config)[0]


# --- Numbers -------------------------------------------------------------------------------------


def numbers_in(value, where=()):
    """Yield the places of all numbers in a configuration."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers_in(part, (*where, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield where


DEFAULT = load_config("config.yaml")
NUMBERS = list(numbers_in(DEFAULT))


def with_number(where, number):
    """Return the default configuration with another number at a place."""
    config = copy.deepcopy(DEFAULT)
    *sections, last = where
    functools.reduce(lambda section, key: section[key], sections, config)[last] = number
    return config


def number_at(config, where):
    return functools.reduce(lambda section, key: section[key], where, config)


@given(st.sampled_from(NUMBERS), st.integers(0, 2**53))
def test_equal_numbers_are_equal_settings(where, number):
    one, other = (in_force(with_number(where, kind(number))) for kind in (int, float))
    assert type(number_at(one, where)) is type(number_at(other, where)) is int
    assert document_digest(one) == document_digest(other)


@given(st.sampled_from(NUMBERS), st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_other_numbers_are_other_settings(where, number):
    found = in_force(with_number(where, number))
    assert number_at(found, where) == number
    assert document_digest(found) != document_digest(in_force(with_number(where, 0)))


def test_many_kinds_of_settings_have_numbers():
    named = {".".join(map(str, where)) for where in NUMBERS}
    assert {"seed", "limits.max_corrupt_fraction", "ztf.nights.0", "ztf.crop"} < named
    assert {"features.derived.0.window", "augmentation.X.duplicate.times"} < named


@pytest.mark.parametrize("text", ["010", "1:30", "2018-13-45"])
def test_a_number_that_yaml_reads_differently_is_refused_before_the_file_is_read(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(f"seed: {text}")
    with pytest.raises(SkymillError, match=rf"config\.yaml: line 1: seed: YAML reads {text} as"):
        require_bounded_file(path)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**30, True])
@pytest.mark.parametrize("where", NUMBERS, ids=lambda where: ".".join(map(str, where)))
def test_no_setting_may_be_without_bounds(where, number):
    name = ".".join(map(str, where)).partition(".nights")[0]
    # A number that is no night is refused where nights are read.
    if name == "ztf" and number == 10**30:
        return
    with pytest.raises(SkymillError, match=f"config: {name}"):
        require_schema(in_force(with_number(where, number)), SCHEMA_FILE, "config")


# --- What the magnetic branch reads --------------------------------------------------------------


@pytest.fixture(name="swan_config")
def _swan_config():
    """config/config.yaml with SWAN-SF as the input of the magnetic branch."""
    return load_config("config.yaml", magnetic_input="swan_sf")


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("names", [["config.yaml"], ["config.yaml", "published.yaml"]])
def test_the_default_configuration_is_valid_for_each_input(names, name, problems):
    assert problems(load_config(*names, magnetic_input=name)) == []


def test_each_input_has_its_own_columns_and_files(default_config, swan_config):
    own, other = (config["features"]["columns"] for config in (swan_config, default_config))
    assert own == [name for name in other if name != "PIL_LEN_log"]
    assert list(swan_config["split"]["partitions"]) == list(SWAN.train)
    assert of_input(swan_config) == swan_config


def test_one_list_of_columns_serves_both_inputs(swan_config):
    swan_config["features"]["columns"] = ["EPSZ"]
    assert of_input(swan_config)["features"]["columns"] == ["EPSZ"]


def test_a_column_without_its_parameter_in_the_input_is_named_with_the_input(swan_config, problems):
    swan_config["features"]["derived"].append(derived("lag", 2, "PIL_LEN_log"))
    # A missing parameter that no column needs is no problem.
    assert problems(swan_config) == []
    swan_config["features"]["columns"] += ["XR_MAX", "PIL_LEN_log", "PIL_LEN_log_lag2"]
    assert problems(swan_config) == [
        "features.columns names XR_MAX, PIL_LEN_log (from PIL_LEN), PIL_LEN_log_lag2 (from "
        "PIL_LEN), but SWAN-SF (magnetic.input: swan_sf) has no such parameter. Leave these "
        "columns out for this input: `features: {columns: {swan_sf: [...]}}`."
    ]
    swan_config["branches"] = ["stealth"]
    assert problems(swan_config) == []


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_the_input_are_allowed_as_columns(swan_config, problems, name):
    swan_config["features"]["columns"] = [name]
    assert bool(problems(swan_config)) == (name not in SWAN.parameters)


def test_classes_are_not_undersampled_in_two_ways(default_config, problems):
    default_config["magnetic"]["quiet_per_flare"] = 1
    assert problems(default_config) == [
        "augmentation.Q.undersample changes the ratios that magnetic.quiet_per_flare keeps. Leave "
        "one of the two out: `augmentation: {Q: {undersample: null}}`, or `magnetic: "
        "{quiet_per_flare: null}`."
    ]
    del default_config["augmentation"]["Q"]
    assert problems(default_config) == []


def test_at_least_one_file_must_be_in_a_split(swan_config, problems):
    swan_config["split"] |= {"unit": "partition", "partitions": {}}
    assert "split.partitions leaves out every file" in problems(swan_config)[0]
    swan_config["split"]["partitions"] = {"partition2": "train"}
    assert problems(swan_config) == []


def test_windows_of_swan_sf_use_the_source_of_swan_sf(swan_config, problems):
    source = {"default": "sample", "swan_sf": "local", "magnetic": "archive"}
    assert source_of_branch({**swan_config, "source": source}, "magnetic") == "local"
    assert source_of_branch({"source": source}, "magnetic") == "archive"


def test_a_source_of_the_other_input_is_refused(swan_config, problems):
    swan_config["branches"] = ["magnetic"]
    swan_config["source"] = {"default": "sample", "magnetic": "local"}
    assert problems(swan_config) == [
        "source.magnetic is for the files of 2020, but magnetic.input is swan_sf. Set the "
        "source of SWAN-SF: `source: {swan_sf: local}`."
    ]
    swan_config["source"]["swan_sf"] = "local"
    assert problems(swan_config) == []


def test_windows_and_images_must_be_both_real_or_both_simulated(swan_config, problems):
    swan_config["source"] = {"default": "sample", "swan_sf": "local", "sdo": "local"}
    assert problems(swan_config) == []
    swan_config["source"]["sdo"] = "sample"
    assert "sdo would be simulated and swan_sf real" in problems(swan_config)[0]


# YAML aliases.


def doubled(levels, kind="list"):
    """Return the text of a configuration in which each alias contains the previous one twice."""
    parts = {"list": "[*{0}, *{0}]", "map": "{{x: *{0}, y: *{0}}}", "merge": "{{<<: [*{0}, *{0}]}}"}
    lines = ["a0: &a0 {x: 1, y: 2}"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} " + parts[kind].format(f"a{level - 1}"))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", ["list", "map", "merge"])
def test_a_file_whose_aliases_expand_to_too_much_is_refused(tmp_path, kind):
    path = tmp_path / "config.yaml"
    path.write_text(doubled(60, kind))
    with pytest.raises(SkymillError, match=r"config\.yaml: aliases .* Write the settings"):
        require_bounded_file(path)
    path.write_text(doubled(5, kind))
    require_bounded_file(path)


@pytest.mark.parametrize(
    "text",
    ["a: &a [*a]", "a: &a {b: *a}", "[" * 300 + "]" * 300, "[" * 10**5],
    ids=["list", "section", "deep", "endless"],
)
def test_a_file_with_a_recursive_or_deeply_nested_value_is_refused(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(SkymillError, match=r"config\.yaml"):
        require_bounded_file(path)


def test_invalid_yaml_is_left_to_the_reader(tmp_path):
    path = tmp_path / "config.yaml"
    for content in (b"a: [", b"\xff\xfe", b"\t", b""):
        path.write_bytes(content)
        require_bounded_file(path)


def test_repetitions_in_a_configuration_of_the_command_line_are_counted(default_config):
    require_bounded(default_config, "it")
    inner = ["x"] * 10
    for _ in range(20):
        inner = [inner, inner]
    with pytest.raises(SkymillError, match="it: aliases"):
        require_bounded({**default_config, "results": inner}, "it")
    cycle = []
    cycle.append(cycle)
    with pytest.raises(SkymillError, match="it: aliases"):
        require_bounded({"results": cycle}, "it")
