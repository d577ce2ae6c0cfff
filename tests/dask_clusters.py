"""A Dask cluster on loopback: a scheduler and workers in processes of their own, and their work."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import skymill
from skymill.engine.errors import SkymillError

TESTS = Path(__file__).resolve().parent
SCRIPTS = Path(skymill.__file__).resolve().parents[1]
"""Where this process has the package from."""
DEADLINE = 60


class LoopbackCluster:
    """A scheduler and its workers, which stand in a folder of their own.

    `pythonpath` is where they import from before anything else; `variables` are for the scheduler.
    """

    def __init__(self, folder: Path, *, pythonpath: tuple[Path, ...] = (), **variables: str):
        self.folder = folder
        self.workers: list[subprocess.Popen] = []
        self._pythonpath = pythonpath
        folder.mkdir(parents=True)
        note = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler",
            *("scheduler", "--port", "0", "--scheduler-file", str(note)),
            # Should the tests be killed.
            *("--idle-timeout", "600 s"),
            variables=variables,
        )
        self._until(lambda: _address(note), "scheduler")
        self.address = _address(note)

    def add_worker(
        self,
        *,
        pythonpath: tuple[Path, ...] = (),
        prefix: tuple[str, ...] = (),
    ) -> subprocess.Popen:
        """Start one more worker with one thread, and wait until it is there.

        No nanny looks after it, so a killed one stays away. `prefix` is a command that runs it.
        """
        name = f"worker-{len(self.workers)}"
        arguments = ["worker", self.address, "--nthreads", "1", "--no-nanny", "--name", name]
        arguments += ["--local-directory", str(self.folder)]
        worker = self._start(name, *arguments, pythonpath=pythonpath, prefix=prefix)
        self.workers.append(worker)
        self._until(lambda: "Registered to:" in self.log(name), name)
        return worker

    def log(self, name: str) -> str:
        """Return what the scheduler or a worker has written."""
        return (self.folder / f"{name}.log").read_text()

    def close(self) -> None:
        """End all processes."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def __enter__(self) -> "LoopbackCluster":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _start(
        self,
        name: str,
        *arguments: str,
        variables: dict[str, str] | None = None,
        pythonpath: tuple[Path, ...] = (),
        prefix: tuple[str, ...] = (),
    ) -> subprocess.Popen:
        path = (*pythonpath, *self._pythonpath, SCRIPTS, TESTS)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
        environment.pop("DASK_SCHEDULER_ADDRESS", None)
        # How long results are looked for at a worker that was killed; 30 s by default.
        environment["DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT"] = "3 s"
        command = [*prefix, sys.executable, "-m", "dask", *arguments]
        with open(self.folder / f"{name}.log", "w") as log:
            return subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--no-dashboard"],
                cwd=self.folder,
                env={**environment, **(variables or {})},
                stdout=log,
                stderr=log,
            )

    def _until(self, condition: Callable, name: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.05)


def _address(note: Path) -> str | None:
    """Return the address that a scheduler has noted, once it has."""
    try:
        return json.loads(note.read_text())["address"]
    except (FileNotFoundError, json.JSONDecodeError):
        return None


# What follows is imported by workers.


def note(item: int) -> int:
    """Write down in the current directory who did this item, and return it doubled."""
    with open("done.txt", "a") as stream:
        stream.write(f"{item} {os.getpid()}\n")
    return 2 * item


def note_or_hang(item: int) -> int:
    """Do the same, but hang at the first item 5 after telling who hangs there."""
    result = note(item)
    if item == 5 and not Path("hanging.txt").exists():
        Path("unborn.txt").write_text(str(os.getpid()))
        Path("unborn.txt").replace("hanging.txt")
        _wait_for_the_end()
    return result


def hang(item: int) -> int:
    """Tell who hangs, and hang."""
    Path(f"unborn-{item}.txt").write_text(str(os.getpid()))
    Path(f"unborn-{item}.txt").replace("hanging.txt")
    _wait_for_the_end()
    return item


def _wait_for_the_end() -> None:
    """Wait until the worker is killed, or the tests that started it are."""
    tests = os.getppid()
    while os.getppid() == tests:
        time.sleep(0.1)


def die(item: int) -> None:
    """Kill the worker."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(item: int) -> None:
    """Raise the error that is meant for users."""
    raise SkymillError(f"item {item} is bad. Leave it out.")


def nap(item: int) -> int:
    """Take a little while."""
    time.sleep(0.01)
    return item
