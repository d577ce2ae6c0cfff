"""A lock file for one run at a time in a folder, which is replaced after a killed run.

A run writes its process and its executor to the lock file `<folder>/.lock`. Another run that finds
the lock file stops, and names the run that works there. If neither the process nor any of its jobs
lives, the run was killed, and the next run replaces the lock file. Jobs are processes on this
machine, or are in SLURM's queue. Jobs on other clusters and processes on other hosts are unknown:
their lock file stays until the user deletes it. Jobs and dry runs write no lock file.

A lock file gets its name when its content is on the disk, except on disks without hard links. So an
empty lock file is of a run that begins just now on such a disk, or of a run that failed to write
it. If the file stays empty for some seconds, the next run replaces it.
"""

import atexit
import contextlib
import json
import os
import socket
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from skymill.engine.durable import flush, partial_path
from skymill.engine.errors import SkymillError
from skymill.engine.process_start import is_alive, process_start
from skymill.engine.products import parse_json
from skymill.engine.scratch import delete_scratch
from skymill.engine.slurm import queued_jobs
from skymill.engine.system_errors import ADVICE

LOCK = ".lock"

LOCAL, SLURM = "local", "slurm"
"""Snakemake's names of executors: jobs are processes of this machine, or jobs of SLURM."""

PATIENCE = 5.0
"""Seconds after which the run of an empty lock file counts as dead: to write it takes much less."""

_KEYS = {"pid", "host", "slurm_job", "executor", "folder", "started"}
"""What every lock file contains."""


class NotWritable(SkymillError):
    """A folder or file cannot be written: a full or read-only disk, or a missing permission.

    Attributes
    ----------
    place
        The folder, or a file.
    cause
        The system's error.
    """

    def __init__(self, place: str, cause: OSError):
        advice = ADVICE.get(cause.errno, "Look up the error, then run again.")
        super().__init__(f"{place} cannot be written: {cause.strerror or cause}. {advice}")
        self.place = place
        self.cause = cause


