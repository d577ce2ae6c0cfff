"""One run at a time in a folder; a killed run is no obstacle unless its jobs still run."""

import errno
import os
import subprocess
import sys

import psutil
import pytest
from records import SCRIPTS

from skymill.engine import run_lock
from skymill.engine.errors import SkymillError
from skymill.engine.process_start import process_start
from skymill.engine.products import read_json, write_json
from skymill.engine.run_lock import LOCAL, LOCK, SLURM, NotWritable, RunLock


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
    start = process_start(ended.pid)
    ended.wait()
    write_json(note, {**read_json(note), "pid": ended.pid, "start": start, **otherwise})


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
    start = read_json(note)["start"]
    # With another time after the boot, or of another boot.
    for other in (f"{start[:-1]}x", f"x{start[1:]}"):
        write_json(note, {**read_json(note), "start": other})
        assert take(note)


def test_a_changed_clock_makes_no_live_run_dead(note, monkeypatch):
    # On Linux, psutil adds the time after the boot to the time of the boot, which then is another.
    boot_time = psutil.boot_time()
    for module in (psutil, psutil._psplatform):
        monkeypatch.setattr(module, "boot_time", lambda: boot_time - 37.5)
    refused(note, f"kill -INT {os.getpid()}")


def test_a_run_that_waits_for_its_parent_is_dead(note):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    start = process_start(ended.pid)
    while psutil.Process(ended.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    write_json(note, {**read_json(note), "pid": ended.pid, "start": start})
    assert take(note)
    ended.wait()


def without_start(note, **otherwise):
    """Change the note to one of an earlier version."""
    told = {**read_json(note), **otherwise}
    del told["start"]
    write_json(note, told)


def test_an_earlier_versions_note_counts_while_a_process_has_its_number(note):
    without_start(note, created=1.5)
    refused(note, f"Wait until the run ends. If this run no longer exists, delete {note}")


def test_an_earlier_versions_note_is_taken_over_if_no_process_has_its_number(note):
    kill_in_note(note)
    without_start(note)
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


@pytest.mark.parametrize("content", [b'{"pid": 12', b"{}", b"\0"])
def test_a_damaged_note_younger_than_the_start_of_the_machine_counts(note, content):
    note.write_bytes(content)
    refused(note, f"delete {note}")


def test_a_note_that_stays_empty_is_taken_over(note, monkeypatch):
    monkeypatch.setattr(run_lock, "PATIENCE", 0.1)
    note.write_bytes(b"")
    assert not is_held(note)
    assert take(note)
    assert read_json(note)["pid"] == os.getpid()


def test_a_note_that_is_being_written_counts(note, monkeypatch):
    content = note.read_bytes()
    note.write_bytes(b"")
    monkeypatch.setattr(run_lock.time, "sleep", lambda _: note.write_bytes(content))
    with pytest.raises(SkymillError, match="another run works"):
        take(note)
    assert note.read_bytes() == content


# --- Folders that cannot be written --------------------------------------------------------------


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_named_and_nothing_stays_there(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "flush", full_disk)
    with pytest.raises(NotWritable, match=r"runs/a/ cannot be written: No space left .* Free"):
        RunLock(["runs/a"], tmp_path).take(LOCAL)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_without_hard_links_gets_no_empty_note(tmp_path, monkeypatch, no_links):
    (tmp_path / "data").mkdir()
    flushed = iter([lambda _: None, full_disk])
    monkeypatch.setattr(run_lock, "flush", lambda path: next(flushed)(path))
    with pytest.raises(NotWritable):
        RunLock(["data"], tmp_path).take(LOCAL)
    assert list((tmp_path / "data").iterdir()) == []


def test_on_a_full_disk_the_note_of_a_killed_run_stays(note, monkeypatch):
    kill_in_note(note)
    before = note.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(run_lock, "flush", full_disk)
        with pytest.raises(NotWritable):
            take(note)
    assert note.read_bytes() == before
    assert list(note.parent.iterdir()) == [note]
    assert take(note)


def test_if_one_folder_is_in_use_no_other_folder_is_locked(note):
    with pytest.raises(SkymillError, match="another run works in"):
        RunLock(["runs/demo", "data"], note.parents[1]).take(LOCAL)
    assert list(note.parents[1].iterdir()) == [note.parent]


@pytest.fixture
def no_links(monkeypatch):
    """A disk without hard links, such as exFAT."""

    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)


def test_a_disk_without_hard_links_is_locked_too(no_links, tmp_path):
    assert not RunLock(["data"], tmp_path).take(LOCAL)
    note = tmp_path / "data" / LOCK
    refused(note, "another run works")
    kill_in_note(note)
    assert take(note)
    assert list(note.parent.iterdir()) == [note]


def test_a_broken_link_a_file_or_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "link").symlink_to("/nowhere/disk")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "odd" / LOCK).mkdir(parents=True)
    for name, said in {
        "link": "link is a link to /nowhere/disk, which does not exist. Mount",
        "file": "file is a file, but a folder is needed",
        "file/below": "file is a file, but a folder is needed",
        "odd": r"delete .*odd/\.lock and run again",
    }.items():
        with pytest.raises(SkymillError, match=said):
            RunLock([name], tmp_path).take(LOCAL)


def test_a_run_that_found_the_note_of_a_killed_run_too_late_keeps_that_of_the_faster_run(note):
    kill_in_note(note)
    dead = note.read_bytes()
    assert take(note)
    live = note.read_bytes()
    assert not run_lock._remove(note, dead)
    assert note.read_bytes() == live
    assert list(note.parent.iterdir()) == [note]


def test_a_run_deletes_only_its_own_note(note, exits):
    other = note.read_bytes() + b" "
    note.write_bytes(other)
    for at_exit in exits:
        at_exit()
    assert note.read_bytes() == other
