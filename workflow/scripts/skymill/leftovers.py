"""What a killed Snakemake leaves behind: a lock, and jobs that go on without it.

A run notes which process it is. The next run that finds a lock looks whether that process still
lives; if not, and none of its jobs does, nobody holds the lock and it is taken away.
"""

import os
import socket
from pathlib import Path

import psutil

from skymill.errors import SkymillError
from skymill.products import read_json, write_json

NOTE = Path(".snakemake/skymill_run.json")
LOCKS = Path(".snakemake/locks")


def note_run(root: Path, *, local: bool) -> None:
    """Note which process runs the workflow in `root`.

    Jobs of a cluster outlive a killed Snakemake where it cannot see them, so such a run (not
    `local`) leaves no note, and its lock stays.
    """
    if local:
        process = psutil.Process()
        note = {"pid": process.pid, "created": process.create_time(), "host": socket.gethostname()}
        write_json(root / NOTE, note)
    else:
        (root / NOTE).unlink(missing_ok=True)


def forget_run(root: Path) -> None:
    """Take away the note of a run that has ended by itself."""
    (root / NOTE).unlink(missing_ok=True)


def is_locked(root: Path) -> bool:
    """Return whether a run holds the lock of `root`."""
    return any((root / LOCKS).glob("*.lock"))


def release_dead_lock(root: Path) -> bool:
    """Take away the lock of a run that was killed; return whether there was one.

    Raises
    ------
    SkymillError
        When jobs of the killed run are still at work.
    """
    if not is_locked(root) or not (root / NOTE).exists():
        return False
    note = read_json(root / NOTE)
    # A run notes itself once it has the lock: a lock younger than the note is another run's.
    noted = (root / NOTE).stat().st_mtime_ns
    if any(lock.stat().st_mtime_ns > noted for lock in (root / LOCKS).glob("*.lock")):
        return False
    if note["host"] != socket.gethostname() or _lives(note["pid"], note["created"]):
        return False
    jobs = _jobs_of(root)
    if jobs:
        raise SkymillError(
            "an earlier Snakemake was killed here, but its jobs are still at work (processes "
            f"{', '.join(map(str, jobs))}). Wait until they end, or type `kill "
            f"{' '.join(map(str, jobs))}`, then run again."
        )
    for lock in (root / LOCKS).glob("*.lock"):
        lock.unlink(missing_ok=True)
    return True


def _lives(pid: int, created: float) -> bool:
    try:
        return psutil.Process(pid).create_time() == created
    except psutil.NoSuchProcess:
        return False


def _jobs_of(root: Path) -> list[int]:
    """Return the processes, other than this one and its ancestors, that run a job in `root`.

    A job is a Snakemake with `--mode subprocess` that starts a script under .snakemake/scripts.
    """
    scripts = str(root / ".snakemake" / "scripts") + os.sep
    own = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            script = any(scripts in part for part in line)
            wrapper = "--mode" in line and "subprocess" in line and process.cwd() == str(root)
            if process.pid not in own and (script or wrapper):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
