"""A Dask cluster on loopback, with scheduler and workers in separate processes, and their tasks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from distributed import Client

import skymill
from skymill.engine.errors import SkymillError

TESTS = Path(__file__).resolve().parent
SCRIPTS = Path(skymill.__file__).resolve().parents[1]
"""The folder from which this process imports the package."""
DEADLINE = 60


class LoopbackCluster:
    """A scheduler and its workers, in a separate folder.

    They import from `pythonpath` first; `variables` are environment variables of the scheduler.
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
            # ends the scheduler if the tests are killed
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
        """Start one more worker with one thread, and wait until it is registered.

        The worker has no nanny, so no killed worker restarts. `prefix` is a command that runs it.
        """
        name = f"worker-{len(self.workers)}"
        arguments = ["worker", self.address, "--nthreads", "1", "--no-nanny", "--name", name]
        arguments += ["--local-directory", str(self.folder)]
        worker = self._start(name, *arguments, pythonpath=pythonpath, prefix=prefix)
        self.workers.append(worker)
        self._until(lambda: "Registered to:" in self.log(name), name)
        return worker

    def remove_workers(self) -> None:
        """End all workers, and wait until the scheduler has noticed."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers.clear()
        with Client(self.address, set_as_default=False) as client:
            self._until(lambda: not client.scheduler_info()["workers"], "scheduler")

    def log(self, name: str) -> str:
        """Return the output of the scheduler or of a worker."""
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
        # time to search for results at a killed worker; 30 s by default
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
    """Return the address that a scheduler has written; None before that."""
    try:
        return json.loads(note.read_text())["address"]
    except (FileNotFoundError, json.JSONDecodeError):
        return None


# Workers import the following functions.


def note(item: int) -> int:
    """Write the process of this item into the current directory, and return the item doubled."""
    with open("done.txt", "a") as stream:
        stream.write(f"{item} {os.getpid()}\n")
    return 2 * item


def note_or_hang(item: int) -> int:
    """Do the same, but at the first item 5 write the process to hanging.txt and hang."""
    result = note(item)
    if item == 5 and not Path("hanging.txt").exists():
        Path("unborn.txt").write_text(str(os.getpid()))
        Path("unborn.txt").replace("hanging.txt")
        _wait_for_the_end()
    return result


def hang(item: int) -> int:
    """Write the process to hanging.txt, and hang."""
    Path(f"unborn-{item}.txt").write_text(str(os.getpid()))
    Path(f"unborn-{item}.txt").replace("hanging.txt")
    _wait_for_the_end()
    return item


def _wait_for_the_end() -> None:
    """Wait until the worker is killed, or its tests are killed."""
    tests = os.getppid()
    while os.getppid() == tests:
        time.sleep(0.1)


def die(item: int) -> None:
    """Kill the worker."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(item: int) -> None:
    """Raise an error for users."""
    raise SkymillError(f"item {item} is bad. Leave it out.")


def nap(item: int) -> int:
    """Sleep for a short time."""
    time.sleep(0.01)
    return item
