"""What a killed Snakemake leaves behind: a lock, and jobs that go on without it.

A run notes which process it is, and who runs its jobs. The next run that finds the note looks
whether that process or any of its jobs still lives: jobs are processes here, or stand in SLURM's
queue. If nothing does, nobody holds the lock and it is taken away. Of other clusters' jobs nothing
is known: their lock stays.
"""

import os
import socket
from pathlib import Path

import psutil

from skymill.engine.errors import SkymillError
from skymill.engine.products import read_json, write_json
from skymill.engine.slurm import queued_jobs

NOTE = Path(".snakemake/skymill_run.json")
LOCKS = Path(".snakemake/locks")

LOCAL, SLURM = "local", "slurm"
"""Snakemake's names for who runs the jobs: processes of this machine, or SLURM."""


def note_run(root: Path, *, executor: str) -> None:
    """Note which process runs the workflow in `root`, and who runs its jobs (Snakemake's name)."""
    process = psutil.Process()
    note = {
        "pid": process.pid,
        "created": process.create_time(),
        "host": socket.gethostname(),
        # A run that is itself a job of SLURM ends with it, on whatever node.
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "executor": executor,
    }
    write_json(root / NOTE, note)


def forget_run(root: Path) -> None:
    """Take away the note of a run that has ended by itself, and all its jobs before it."""
    (root / NOTE).unlink(missing_ok=True)


def is_held(root: Path) -> bool:
    """Return whether a run that is not known to be dead holds the lock of `root`."""
    locks = list((root / LOCKS).glob("*.lock"))
    if not locks:
        return False
    try:
        return not _is_dead(root, locks)
    except SkymillError:
        return True


def release_dead_lock(root: Path) -> bool:
    """Take away the lock of a run that was killed; return whether there was one.

    Raises
    ------
    SkymillError
        When jobs of the killed run are still at work, or those of a cancelled one are not yet off
        the cluster.
    """
    locks = list((root / LOCKS).glob("*.lock"))
    # Without a lock as well: jobs of a cancelled run may still be on their way off a cluster.
    if not _is_dead(root, locks):
        return False
    for lock in locks:
        lock.unlink(missing_ok=True)
    return bool(locks)


def _is_dead(root: Path, locks: list[Path]) -> bool:
    """Return whether the run that took these locks is known to have ended, and all its jobs.

    Raises
    ------
    SkymillError
        When the run has ended but some of its jobs live.
    """
    try:
        note = read_json(root / NOTE)
        noted = (root / NOTE).stat().st_mtime
    except FileNotFoundError:
        return False
    except SkymillError:
        # The note was lost with the machine: no process is older than its start.
        return all(lock.stat().st_mtime < psutil.boot_time() for lock in locks)
    # A run notes itself once it has the lock: a lock younger than the note is another run's.
    if any(lock.stat().st_mtime > noted for lock in locks):
        return False
    return _has_ended(note) and _jobs_have_ended(note, root)


def _has_ended(note: dict) -> bool:
    """Return whether a run is known to have ended."""
    if note["host"] == socket.gethostname():
        return not _lives(note["pid"], note["created"])
    jobs = queued_jobs() if note["slurm_job"] else None
    return jobs is not None and all(job.number != int(note["slurm_job"]) for job in jobs)


def _jobs_have_ended(note: dict, root: Path) -> bool:
    """Return whether the jobs of a run that has ended are known to have ended as well.

    Raises
    ------
    SkymillError
        When some are known to live.
    """
    if note["executor"] == SLURM:
        jobs = queued_jobs()
        if jobs is None:
            return False
        live = [
            str(job.number)
            for job in jobs
            if job.is_of_snakemake and job.folder.resolve() == root.resolve()
        ]
        if live:
            raise SkymillError(
                "an earlier Snakemake was killed or cancelled here, but its jobs are still in "
                f"SLURM's queue ({', '.join(live)}). Wait until they end, or type `scancel "
                f"{' '.join(live)}`, then run again."
            )
    elif note["executor"] != LOCAL:
        return False
    live = [str(pid) for pid in _jobs_of(root)]
    if live:
        raise SkymillError(
            "an earlier Snakemake was killed here, but its jobs are still at work (processes "
            f"{', '.join(live)}). Wait until they end, or type `kill {' '.join(live)}`, then run "
            "again."
        )
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
