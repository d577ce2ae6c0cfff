"""The lock of a killed run is taken away when nothing of that run lives, and only then."""

import socket
import subprocess
import sys

import psutil
import pytest

from skymill.errors import SkymillError
from skymill.leftovers import LOCKS, NOTE, note_run, release_dead_lock
from skymill.products import read_json, write_json


@pytest.fixture
def locked(tmp_path):
    """Return a folder that a run has locked: this process, as its note says."""
    (tmp_path / LOCKS).mkdir(parents=True)
    (tmp_path / LOCKS / "0.input.lock").write_text("data/a\n")
    note_run(tmp_path, local=True)
    return tmp_path


def kill_in_note(folder):
    """Make the note speak of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    created = psutil.Process(ended.pid).create_time()
    ended.wait()
    note = {"pid": ended.pid, "created": created, "host": socket.gethostname()}
    write_json(folder / NOTE, note)


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
    kill_in_note(locked)
    write_json(locked / NOTE, {**read_json(locked / NOTE), "host": "elsewhere"})
    assert not release_dead_lock(locked)
    assert locks(locked)


def test_a_lock_without_a_note_stays(locked):
    (locked / NOTE).unlink()
    assert not release_dead_lock(locked)
    assert locks(locked)


def test_a_cluster_run_leaves_no_note(locked):
    note_run(locked, local=False)
    assert not (locked / NOTE).exists()


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
