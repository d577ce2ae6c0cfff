"""One run at a time in a folder; a killed run is no obstacle unless its jobs still run."""

import os
import subprocess
import sys

import psutil
import pytest
from records import SCRIPTS

from skymill.engine.errors import SkymillError
from skymill.engine.products import read_json, write_json
from skymill.engine.run_lock import LOCAL, LOCK, SLURM, RunLock


@pytest.fixture(autouse=True)
def exits(monkeypatch):
    """The functions that run when a process ends."""
    registered = []
    monkeypatch.setattr("atexit.register", registered.append)
    return registered


@pytest.fixture
def note(tmp_path):
    """The note of a run in a results folder: this process."""
    RunLock(["data"], tmp_path).take(LOCAL)
    return tmp_path / "data" / LOCK


def kill_in_note(note, **otherwise):
    """Change the note to a process that has ended, and to other values in `otherwise`."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    created = psutil.Process(ended.pid).create_time()
    ended.wait()
    write_json(note, {**read_json(note), "pid": ended.pid, "created": created, **otherwise})


def take(note):
    """Start another run; return whether an earlier one was killed."""
    return RunLock(["data"], note.parents[1]).take(LOCAL)


@pytest.mark.parametrize("name", ["skymill-abc", "mine"])
def test_the_temporary_files_of_a_killed_run_are_deleted(tmp_path, name):
    scratch = tmp_path / name
    (scratch / "pymp-x").mkdir(parents=True)
    RunLock(["data"], tmp_path).take(LOCAL, scratch)
    note = tmp_path / "data" / LOCK
    refused(note, "another run works")
    assert scratch.exists()
    kill_in_note(note)
    assert take(note)
    # Files that could belong to a user are kept.
    assert scratch.exists() == (name == "mine")


def test_the_temporary_files_of_another_machine_are_kept(tmp_path):
    scratch = tmp_path / "skymill-abc"
    scratch.mkdir()
    RunLock(["data"], tmp_path).take(LOCAL, scratch)
    note = tmp_path / "data" / LOCK
    kill_in_note(note, host="elsewhere", slurm_job="1")
    write_json(note, {**read_json(note), "slurm_job": None})
    refused(note, "on elsewhere")
    assert scratch.exists()


def refused(note, why):
    """Check that another run is refused and that the note is kept."""
    before = note.read_bytes()
    assert is_held(note)
    with pytest.raises(SkymillError, match=why):
        take(note)
    assert note.read_bytes() == before


def is_held(note):
    return RunLock(["data"], note.parents[1]).is_held()


def test_a_second_run_stops_with_the_name_of_the_first(note):
    told = read_json(note)
    folder = note.parents[1]
    refused(note, f"process {os.getpid()} on {told['host']}, started {told['started']} in {folder}")


def test_the_note_is_deleted_when_the_process_ends(note, exits):
    (at_exit,) = exits
    at_exit()
    assert not note.exists()
    assert list(note.parent.iterdir()) == []
    assert not is_held(note)
    assert not take(note)


def test_a_run_whose_jobs_may_still_run_keeps_its_note(tmp_path, exits):
    lock = RunLock(["data"], tmp_path)
    lock.take(SLURM)
    lock.keep()
    for at_exit in exits:
        at_exit()
    assert (tmp_path / "data" / LOCK).exists()


def test_a_run_may_lock_its_folders_twice(tmp_path):
    lock = RunLock(["data", "data/raw"], tmp_path)
    assert not lock.take(LOCAL)
    assert not lock.take(LOCAL)
    assert not lock.is_held()
    lock.release()
    assert list(tmp_path.rglob(LOCK)) == []


def test_runs_in_different_folders_do_not_block_each_other(note):
    assert not RunLock(["demo"], note.parents[1]).take(LOCAL)


def test_runs_that_share_one_folder_block_each_other(note):
    with pytest.raises(SkymillError, match="another run works in"):
        RunLock(["demo", "data"], note.parents[1]).take(LOCAL)


def test_another_checkout_with_the_same_folder_finds_the_note(note, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "data").symlink_to(note.parent)
    with pytest.raises(SkymillError, match=str(note.parents[1])):
        RunLock(["data"], other).take(LOCAL)


RACER = """
import sys
from pathlib import Path
from skymill.engine.errors import SkymillError
from skymill.engine.run_lock import RunLock
Path(sys.argv[1]).touch()
while not Path("go").exists():
    pass
