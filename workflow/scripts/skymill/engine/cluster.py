"""A running Dask cluster that does the tasks of a job, as the job's own processes would.

Some errors on a cluster would be silent or obscure. So each worker checks that it sees the
project's files, and that it has the same code and the same packages as the job. A worker does its
tasks in the project's directory. Workers may join at any time, so each worker checks itself before
its first task of a job.
"""

import asyncio
import contextlib
import functools
import hashlib
import os
import pickle
import socket
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from skymill.engine.digests import file_sha256
from skymill.engine.errors import SkymillError

if TYPE_CHECKING:
    from distributed import Client, Future

PACKAGES = (
    "python",
    "dask",
    "distributed",
    "numpy",
    "pyarrow",
    "pandas",
    "scipy",
    "numba",
    "orjson",
    "pillow",
    "zarr",
    "zstandard",
    "simplejpeg",
    "fastavro",
    "isal",
    "cramjam",
)
"""Packages that compute or transfer tasks. Another version may produce other bytes."""

SCHEDULER_PACKAGES = ("dask", "distributed")
"""Packages whose versions must be the same on the scheduler. The scheduler computes nothing."""

LOOK_SECONDS = 5
"""How often a waiting job counts the workers."""

TOKENS = Path(".snakemake")
"""The folder of a job's token file. A worker that finds the file sees the project."""


@dataclass(frozen=True)
class Requirement:
    """What a worker must have in common with its job.

    `root` is the project's directory, `token` a file in this directory, `code` the digest of the
    package, and `versions` the versions of the PACKAGES that the job has.
    """

    root: str
    token: str
    code: str
    versions: dict[str, str]


def map_on_cluster(
    function: Callable, items: Iterable, *, address: str, ahead: int, what: str
) -> Iterator:
    """Yield `function(item)` for each item, in order, computed by the workers of a cluster.

    Items are read when workers become free, and never more than `ahead` items for each thread of
    the workers. If a worker dies, another worker does its tasks again. So it must be safe to call
    `function` twice for an item. The scheduler keeps an item until it has the result, so no item is
    read twice.

    Raises
    ------
    SkymillError
        When no scheduler or no worker is there within the time of Dask's setting
        `distributed.comm.timeouts.connect`, when the scheduler goes away, when one worker after
        the other dies on the same task, or when a worker has other code or packages or does not
        see the project.
    """
    with _connected(address) as client, _requirement() as required:
        name = f"{what}-{uuid.uuid4().hex}"
        waiting: deque[Future] = deque()
        looked, room = -float("inf"), ahead
        for number, item in enumerate(items):
            with _scheduler_there(client):
                task = pickle.dumps(_Task(function, item, required), pickle.HIGHEST_PROTOCOL)
                key = f"{name}-{number}"
                waiting.append(client.submit(pickle.loads, task, key=key, pure=False))
                if time.monotonic() - looked > LOOK_SECONDS:
                    looked, room = time.monotonic(), ahead * max(1, threads(client))
            while len(waiting) >= room:
                yield _result(client, waiting.popleft(), what)
        while waiting:
            yield _result(client, waiting.popleft(), what)


def threads(client: "Client") -> int:
    """Return how many tasks the cluster can do at the same time."""
    return sum(client.nthreads().values())


