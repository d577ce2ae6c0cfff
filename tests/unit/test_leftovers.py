"""The lock of a killed run is taken away when nothing of that run lives, and only then."""

import os
import subprocess
import sys

import psutil
import pytest

from skymill.engine.errors import SkymillError
from skymill.engine.products import read_json, write_json
from skymill.engine.stale_lock import (
    LOCAL,
    LOCKS,
    NOTE,
    SLURM,
    forget_run,
    is_held,
    note_run,
    release_dead_lock,
)


@pytest.fixture
def locked(tmp_path):
    """Return a folder that a run has locked: this process, as its note says."""
    (tmp_path / LOCKS).mkdir(parents=True)
    (tmp_path / LOCKS / "0.input.lock").write_text("data/a\n")
    note_run(tmp_path, executor=LOCAL)
    return tmp_path


def kill_in_note(folder, **otherwise):
    """Make the note speak of a process that has ended, and of other things `otherwise`."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    created = psutil.Process(ended.pid).create_time()
    ended.wait()
    note = {**read_json(folder / NOTE), "pid": ended.pid, "created": created}
    write_json(folder / NOTE, {**note, **otherwise})


def locks(folder):
    return list((folder / LOCKS).iterdir())


def test_the_lock_of_a_living_run_stays(locked):
    assert not release_dead_lock(locked)
    assert locks(locked)


def test_the_lock_of_a_dead_run_goes(locked):
    kill_in_note(locked)
    assert release_dead_lock(locked)
    assert not locks(locked)


def test_a_process_that_got_the_dead_ones_number_does_not_count(locked):
    note = read_json(locked / NOTE)
    write_json(locked / NOTE, {**note, "created": note["created"] - 1000})
    assert release_dead_lock(locked)


def test_the_lock_of_another_host_stays(locked):
    kill_in_note(locked, host="elsewhere", slurm_job=None)
    assert not release_dead_lock(locked)
    assert locks(locked)


def test_a_lock_without_a_note_stays(locked):
    (locked / NOTE).unlink()
    assert not release_dead_lock(locked)
    assert locks(locked)


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


def test_the_lock_of_a_dead_slurm_run_goes_when_no_job_of_it_is_queued(locked, queue):
    queue(f"7|{RUN}|/elsewhere", f"8|notebook|{locked}")
    kill_in_note(locked, executor=SLURM)
    assert release_dead_lock(locked)
    assert not locks(locked)


@pytest.mark.parametrize("prefix", ["", "skymill_"])
def test_jobs_that_are_still_queued_are_named(locked, queue, prefix):
    queue(f"7|{prefix}{RUN}|{locked}", f"9|{prefix}{RUN}|{locked}")
    kill_in_note(locked, executor=SLURM)
    with pytest.raises(SkymillError, match="scancel 7 9"):
        release_dead_lock(locked)
    assert locks(locked)


def test_jobs_of_a_cancelled_run_are_waited_for_though_it_holds_no_lock(locked, queue):
    for lock in locks(locked):
        lock.unlink()
    kill_in_note(locked, executor=SLURM)
    queue(f"7|{RUN}|{locked}")
    with pytest.raises(SkymillError, match="scancel 7"):
        release_dead_lock(locked)
    queue()
    assert not release_dead_lock(locked)


def test_the_lock_of_a_slurm_run_stays_where_slurm_does_not_answer(locked, queue):
    kill_in_note(locked, executor=SLURM)
    assert not release_dead_lock(locked)
    assert locks(locked)


def test_the_lock_of_another_cluster_stays(locked):
    kill_in_note(locked, executor="cluster-generic")
    assert not release_dead_lock(locked)
    assert locks(locked)


def test_a_run_inside_a_job_on_another_node_ends_with_the_job(locked, queue):
    kill_in_note(locked, host="elsewhere", slurm_job="7")
    queue("7|wrap|/somewhere")
    assert not release_dead_lock(locked)
    queue("8|wrap|/somewhere")
    assert release_dead_lock(locked)


def test_jobs_that_outlived_their_run_are_named(locked):
    kill_in_note(locked)
    script = locked / ".snakemake" / "scripts" / "tmp.py"
    script.parent.mkdir()
    script.write_text("import time\ntime.sleep(60)\n")
    job = subprocess.Popen([sys.executable, str(script)])
    try:
        with pytest.raises(SkymillError, match=f"kill {job.pid}"):
            release_dead_lock(locked)
        assert locks(locked)
    finally:
        job.kill()
        job.wait()
    assert release_dead_lock(locked)


def test_a_lock_younger_than_the_note_is_left_to_its_run(locked):
    kill_in_note(locked)
    (locked / LOCKS / "1.output.lock").write_text("data/b\n")
    assert not release_dead_lock(locked)
    assert len(locks(locked)) == 2


# --- Whether a run holds the lock ----------------------------------------------------------------


def test_a_living_run_holds_its_lock(locked):
    assert is_held(locked)


def test_without_a_lock_nobody_holds_it(locked):
    for lock in locks(locked):
        lock.unlink()
    assert not is_held(locked)


def test_a_folder_that_no_run_has_seen_is_held_by_nobody(tmp_path):
    assert not is_held(tmp_path)
    assert not release_dead_lock(tmp_path)


def test_a_run_that_is_known_to_be_dead_holds_nothing_and_its_lock_stays_there(locked):
    kill_in_note(locked)
    assert not is_held(locked)
    assert locks(locked)


@pytest.mark.parametrize(
    "otherwise", [{"host": "elsewhere", "slurm_job": None}, {"executor": "cluster-generic"}]
)
def test_a_run_of_which_nothing_is_known_holds_its_lock(locked, otherwise):
    kill_in_note(locked, **otherwise)
    assert is_held(locked)


def test_a_lock_without_a_note_is_held(locked):
    (locked / NOTE).unlink()
    assert is_held(locked)


def test_a_lock_younger_than_the_note_is_held(locked):
    kill_in_note(locked)
    (locked / LOCKS / "1.output.lock").write_text("data/b\n")
    assert is_held(locked)


def test_a_dead_run_whose_jobs_live_holds_its_lock(locked, queue):
    queue(f"7|{RUN}|{locked}")
    kill_in_note(locked, executor=SLURM)
    assert is_held(locked)


def test_a_run_that_ended_by_itself_is_forgotten(locked):
    forget_run(locked)
    assert not (locked / NOTE).exists()
    forget_run(locked)


@pytest.mark.parametrize("content", [b"", b"\0\0", b'{"pid": 12'])
def test_the_lock_of_a_run_whose_note_was_lost_with_the_machine_goes(locked, content):
    (locked / NOTE).write_bytes(content)
    before_start = psutil.boot_time() - 10
    for lock in locks(locked):
        os.utime(lock, (before_start, before_start))
    assert not is_held(locked)
    assert release_dead_lock(locked)
    assert not locks(locked)


def test_a_damaged_note_says_nothing_of_a_lock_since_the_machine_started(locked):
    (locked / NOTE).write_bytes(b"")
    assert is_held(locked)
    assert not release_dead_lock(locked)
    assert locks(locked)
