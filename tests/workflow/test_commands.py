"""The commands in the README work as written."""

import shutil
import subprocess

import pytest

from projects import REPOSITORY, WARM, said

TRAIN = "data/processed/magnetic_data/train"


def test_a_dry_run_plans_every_rule_and_writes_nothing(project):
    rules = project.stale()
    assert {"simulate_magnetic", "ingest_magnetic", "plan_magnetic", "write_features"} <= rules
    assert not project.path("data").exists()


def test_the_workflow_is_lint_free(project):
    done = project.run("--lint")
    assert "good condition" in said(done)


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz (dot) is not installed")
def test_the_graph_can_be_piped_into_dot(project):
    dag = project.run("--dag")
    svg = subprocess.run(["dot", "-Tsvg"], input=dag.stdout, capture_output=True, text=True)
    assert svg.returncode == 0, svg.stderr
    assert "write_features" in svg.stdout


def test_stdout_has_only_the_graph(project):
    assert project.run("--dag").stdout.startswith("digraph")


@pytest.mark.parametrize(
    "arguments",
    [(TRAIN,), (TRAIN + "/",), ("--cores", "2", TRAIN), ("--cores", "2", TRAIN + "/")],
    ids=" ".join,
)
def test_a_split_can_be_requested_by_its_folder(project, arguments):
    output = project.run(*arguments, "-n").stdout
    assert "write_features" in output
    # The run has the checks of the split, but no jobs that the split does not need.
    assert "check_leaks" in output
    assert "check_conservation" in output
    assert "diagnose_magnetic" not in output


def test_the_default_profile_is_found_from_another_directory(project, tmp_path):
    command = ["-n", "-s", str(project.path("workflow/Snakefile")), "-d", str(project.folder)]
    done = WARM.run(command, tmp_path, project.environment())
    assert done.returncode == 0, done.stderr
    assert "workflow/profiles/default" in said(done)


def test_the_default_profile_leaves_sites_their_choices():
    profile = (REPOSITORY / "workflow/profiles/default/config.yaml").read_text()
    for key in ("resources", "executor", "jobs", "latency"):
        assert f"\n{key}" not in profile


def test_a_misspelt_key_is_refused_by_name(project):
    project.edit("config/config.yaml", "collisions: renumber", "colisions: renumber")
    done = project.run("-n", succeeds=False)
    assert "colisions" in said(done)


def test_a_misspelt_key_inside_a_section_is_refused_by_name(project):
    project.edit("config/config.yaml", "max_region_fraction: 0.2", "max_regions_fraction: 0.2")
    assert "max_regions_fraction" in said(project.run("-n", succeeds=False))


def test_a_misspelt_branch_of_the_source_is_refused_by_name(project):
    project.set("source: {magnetc: sample}")
    assert "'magnetc' was unexpected" in said(project.run("-n", succeeds=False))


def test_an_unknown_column_is_refused(project):
    project.edit("config/config.yaml", "    - R_VALUE\n", "    - R_VALU\n")
    assert "R_VALU" in said(project.run("-n", succeeds=False))


def test_fractions_that_do_not_add_up_are_refused(project):
    project.edit("config/config.yaml", "dev: 0.2", "dev: 0.3")
    assert "split.fractions" in said(project.run("-n", succeeds=False))


def test_every_key_of_the_configuration_is_commented():
    lines = (REPOSITORY / "config/config.yaml").read_text().splitlines()
    keys = [n for n, line in enumerate(lines) if line[:1].isalpha()]
    for number in keys:
        below = lines[number + 1].strip() if number + 1 < len(lines) else ""
        assert lines[number - 1].startswith("#") or below.startswith("#"), lines[number]


def test_every_key_of_the_schema_is_described():
    import yaml

    schema = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text())

    def check(node, where):
        node = node.get("then", node)
        if "properties" in node:
            assert node["additionalProperties"] is False, where
            for name, child in node["properties"].items():
                described = "description" in child or "$ref" in child
                assert described, f"{where}.{name}"
                check(child, f"{where}.{name}")

    check(schema, "config")
    for name, node in schema["$defs"].items():
        assert "description" in node, name
        check(node, name)


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize("file", ["config/config.yaml", "config/small.yaml"])
def test_a_configuration_that_expands_to_too_much_is_refused_first(project, file):
    path = project.path(file)
    path.write_text(path.read_text() + BOMB)
    done = project.run("-n", succeeds=False)
    assert "aliases (*name) or sections expand to more than 100,000 values" in said(done)
    assert "Traceback" not in said(done)
