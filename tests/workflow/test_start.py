"""Trouble at the start of a run: a message alone, and nothing that blocks the next run."""

import errno
import json
import os
import subprocess
import sys

import pytest

from projects import Project, said
from skymill.engine.process_start import process_start

STEALTH = "branches: [stealth]\nsource: sample"
RUN_LOCK = "workflow/scripts/skymill/engine/run_lock.py"
LAST = "data/processed/report.html"


@pytest.fixture
def stealth(project) -> Project:
    """A project with one small branch."""
    project.set(STEALTH)
    return project


@pytest.fixture
def made(made_once, tmp_path) -> Project:
    """A finished project with one small branch."""
    return made_once("stealth", STEALTH).copy(tmp_path / "project")


def break_disk(project, number):
    """Make the project's disk answer with an error when a lock file is written."""
    module = project.path(RUN_LOCK)
    error = f"raise OSError({number}, os.strerror({number}))"
    module.write_text(f"{module.read_text()}\n\ndef flush(path):\n    {error}\n")


def stopped(done, message):
    """Check that a command says a message alone, and exits with 1."""
    text = said(done)
    assert done.returncode == 1, text
    assert message in text
    for word in ("Traceback", "Exception", "Error", "Snakefile", "rules/"):
        assert word not in text
    return True


def test_a_full_disk_is_named_and_blocks_no_later_run(stealth):
    before = stealth.path(RUN_LOCK).read_text()
    break_disk(stealth, errno.ENOSPC)
    done = stealth.run("--cores", "1", succeeds=False)
    assert stopped(done, "data/ cannot be written: No space left on device. The disk is full.")
    assert not stealth.path("data").exists()
    assert "convert_stealth" in stealth.stale()
    stealth.path(RUN_LOCK).write_text(before)
    stealth.run("--cores", "1", "data/sample/raw/stealth/data.csv")


def test_on_a_read_only_disk_a_run_without_jobs_succeeds_and_any_other_is_refused(made):
    break_disk(made, errno.EROFS)
    done = made.run("--cores", "1")
    assert "data/ cannot be written (Read-only file system)" in said(done)
    assert "Nothing to be done" in said(done)
    assert made.stale() == set()
    made.path(LAST).unlink()
    assert made.run("-n").returncode == 0
    for more in ([], ["--no-hooks"]):
        done = made.run("--cores", "1", *more, succeeds=False)
        assert stopped(done, "data/ cannot be written: Read-only file system. ")
    assert not made.path(LAST).exists()
    assert not made.path("data/.lock").exists()


@pytest.mark.parametrize("command", [["--cores", "1"], ["-n"]], ids=["run", "dry run"])
def test_a_file_or_a_broken_link_in_place_of_the_results_folder_is_named(stealth, command):
    stealth.path("data").symlink_to("/nowhere/disk")
    done = stealth.run(*command, succeeds=False)
    assert stopped(done, "data is a link to /nowhere/disk, which does not exist. Mount the disk")
    stealth.path("trial").write_text("mine")
    for name in ("trial", "trial/one"):
        done = stealth.run(*command, "--config", f"results={name}", succeeds=False)
        assert stopped(done, "trial is a file, but a folder is needed there.")
    assert stealth.path("trial").read_text() == "mine"


def test_a_folder_in_place_of_the_list_of_products_is_named(stealth):
    stealth.path("data/products.json").mkdir(parents=True)
    done = stealth.run("--cores", "1", succeeds=False)
    assert stopped(done, "data/products.json cannot be written: Is a directory. ")
    assert [path.name for path in stealth.path("data").iterdir()] == ["products.json"]
    stealth.run("-n")


def test_a_missing_folder_for_temporary_files_is_named(stealth):
    module = stealth.path("workflow/scripts/skymill/engine/scratch.py")
    fail = "raise FileNotFoundError(2, 'No usable temporary directory found')"
    module.write_text(module.read_text().replace("folder = Path(tempfile.mkdtemp", f"{fail}#"))
    done = stealth.run("--cores", "1", succeeds=False)
    assert stopped(done, "no place for temporary files: No usable temporary directory found. Free")
    assert not stealth.path("data").exists()


@pytest.fixture
def other_run(made):
    """A process that holds the results folder of a finished project."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    note = {
        "pid": process.pid,
        "start": process_start(process.pid),
        "host": os.uname().nodename,
        "slurm_job": None,
        "executor": "local",
        "folder": str(made.folder),
        "scratch": None,
        "started": "2026-11-21 10:00 UTC",
    }
    made.path("data/.lock").write_text(json.dumps(note))
    yield process
    process.communicate()


@pytest.mark.parametrize("command", ["--delete-all-output", "--delete-temp-output", "--touch"])
def test_a_command_that_changes_files_is_refused_during_a_run(made, other_run, command):
    before = made.products()
    done = made.run("--cores", "1", command, succeeds=False)
    assert stopped(done, f"process {other_run.pid} on ")
    assert made.products() == before
    if command != "--touch":
        made.run("--cores", "1", command, "--dryrun")
        assert made.products() == before


def test_outputs_are_deleted_and_touched_without_another_run(made):
    made.run("--cores", "1", "--touch")
    assert made.stale() == set()
    made.run("--cores", "1", "--delete-all-output")
    assert not made.path(LAST).exists()
    assert not made.path("data/.lock").exists()