@contextlib.contextmanager
def _connected(address: str) -> Iterator["Client"]:
    """Connect to a scheduler whose workers match this process; closing cancels unfinished tasks."""
    import dask
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    # Dask must send an item within its task. An item that is sent before its task would be lost if
    # the worker that has the item dies.
    settings = {"distributed.admin.large-graph-warning-threshold": "1 GB"}
    with dask.config.set(settings), contextlib.ExitStack() as stack:
        with warnings.catch_warnings():
            # The versions are compared below.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            try:
                asyncio.run(asyncio.wait_for(_greet(address), _patience()))
                client = Client(address, timeout=_patience(), set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                why = str(error) or f"silence for {_patience():g} s"
                raise SkymillError(
                    f"no Dask scheduler answers at {address} ({why}). Start the scheduler, or "
                    "correct dask.scheduler_address (or the variable DASK_SCHEDULER_ADDRESS, which "
                    "takes precedence). Empty both to work without a cluster."
                ) from error
        stack.enter_context(client)
        _require_workers(client)
        _require_same_versions(client)
        yield client


async def _greet(address: str) -> None:
    """Connect once: a client would wait forever for a scheduler that does not answer."""
    from distributed import Security
    from distributed.comm import connect

    comm = await connect(address, **Security().get_connection_args("client"))
    await comm.close()


def _patience() -> float:
    """Return how many seconds to wait for a scheduler or a worker."""
    import dask
    from dask.utils import parse_timedelta

    return parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))


def _require_workers(client: "Client") -> None:
    """Wait for a worker, for as long as this process waits for the scheduler."""
    try:
        client.wait_for_workers(1, timeout=_patience())
    except TimeoutError as error:
        raise SkymillError(
            f"the Dask scheduler at {client.scheduler.address} had no worker for {_patience():g} "
            "s. Start workers (`dask worker`), or wait longer: set "
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=600 to wait 600 s."
        ) from error


def _require_same_versions(client: "Client") -> None:
    """Compare this process's packages with those of the scheduler and of all present workers."""
    found = client.get_versions(packages=PACKAGES)
    own = found["client"]["packages"]
    scheduler = found["scheduler"]["packages"]
    _require_same({name: own[name] for name in SCHEDULER_PACKAGES}, scheduler, "the scheduler")
    for address, worker in found["workers"].items():
        _require_same(_present(own), worker["packages"], f"the worker {address}")


def _present(versions: Mapping[str, str | None]) -> dict[str, str]:
    """Return the versions of the installed packages of PACKAGES."""
    return {name: versions[name] for name in PACKAGES if versions[name]}


def _require_same(own: Mapping[str, str], other: Mapping[str, str | None], whose: str) -> None:
    """Raise SkymillError when `other` has another version of a package of `own`."""
    differ = [
        f"{name} {version} here, {other.get(name) or 'none'} there"
        for name, version in own.items()
        if other.get(name) != version
    ]
    if differ:
        raise SkymillError(
            f"{whose} of the Dask cluster has other packages: {', '.join(differ)}. Results could "
            "differ. Start the cluster in the environment that runs Snakemake, or in an "
            "environment with the same versions (envs/requirements.txt)."
        )


@contextlib.contextmanager
def _requirement() -> Iterator[Requirement]:
    """Yield the requirement of a job; its token file exists until the block ends."""
    from distributed.versions import get_versions

    versions = get_versions(packages=PACKAGES)["packages"]
    TOKENS.mkdir(exist_ok=True)
    # A new name: network file systems remember for some seconds that a file did not exist.
    token = TOKENS / f"skymill_{uuid.uuid4().hex}.token"
    token.touch()
    try:
        yield Requirement(str(Path.cwd()), str(token), package_digest(), _present(versions))
    finally:
        token.unlink(missing_ok=True)


