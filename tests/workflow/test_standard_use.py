"""Standard ways to use a workflow: as a module, in another folder, with a user's profile."""

import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import stand_in_conda
from projects import REPOSITORY, WARM, Project, said

MODULE = """
configfile: "config/config.yaml"
module skymill:
    snakefile: "{snakefile}"
    config: config
use rule * from skymill as sky_*
assert "sky_retrieve" in workflow._localrules
"""


@pytest.fixture
def user(project, tmp_path):
    """A user's workflow that includes this one as a module by its path."""
    folder = tmp_path / "user"
    folder.mkdir()
    snakefile = project.path("workflow/Snakefile")
    (folder / "Snakefile").write_text(MODULE.format(snakefile=snakefile))
    project.path("config").rename(folder / "config")
    mine = Project(folder)
    mine.variables["PYTHONPATH"] = str(project.path("workflow/scripts"))
    return mine


def test_as_a_module_the_workflow_runs_and_notices_damage(user):
    user.run("--cores", "1", "sky_stealth")
    table = user.path("data/preprocessed/stealth/solar_flares.parquet")
    assert table.exists()
    assert user.stale("sky_stealth") == set()
    user.path("data/interim/stealth/rows.parquet.manifest.json").write_text("")
    assert {"sky_ingest_stealth", "sky_convert_stealth"} <= user.stale("sky_stealth")


def test_a_module_checks_settings_unless_the_user_says_otherwise(user):
    user.set("unknown: 1")
    done = user.run("-n", "sky_stealth", succeeds=False)
    assert "config: Additional properties are not allowed ('unknown' was unexpected)" in said(done)
    user.edit(
        "Snakefile", "    config: config\n", "    config: config\n    skip_validation: True\n"
    )
    assert "sky_convert_stealth" in user.stale("sky_stealth")


def test_in_another_folder_the_workflow_uses_its_configuration_and_sources(project, tmp_path):
    folder = tmp_path / "elsewhere"
    table = "data/preprocessed/stealth/solar_flares.parquet"
    command = ["--cores", "1", "--directory", str(folder), table]
    done = WARM.run(command, project.folder, project.environment())
    assert done.returncode == 0, said(done)
    assert (folder / table).exists()


def test_without_the_package_a_message_says_what_to_do(project):
    scripts = project.path("workflow/scripts")
    scripts.rename(scripts.with_name("away"))
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PACKAGE, "-n"],
        cwd=project.folder,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "The package skymill cannot be imported" in said(done)
    assert "Traceback" not in said(done)
    assert "Snakefile," not in said(done)


WITHOUT_PACKAGE = """
import sys
editable = [finder for finder in sys.meta_path if "skymill" in getattr(finder, "__name__", "")]
for finder in editable:
    sys.meta_path.remove(finder)
sys.path = [path for path in sys.path if not path.endswith("workflow/scripts")]
import snakemake.cli
snakemake.cli.main()
"""


def imported_by_the_snakefile():
    """Return the modules of the package that the rules import."""
    files = ("configuration", "common")
    text = "".join((REPOSITORY / f"workflow/rules/{name}.smk").read_text() for name in files)
    found = re.findall(r"^ *(?:from|import) (skymill[\w.]*)(?: import ([\w, ]+))?", text, re.M)
    modules = set()
    for module, names in found:
        modules.add(module)
        if module in ("skymill", "skymill.engine"):
            modules |= {f"{module}.{name.strip()}" for name in names.split(",")}
    return sorted(modules)


def requirements_of(package, seen=None):
    """Return the names of a package and of all packages that it needs."""
    seen = set() if seen is None else seen
    name = re.split(r"[ ;<>=!~\[(]", package)[0].lower().replace("_", "-")
    if name not in seen:
        seen.add(name)
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            return seen
        for need in needs:
            if "extra ==" not in need:
                requirements_of(need, seen)
    return seen