def require_folder(folder: Path | str) -> None:
    """Raise SkymillError if a file or a broken link is in the place of a folder or of its parents.

    The folder may be missing.
    """
    for path in (Path(folder), *Path(folder).parents):
        if path.is_symlink() and not path.exists():
            raise SkymillError(
                f"{path} is a link to {path.readlink()}, which does not exist. Mount the disk "
                "that the link leads to, or correct the link. Then run again."
            )
        if path.exists() and not path.is_dir():
            raise SkymillError(
                f"{path} is a file, but a folder is needed there. Move the file, or choose another "
                "results folder (`results`). Then run again."
            )


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
        self._taken: dict[Path, bytes] = {}

    def take(self, executor: str, scratch: Path | None = None) -> bool:
        """Write the lock files of this process; return whether an earlier run was killed.

        The lock files are deleted when the process ends, see keep. `executor` is Snakemake's name
        of the executor, `scratch` the folder of the run's temporary files. The scratch folder of a
        killed run is deleted. If one folder cannot be locked, none is locked.

        Raises
        ------
        NotWritable
            When a lock file cannot be written.
        SkymillError
            When another run or jobs of a killed run work in one of the folders, when jobs of a
            cancelled run are still on the cluster, or when a folder is a file or a broken link.
        """
        process = psutil.Process()
        own = {
            "pid": process.pid,
            "start": process_start(process.pid),
            # Only earlier versions read this time. It changes with the clock, see process_start.
            "created": process.create_time(),
            "host": socket.gethostname(),
            # A run that is itself a job of SLURM ends with this job, on any node.
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
            "executor": executor,
            "folder": str(self._root.resolve()),
            "scratch": str(scratch) if scratch else None,
            "started": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        }
        content = (json.dumps(own, indent=2, sort_keys=True) + "\n").encode()
        atexit.register(self.release)
        was_killed, made = False, []
        try:
            for path in self._files:
                if path in self._taken:
                    continue
                try:
                    _make_folder(path.parent, made)
                    was_killed |= _take(path, content)
                except OSError as error:
                    raise NotWritable(f"{path.parent}/", error) from None
                self._taken[path] = content
        except BaseException:
            self.release()
            for folder in reversed(made):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise
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
        for path, content in self._taken.items():
            # If the disk has failed, the file stays, and the next run replaces it.
            with contextlib.suppress(OSError):
                if path.read_bytes() == content:
                    path.unlink()
        self._taken.clear()


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make a folder and its parents, and add those that were missing to `made`."""
    require_folder(folder)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            made.append(path)


def _take(path: Path, content: bytes) -> bool:
    """Write a lock file; return whether it replaced the lock file of a killed run.

    The new file is on the disk before the old one is deleted. So if the disk is full, the next run
    still knows that a run was killed.

    Raises
    ------
    SkymillError
        When another run has the lock file.
    """
    was_killed = False
    while True:
        dead = _read_dead(path)
        temporary = partial_path(path)
        try:
            temporary.write_bytes(content)
            flush(temporary)
            if dead is not None:
                was_killed |= _remove(path, dead)
            if _name(temporary, path):
                return was_killed
        finally:
            temporary.unlink(missing_ok=True)


def _read_dead(path: Path) -> bytes | None:
    """Return the content of the lock file of a killed run, or None if there is no lock file.

    Raises
    ------
    SkymillError
        When the run is not known to be dead.
    """
    try:
        content = path.read_bytes()
        is_dead = _is_dead(path)
    except FileNotFoundError:
        return None
    except OSError:
        is_dead = False
    if not is_dead:
        raise SkymillError(_in_use(path))
    return content


def _remove(path: Path, content: bytes) -> bool:
    """Delete the lock file with this content and its scratch folder; return whether it was there.

    Several runs may find the lock file of the same killed run. Only one of them can rename it. If
    the renamed file has other content, it is of a faster run, and gets its name back.
    """
    claimed = partial_path(path)
    try:
        path.rename(claimed)
    except FileNotFoundError:
        return False
    is_this = claimed.read_bytes() == content
    if is_this:
        delete_scratch(_scratch(content))
    else:
        _name(claimed, path)
    claimed.unlink()
    return is_this


def _name(file: Path, path: Path) -> bool:
    """Give a file another name, unless this name exists; return whether the file has this name."""
    try:
        os.link(file, path)
        return True
    except FileExistsError:
        # A network disk may answer so to a repeated request, of which the first succeeded.
        with contextlib.suppress(FileNotFoundError):
            return file.samefile(path)
        return False
    except OSError:
        # The disk has no hard links. Another reason is raised by the next lines too.
        return _copy(file, path)


def _copy(file: Path, path: Path) -> bool:
    """Copy a file to a path that does not exist; return whether its content is there."""
    content = file.read_bytes()
    try:
        copy = open(path, "xb")  # noqa: SIM115 - closed below
    except FileExistsError:
        return False
    try:
        with copy:
            copy.write(content)
        flush(path)
        # If this took long, another run may have replaced the empty file.
        return path.read_bytes() == content
    except FileNotFoundError:
        return False
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _read(path: Path) -> dict:
    """Return the content of a lock file.

    Raises
    ------
    FileNotFoundError
        When there is no lock file.
    SkymillError
        When the lock file is damaged or cannot be read.
    """
    try:
        return _parse(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SkymillError(f"{path} cannot be read: {error.strerror}") from None


def _parse(content: bytes) -> dict:
    """Return the content of a lock file; see _read."""
    note = parse_json(content, LOCK)
    if _KEYS - {*note} or not isinstance(note["pid"], int):
        raise SkymillError(f"{LOCK} is not a lock file of a run.")
    return note


def _scratch(content: bytes) -> str | None:
    """Return the scratch folder that a lock file names, if this machine wrote the lock file."""
    try:
        note = _parse(content)
    except SkymillError:
        return None
    return note.get("scratch") if note["host"] == socket.gethostname() else None


def _who(path: Path) -> str:
    """Return a sentence that names the run of a lock file."""
    try:
        note = _read(path)
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
        note = _read(path)
    except (FileNotFoundError, SkymillError):
        return f"{_who(path)}. {advice}"
    if note["host"] == socket.gethostname() and _lives(note):
        return f"{_who(path)}. Wait until the run ends, or end it: `kill -INT {note['pid']}`."
    return f"{_who(path)}. Wait until the run ends. {advice}"


def _is_held(path: Path) -> bool:
    """Return whether there is a lock file whose run is not known to be dead, or whose jobs live."""
    try:
        return path.exists() and not _is_dead(path)
    except (OSError, SkymillError):
        return True


def _is_dead(path: Path) -> bool:
    """Return whether the run of a note, and all its jobs, are known to have ended.

    Raises
    ------
    SkymillError
        When the run has ended but some of its jobs live.
    """
    try:
        note = _read(path)
    except FileNotFoundError:
        return True
    except SkymillError:
        # The machine went down and damaged the lock file. A run from before the boot is dead.
        return path.stat().st_mtime < psutil.boot_time() or _stays_empty(path)
    return _has_ended(note) and _jobs_have_ended(note, Path(note["folder"]))


def _stays_empty(path: Path) -> bool:
    """Return whether a lock file is empty, and stays so for PATIENCE seconds.

    A run starts its first job after it has written its lock file. So a run with an empty file,
    which has failed on a full disk or was killed, has no jobs.
    """
    deadline = time.monotonic() + PATIENCE
    while path.is_file() and path.stat().st_size == 0:
        if time.monotonic() >= deadline:
            return True
        time.sleep(0.05)
    return False


def _has_ended(note: dict) -> bool:
    """Return whether a run is known to have ended."""
    if note["host"] == socket.gethostname():
        return _lives(note) is False
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


def _lives(note: dict) -> bool | None:
    """Return whether the process of a note of this machine lives, or None if this is unknown.

    Earlier versions wrote no start. If a process has the number in such a note, it may be the run
    or another process.
    """
    return is_alive(note["pid"], note.get("start"))


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