@functools.cache
def package_digest() -> str:
    """Return the digest of all modules of this package, as they were at the first call.

    The result is cached: a process that still runs after an edit uses the old modules.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def _result(client: "Client", future: "Future", what: str) -> object:
    """Wait for a result, and check every few seconds that there is a worker to compute it."""
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    while True:
        try:
            return future.result(timeout=LOOK_SECONDS)
        except KilledWorker as error:
            raise SkymillError(
                f"{what}: {error.allowed_failures + 1} workers died one after the other on the "
                f"same task; the last one was {error.last_worker.address}. Most often they ran out "
                "of memory. Look at the workers' logs, give the workers more memory, and run again."
            ) from error
        except ImportError as error:
            raise SkymillError(
                f"{what}: a worker of the Dask cluster could not load its task ({error}). Start "
                "the workers in the environment that runs Snakemake, where this project's "
                "skymill is installed, and run again."
            ) from error
        except TimeoutError:
            if future.status == "error":  # the task itself raised the error
                raise
            with _scheduler_there(client):
                _require_workers(client)
        except (CancelledError, OSError) as error:
            if future.status == "error":
                raise
            raise _lost(client) from error


@contextlib.contextmanager
def _scheduler_there(client: "Client") -> Iterator[None]:
    """Turn the errors of a scheduler that no longer answers into a SkymillError."""
    from distributed import CancelledError
    from distributed.client import ClosedClientError

    try:
        yield
    except (CancelledError, ClosedClientError, OSError) as error:
        raise _lost(client) from error


def _lost(client: "Client") -> SkymillError:
    return SkymillError(
        f"the Dask scheduler at {client.scheduler.address} went away during the job. "
        "Look at the scheduler's log, restart the scheduler, and run again."
    )


class _Task:
    """A function and an item. Unpickling the task calls the function and returns its result.

    Dask unpickles tasks when they arrive, and a worker without a needed module breaks down. So
    the function that Dask sees is `pickle.loads`, which every worker has. The parts that need this
    package are unpickled within the task: a failure there is an error of this task alone.
    """

    def __init__(self, function: Callable, item: object, required: Requirement):
        self._parts = (required, pickle.dumps((function, item), pickle.HIGHEST_PROTOCOL))

    def __reduce__(self):
        return _work, self._parts


def _work(required: Requirement, packed: bytes) -> object:
    """Do a task on a worker, after the checks, in the project's directory."""
    _require_match(required)
    with _DIRECTORY.entered(required.root):
        function, item = pickle.loads(packed)
        return function(item)


_matched: deque[str] = deque(maxlen=64)
"""Tokens of the jobs whose requirements this worker meets."""


def _require_match(required: Requirement) -> None:
    """Check that this worker sees the job's project, and has the job's packages and code."""
    from distributed import get_worker
    from distributed.versions import get_versions

    if required.token in _matched:
        return
    whose = f"the worker {get_worker().address} ({socket.gethostname()})"
    if not Path(required.root, required.token).is_file():
        raise SkymillError(
            f"{whose} of the Dask cluster does not see the files of {required.root}. Workers need "
            "the project's file system, under the same path and as the same user. Start the "
            "workers on machines that have this file system."
        )
    versions = get_versions(packages=list(required.versions))["packages"]
    _require_same(required.versions, versions, whose)
    if package_digest() != required.code:
        raise SkymillError(
            f"{whose} of the Dask cluster has another copy of Skymill's code ({__file__}), or "
            "code from before an edit. Let the worker import this project's copy (`make setup`, or "
            "PYTHONPATH=workflow/scripts), restart the worker, and run again."
        )
    _matched.append(required.token)


class _Directory:
    """The working directory of this process. Tasks of one project share it; other tasks wait.

    Tasks use paths relative to their project, and a process has one working directory for all its
    threads.
    """

    def __init__(self):
        self._entry = threading.Lock()
        self._left = threading.Condition()
        self._inside = 0
        self._root = self._home = ""

    @contextlib.contextmanager
    def entered(self, root: str) -> Iterator[None]:
        """Work in a directory; first wait until no thread works in another directory."""
        # A thread that waits keeps the entry lock. Else new tasks of the other project could enter
        # again and again, and this thread would wait forever.
        with self._entry, self._left:
            self._left.wait_for(lambda: self._inside == 0 or self._root == root)
            if self._inside == 0:
                self._home, self._root = os.getcwd(), root  # noqa: PTH109 (chdir restores it)
                os.chdir(root)
            self._inside += 1
        try:
            yield
        finally:
            with self._left:
                self._inside -= 1
                if self._inside == 0:
                    os.chdir(self._home)
                    self._left.notify_all()


_DIRECTORY = _Directory()