ONLY_SNAKEMAKE = """
import importlib, importlib.metadata, sys
allowed = set(sys.argv[1].split(","))
modules = sys.argv[2].split(",")
before = set(sys.modules)
for module in modules:
    importlib.import_module(module)
packages = importlib.metadata.packages_distributions()
new = {name.split(".")[0] for name in set(sys.modules) - before}
wrong = {
    name for name in new
    if name in packages and name != "skymill"
    and not any(dist.lower().replace("_", "-") in allowed for dist in packages[name])
}
sys.exit(f"not of Snakemake: {sorted(wrong)}" if wrong else 0)
"""


def test_what_the_snakefile_imports_needs_only_what_snakemake_needs():
    modules = imported_by_the_snakefile()
    assert "skymill.watch" in modules
    assert "skymill.engine.digests" in modules
    allowed = ",".join(requirements_of("snakemake"))
    done = subprocess.run(
        [sys.executable, "-c", ONLY_SNAKEMAKE, allowed, ",".join(modules)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow/scripts")},
    )
    assert done.returncode == 0, done.stderr


def test_conda_environments_neither_rerun_jobs_nor_fetch_raw_files_again(project, tmp_path):
    conda = stand_in_conda.install(tmp_path / "conda")
    project.variables["PATH"] = f"{conda}:{os.environ['PATH']}"
    project.variables[stand_in_conda.PACKAGES] = sysconfig.get_path("purelib")
    with_conda = ("stealth", "--software-deployment-method", "conda")
    project.run(*with_conda, "--cores", "1")
    files = [*project.path(".snakemake/conda").glob("*.yaml")]
    assert all(file.with_suffix("").joinpath("pyvenv.cfg").exists() for file in files)
    expected = [project.path(f"envs/{name}.yaml") for name in ("report", "retrieve", "stealth")]
    assert sorted(map(Path.read_bytes, files)) == sorted(map(Path.read_bytes, expected))
    assert project.stale("stealth") == set()
    for file in project.path("envs").glob("*.yaml"):
        file.write_text(file.read_text().replace("tqdm =4", "tqdm =5"))
    assert project.stale(*with_conda) == set()


def cores(done):
    """Return the number of cores in the output of a run."""
    return int(re.search(r"Provided cores: \D*(\d+)", said(done))[1])


def test_a_users_profile_says_how_many_cores(project):
    project.path("mine").mkdir()
    project.path("mine/config.yaml").write_text("cores: 1\n")
    done = project.run("--profile", "mine", "data/sample/raw/stealth/data.csv")
    assert cores(done) == 1


def test_without_a_setting_all_cores_are_used(project):
    done = project.run("data/sample/raw/stealth/data.csv")
    assert cores(done) == len(os.sched_getaffinity(0))


def test_jobs_on_the_command_line_are_cores_of_a_local_run(project):
    done = project.run("--jobs", "3", "data/sample/raw/stealth/data.csv")
    assert cores(done) == 3


ORDER = """
def check(wildcards, input, output):
    workflow.dag.forcefiles.update(output)
    return ""

rule all:
    input: "b.txt"
rule a:
    output: "a.txt"
    shell: "touch {output}"
rule b:
    input: "a.txt"
    output: "b.txt"
    params: check=check
    shell: "touch {output}"
"""


def test_snakemake_asks_for_parameters_before_it_judges_a_job(tmp_path):
    (tmp_path / "Snakefile").write_text(ORDER)
    environment = Project(tmp_path).environment()

    def snakemake(*arguments):
        return WARM.run(["--cores", "1", *arguments], tmp_path, environment)

    snakemake()
    for target in ([], ["b.txt"], ["--until", "b"]):
        done = snakemake("-n", *target)
        assert re.search(r"^b +1$", done.stdout, re.MULTILINE), said(done)
        assert not re.search(r"^a +1$", done.stdout, re.MULTILINE)
    # In the graph a job that need not run has a dashed border.
    graph = snakemake("--dag").stdout
    jobs = {rule: re.search(rf'.*label = "{rule}".*', graph)[0] for rule in "ab"}
    assert "dashed" in jobs["a"]
    assert "dashed" not in jobs["b"]