try:
    RunLock(["data"], Path()).take("local")
    print("taken", flush=True)
    sys.stdin.read()
except SkymillError:
    print("refused", flush=True)
"""


def test_only_one_of_several_simultaneous_runs_gets_the_folder(tmp_path):
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(number)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(SCRIPTS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    while not all((tmp_path / str(number)).exists() for number in range(4)):
        assert all(run.poll() is None for run in runs)
    (tmp_path / "go").touch()
    said = sorted(run.stdout.readline().strip() for run in runs)
    for run in runs:
        run.communicate()
    assert said == ["refused", "refused", "refused", "taken"]
    assert not (tmp_path / "data" / LOCK).exists()


# --- Killed runs ---------------------------------------------------------------------------------


def test_the_note_of_a_dead_run_is_taken_over(note):
    kill_in_note(note)
    assert not is_held(note)
    assert note.exists()
    assert take(note)
    assert read_json(note)["pid"] == os.getpid()


def test_a_new_process_with_the_number_of_the_dead_one_does_not_count(note):
    write_json(note, {**read_json(note), "created": read_json(note)["created"] - 1000})
    assert take(note)


def test_the_note_of_another_host_is_kept(note):
    kill_in_note(note, host="elsewhere", slurm_job=None)
    refused(note, f"on elsewhere.*delete {note}")


RUN = "cebc9db5-2f3c-4e8a-9d5e-1b0c0a7a3f52"


@pytest.fixture
def queue(tmp_path_factory, monkeypatch):
    """Return a function that makes `squeue` answer with these lines: job|name|folder."""
    folder = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", str(folder))

    def answer(*lines):
        text = "".join(f"echo '{line}'\n" for line in lines)
        (folder / "squeue").write_text(f"#!/bin/sh\n{text}")
        (folder / "squeue").chmod(0o755)

    return answer


def test_the_note_of_a_dead_slurm_run_is_taken_over_if_none_of_its_jobs_is_queued(note, queue):
    queue(f"7|{RUN}|/elsewhere", f"8|notebook|{note.parents[1]}")
    kill_in_note(note, executor=SLURM)
    assert take(note)


@pytest.mark.parametrize("prefix", ["", "skymill_"])
def test_jobs_that_are_still_queued_are_named(note, queue, prefix):
    folder = note.parents[1]
    queue(f"7|{prefix}{RUN}|{folder}", f"9|{prefix}{RUN}|{folder}")
    kill_in_note(note, executor=SLURM)
    refused(note, "scancel 7 9")


def test_a_slurm_run_counts_as_alive_if_slurm_does_not_answer(note, queue):
    kill_in_note(note, executor=SLURM)
    refused(note, "another run works")


def test_a_run_on_another_cluster_counts_as_alive(note):
    kill_in_note(note, executor="cluster-generic")
    refused(note, "another run works")


def test_a_run_inside_a_job_on_another_node_ends_with_the_job(note, queue):
    kill_in_note(note, host="elsewhere", slurm_job="7")
    queue("7|wrap|/somewhere")
    refused(note, "another run works")
    queue("8|wrap|/somewhere")
    assert take(note)


def test_jobs_that_outlived_their_run_are_named(note):
    kill_in_note(note)
    script = note.parents[1] / ".snakemake" / "scripts" / "tmp.py"
    script.parent.mkdir(parents=True)
    script.write_text("import time\ntime.sleep(60)\n")
    job = subprocess.Popen([sys.executable, str(script)])
    try:
        refused(note, f"kill {job.pid}")
    finally:
        job.kill()
        job.wait()
    assert take(note)


@pytest.mark.parametrize("content", [b"", b"\0\0", b'{"pid": 12'])
def test_a_note_that_was_lost_with_the_machine_is_taken_over(note, content):
    note.write_bytes(content)
    before_start = psutil.boot_time() - 10
    os.utime(note, (before_start, before_start))
    assert not is_held(note)
    assert take(note)


def test_a_damaged_note_younger_than_the_start_of_the_machine_counts(note):
    note.write_bytes(b"")
    refused(note, f"delete {note}")
