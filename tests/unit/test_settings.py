"""Settings that each fit the schema, but not together."""

import pytest
from records import load_config

from skymill.settings import check_settings, plan_keys, source_of_branch


@pytest.fixture(name="problems")
def _problems(tmp_path):
    """Return a function that gives what is wrong with a configuration, in an empty folder."""
    return lambda config: list(check_settings(config, tmp_path))


@pytest.mark.parametrize("names", [["config.yaml"], ["config.yaml", "published.yaml"]])
def test_the_configurations_that_come_with_the_workflow_are_sound(names, problems):
    assert problems(load_config(*names)) == []


@pytest.mark.parametrize(
    ("fractions", "sound"),
    [((0.98, 0.01, 0.01), True), ((0.7, 0.2, 0.1), True), ((0.9, 0.2, 0.1), False)],
)
def test_fractions_have_to_add_up_to_one(default_config, fractions, sound, problems):
    default_config["split"]["fractions"] = dict(
        zip(("train", "dev", "test"), fractions, strict=True)
    )
    found = problems(default_config)
    assert (found == []) == sound
    assert all("split.fractions add up to 1.2" in problem for problem in found)


def test_a_split_without_a_file_is_a_problem_of_the_partition_unit_only(default_config, problems):
    default_config["split"]["partitions"]["train_partition3_data"] = "train"
    assert problems(default_config) == []
    default_config["split"]["unit"] = "partition"
    assert problems(default_config) == ["split.partitions gives no file to test."]


def test_an_unknown_column_is_a_problem(default_config, problems):
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


@pytest.mark.parametrize(
    ("unit", "cut"),
    [
        ("region", "split.fractions"),
        ("record", "split.fractions"),
        ("partition", "split.partitions"),
    ],
)
def test_a_plan_reads_fractions_or_partitions_and_never_both(unit, cut):
    assert plan_keys({"split": {"unit": unit}}) == ["split.unit", "split.augment", cut]


@pytest.mark.parametrize(
    ("outside", "sound"), [((0.2, 0.2), True), ((0, 0), True), ((0.5, 0.5), False)]
)
def test_some_objects_have_to_be_left_to_train_on(default_config, problems, outside, sound):
    default_config["ztf"]["split"] = dict(zip(("validation", "test"), outside, strict=True))
    found = problems(default_config)
    assert (found == []) == sound
    assert all(problem.startswith("ztf.split: validation and test take 1 ") for problem in found)


# --- The results folder --------------------------------------------------------------------------


@pytest.fixture(name="results")
def _results(tmp_path, default_config):
    """Return a function that gives what is wrong with a results folder."""

    def check(results):
        return list(check_settings({**default_config, "results": str(results)}, tmp_path))

    return check


def make_results(folder):
    """Make a folder that a run has written to."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "products.json").write_text("{}")


@pytest.mark.parametrize(
    "name", ["data", "trial", "runs/trial", "runs/2024-01-01/a.b", "interim", "raw", "my workflow"]
)
def test_an_ordinary_folder_may_hold_results(results, name):
    assert results(name) == []


def test_a_folder_anywhere_else_may_hold_results(results, tmp_path):
    assert results("/scratch/trial") == []
    assert results(tmp_path / "trial") == []


@pytest.mark.parametrize("name", ["data", "trial", "runs/trial"])
def test_a_folder_that_a_run_has_written_to_may_hold_the_results_of_the_next(
    results, tmp_path, name
):
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
        f"results: {name} is no plain path of a folder, such as `trial` or `runs/trial`."
    ]


@pytest.mark.parametrize(
    "name", ["workflow", "config/mine", "envs", "profiles/x", "logs", "tests/a", ".snakemake/b"]
)
def test_the_folders_of_the_workflow_are_no_results_folders(results, name):
    (problem,) = results(name)
    assert problem == f"results: {name} is a folder of the workflow itself. Take another name."


@pytest.mark.parametrize("name", ["data/raw", "data/raw/ztf", "data/raw/a/b"])
def test_results_do_not_go_among_the_raw_files(results, name):
    (problem,) = results(name)
    assert problem.startswith(f"results: {name} is in data/raw, the folder of raw files.")


@pytest.mark.parametrize("name", ["data/trial", "data/interim", "data/runs/trial"])
def test_results_do_not_go_into_the_default_results_folder(results, name):
    (problem,) = results(name)
    assert problem.startswith(f"results: {name} is inside data, which is a results folder as well")


@pytest.mark.parametrize("name", ["first/second", "first/deep/second", "first/interim"])
def test_results_do_not_go_into_other_results(results, tmp_path, name):
    assert results(name) == []
    make_results(tmp_path / "first")
    (problem,) = results(name)
    assert problem.startswith(f"results: {name} is inside first, which is a results folder")
    assert problem.endswith("Take a folder beside it.")


def test_results_do_not_go_into_others_anywhere_else(results, tmp_path):
    make_results(tmp_path / "first")
    (problem,) = results(tmp_path / "first" / "second")
    assert f"is inside {tmp_path / 'first'}, which is a results folder" in problem


@pytest.mark.parametrize("inner", ["runs/trial", "runs/deep/trial"])
def test_results_do_not_go_around_other_results(results, tmp_path, inner):
    (tmp_path / inner).mkdir(parents=True)
    assert results("runs") == []
    make_results(tmp_path / inner)
    assert results("runs") == [
        f"results: runs holds another results folder, {inner}. Take one beside it."
    ]


def test_results_do_not_go_around_others_anywhere_else(results, tmp_path):
    make_results(tmp_path / "runs" / "trial")
    (problem,) = results(tmp_path / "runs")
    assert problem.startswith(f"results: {tmp_path / 'runs'} holds another results folder, ")


def test_results_beside_each_other_are_no_problem(results, tmp_path):
    for name in ("first", "runs/one", "data"):
        make_results(tmp_path / name)
    assert results("second") == results("runs/two") == results("data") == []


def test_the_folder_that_snakemake_runs_in_need_not_be_named(default_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_results(tmp_path / "runs" / "trial")
    for name in ("runs", str(tmp_path / "runs")):
        (problem,) = check_settings({**default_config, "results": name})
        assert problem.startswith(f"results: {name} holds another results folder, ")


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
def test_the_aligned_branch_joins_what_is_of_one_sky(
    default_config, problems, branches, source, said
):
    default_config |= {"branches": branches, "source": source}
    found = problems(default_config)
    assert len(found) == (said is not None)
    assert not said or found[0].startswith(said)


def test_the_aligned_branch_has_the_source_of_swan_sf():
    source = {"default": "sample", "swan_sf": "local"}
    assert source_of_branch({"source": source}, "aligned") == "local"
    assert source_of_branch({"source": source}, "swan_sf") == "local"
