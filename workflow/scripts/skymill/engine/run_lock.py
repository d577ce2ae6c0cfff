"""A lock file for one run at a time in a folder, which is replaced after a killed run.

A run writes its process and its executor to the lock file `<folder>/.lock`. Another run that finds
the lock file stops, and names the run that works there. If neither the process nor any of its jobs
lives, the run was killed, and the next run replaces the lock file. Jobs are processes on this
machine, or are in SLURM's queue. Jobs on other clusters and processes on other hosts are unknown:
their lock file stays until the user deletes it. Jobs and dry runs write no lock file.
"""

import atexit
import json
import os
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from skymill.engine.durable import flush
from skymill.engine.errors import SkymillError
from skymill.engine.products import read_json
from skymill.engine.scratch import delete_scratch
from skymill.engine.slurm import queued_jobs

LOCK = ".lock"

LOCAL, SLURM = "local", "slurm"
"""Snakemake's names of executors: jobs are processes of this machine, or jobs of SLURM."""


class RunLock:
    """The lock files of a run in the folders that it writes to.

    Parameters
    ----------
    folders
        The folders.
    root
        The folder that Snakemake runs in.
    """

    def __init__(self, folders: Iterable[str | Path], root: Path):
        self._files = [Path(root, folder, LOCK) for folder in folders]
        self._root = Path(root)
        self._taken: list[Path] = []

    def take(self, executor: str, scratch: Path | None = None) -> bool:
        """Write the lock files of this process; return whether an earlier run was killed.

        The lock files are deleted when the process ends, see keep. `executor` is Snakemake's name
        of the executor, `scratch` the folder of the run's temporary files. The scratch folder of a
        killed run is deleted.

        Raises
        ------
        SkymillError
            When another run or jobs of a killed run work in one of the folders, or when jobs of a
            cancelled run are still on the cluster.
        """
        process = psutil.Process()
        own = {
            "pid": process.pid,
            "created": process.create_time(),
            "host": socket.gethostname(),
            # A run that is itself a job of SLURM ends with this job, on any node.
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
            "executor": executor,
            "folder": str(self._root.resolve()),
            "scratch": str(scratch) if scratch else None,
            "started": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        }
        was_killed = False
        for path in self._files:
            if path in self._taken:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            while not _write(path, own):
                if not _is_dead(path):
                    raise SkymillError(_in_use(path))
                delete_scratch(_scratch(path))
                path.unlink(missing_ok=True)
                was_killed = True
            self._taken.append(path)
        atexit.register(self.release)
        return was_killed

    def is_held(self) -> bool:
        """Return whether another run works in one of the folders and is not known to be dead."""
        return self.holder() is not None

    def holder(self) -> str | None:
        """Return a sentence that names the other run, or None if there is no run; see is_held."""
        held = (path for path in self._files if path not in self._taken and _is_held(path))
        return next(map(_who, held), None)

    def require_free(self) -> None:
        """Raise SkymillError that names the other run, if `is_held`."""
        for path in self._files:
            if path not in self._taken and _is_held(path):
                raise SkymillError(_in_use(path))

    def keep(self) -> None:
        """Keep the lock files when this process ends, because its jobs may live on."""
        self._taken.clear()

    def release(self) -> None:
        """Delete the lock files of this process."""
        for path in self._taken:
            path.unlink(missing_ok=True)
        self._taken.clear()


def _write(path: Path, note: dict) -> bool:
    """Write a lock file unless it exists; return whether it was written."""
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(json.dumps(note, indent=2, sort_keys=True) + "\n")
        flush(path)
    except FileExistsError:
        return False
    return True


def _scratch(path: Path) -> str | None:
    """Return the scratch folder that a lock file names, if this machine wrote the lock file."""
    try:
        note = read_json(path)
    except (FileNotFoundError, SkymillError):
        return None
    return note.get("scratch") if note["host"] == socket.gethostname() else None


def _who(path: Path) -> str:
    """Return a sentence that names the run of a lock file."""
    try:
        note = read_json(path)
    except (FileNotFoundError, SkymillError):
        return f"another run works in {path.parent}/, but its lock file cannot be read"
    return (
        f"another run works in {path.parent}/: process {note['pid']} on {note['host']}, started "
        f"{note['started']} in {note['folder']}"
    )


def _in_use(path: Path) -> str:
    """Return a message that names the run of a note, and says what to do."""
    advice = f"If this run no longer exists, delete {path} and run again."
    try:
        note = read_json(path)
    except (FileNotFoundError, SkymillError):
        return f"{_who(path)}. {advice}"
    if note["host"] == socket.gethostname() and _lives(note["pid"], note["created"]):
        return f"{_who(path)}. Wait until the run ends, or end it: `kill -INT {note['pid']}`."
    return f"{_who(path)}. Wait until the run ends. {advice}"


def _is_held(path: Path) -> bool:
    """Return whether there is a lock file whose run is not known to be dead, or whose jobs live."""
    try:
        return path.exists() and not _is_dead(path)
    except SkymillError:
        return True


def _is_dead(path: Path) -> bool:
    """Return whether the run of a note, and all its jobs, are known to have ended.

    Raises
    ------
    SkymillError
        When the run has ended but some of its jobs live.
    """
    try:
        note = read_json(path)
    except FileNotFoundError:
        return True
    except SkymillError:
        # The machine went down and damaged the lock file. A run from before the boot is dead.
        return path.stat().st_mtime < psutil.boot_time()
    return _has_ended(note) and _jobs_have_ended(note, Path(note["folder"]))


def _has_ended(note: dict) -> bool:
    """Return whether a run is known to have ended."""
    if note["host"] == socket.gethostname():
        return not _lives(note["pid"], note["created"])
    jobs = queued_jobs() if note["slurm_job"] else None
    return jobs is not None and all(job.number != int(note["slurm_job"]) for job in jobs)


def _jobs_have_ended(note: dict, root: Path) -> bool:
    """Return whether the jobs of an ended run are known to have ended as well.

    Raises
    ------
    SkymillError
        When some jobs are known to live.
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
                f"SLURM's queue ({', '.join(live)}). Wait until the jobs end, or run `scancel "
                f"{' '.join(live)}`. Then run again."
            )
    elif note["executor"] != LOCAL:
        return False
    live = [str(pid) for pid in _jobs_of(root)]
    if live:
        raise SkymillError(
            "an earlier Snakemake was killed here, but its jobs are still running (processes "
            f"{', '.join(live)}). Wait until the jobs end, or run `kill {' '.join(live)}`. Then "
            "run again."
        )
    return True


def _lives(pid: int, created: float) -> bool:
    try:
        return psutil.Process(pid).create_time() == created
    except psutil.NoSuchProcess:
        return False


def _jobs_of(root: Path) -> list[int]:
    """Return the processes that run a job in `root`, without this process and its ancestors.

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
