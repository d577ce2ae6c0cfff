"""A running Dask cluster that works on the pieces of a job as the job's own processes would.

What would go wrong silently or obscurely there is looked for: whether workers see the project's
files, have the same code and the same packages, and stand in the project's directory. Workers come
and go, so each looks for itself before its first piece of a job.
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
"""What pieces are computed and carried with; of another version, bytes may differ."""

CARRIERS = ("dask", "distributed")
"""What the scheduler needs of the same version; it computes nothing."""

LOOK_SECONDS = 5
"""How often a job that waits counts the workers."""

TOKENS = Path(".snakemake")
"""Where in the project a job leaves the file that tells workers that they see the project."""


@dataclass(frozen=True)
class Seal:
    """What a worker must have in common with the job that it works for.

    `root` is the project's directory, `token` a file in it, `code` the digest of the package, and
    `versions` those of PACKAGES that the job has.
    """

    root: str
    token: str
    code: str
    versions: dict[str, str]


def map_on_cluster(
    function: Callable, items: Iterable, *, address: str, ahead: int, what: str
) -> Iterator:
    """Yield `function(item)` for each item, in order, computed by the workers of a cluster.

    Items are taken as workers come free, never more than `ahead` for each thread of theirs. What
    a worker that dies was working on, another does again: `function` must bear to be called twice.
    The scheduler holds an item until its result is there, so that it need not be made again.

    Raises
    ------
    SkymillError
        When no scheduler or no worker is there within the patience of Dask's setting
        `distributed.comm.timeouts.connect`, the scheduler goes away, a piece costs one worker
        after the other, or a worker has other code or packages or does not see the project.
    """
    with _connected(address) as client, _sealed() as seal:
        name = f"{what}-{uuid.uuid4().hex}"
        waiting: deque[Future] = deque()
        looked, room = -float("inf"), ahead
        for number, item in enumerate(items):
            with _scheduler_there(client):
                errand = pickle.dumps(_Errand(function, item, seal), pickle.HIGHEST_PROTOCOL)
                key = f"{name}-{number}"
                waiting.append(client.submit(pickle.loads, errand, key=key, pure=False))
                if time.monotonic() - looked > LOOK_SECONDS:
                    looked, room = time.monotonic(), ahead * max(1, threads(client))
            while len(waiting) >= room:
                yield _result(client, waiting.popleft(), what)
        while waiting:
            yield _result(client, waiting.popleft(), what)


def threads(client: "Client") -> int:
    """Return how many pieces the cluster can work on at a time."""
    return sum(client.nthreads().values())


@contextlib.contextmanager
def _connected(address: str) -> Iterator["Client"]:
    """Connect to a scheduler, with workers like this process; closing drops what is not done."""
    import dask
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    # An item must travel with its task: sent ahead it would be lost with the worker that has it.
    settings = {"distributed.admin.large-graph-warning-threshold": "1 GB"}
    with dask.config.set(settings), contextlib.ExitStack() as stack:
        with warnings.catch_warnings():
            # Versions are compared below.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            try:
                asyncio.run(asyncio.wait_for(_greet(address), _patience()))
                client = Client(address, timeout=_patience(), set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                why = str(error) or f"silence for {_patience():g} s"
                raise SkymillError(
                    f"no Dask scheduler answers at {address} ({why}). Start one, correct "
                    "dask.scheduler_address (or the variable DASK_SCHEDULER_ADDRESS, which comes "
                    "first), or empty both to work without a cluster."
                ) from error
        stack.enter_context(client)
        _require_workers(client)
        _require_same_versions(client)
        yield client


async def _greet(address: str) -> None:
    """Shake hands with a scheduler: a client would wait for ever for one that keeps silent."""
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
    """Wait for a worker, as long as one would wait for the scheduler."""
    try:
        client.wait_for_workers(1, timeout=_patience())
    except TimeoutError as error:
        raise SkymillError(
            f"the Dask scheduler at {client.scheduler.address} had no worker for {_patience():g} "
            "s. Start some (`dask worker`), or be more patient: "
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=600 waits 600 s."
        ) from error


def _require_same_versions(client: "Client") -> None:
    """Compare the packages of the scheduler and of all workers that are there."""
    found = client.get_versions(packages=PACKAGES)
    own = found["client"]["packages"]
    scheduler = found["scheduler"]["packages"]
    _require_same({name: own[name] for name in CARRIERS}, scheduler, "the scheduler")
    for address, worker in found["workers"].items():
        _require_same(_present(own), worker["packages"], f"the worker {address}")


def _present(versions: Mapping[str, str | None]) -> dict[str, str]:
    """Return the versions of those of PACKAGES that are installed."""
    return {name: versions[name] for name in PACKAGES if versions[name]}


def _require_same(own: Mapping[str, str], other: Mapping[str, str | None], whose: str) -> None:
    """Refuse another version of anything that this process has."""
    differ = [
        f"{name} {version} here, {other.get(name) or 'none'} there"
        for name, version in own.items()
        if other.get(name) != version
    ]
    if differ:
        raise SkymillError(
            f"{whose} of the Dask cluster has other packages: {', '.join(differ)}. Results could "
            "differ: start the cluster in the environment that runs Snakemake, or in one of the "
            "same versions (envs/requirements.txt)."
        )


@contextlib.contextmanager
def _sealed() -> Iterator[Seal]:
    """Yield the seal of a job; its token lies in the project for as long."""
    from distributed.versions import get_versions

    versions = get_versions(packages=PACKAGES)["packages"]
    TOKENS.mkdir(exist_ok=True)
    # A name that was never looked for: file systems remember for seconds what was not there.
    token = TOKENS / f"skymill_{uuid.uuid4().hex}.token"
    token.touch()
    try:
        yield Seal(str(Path.cwd()), str(token), package_digest(), _present(versions))
    finally:
        token.unlink(missing_ok=True)


@functools.cache
def package_digest() -> str:
    """Return the digest of all modules of this package, as they were when it was first asked.

    A process that goes on working after an edit still has the old modules.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def _result(client: "Client", future: "Future", what: str) -> object:
    """Wait for a result; see to it that there is a worker that it can come from."""
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    while True:
        try:
            return future.result(timeout=LOOK_SECONDS)
        except KilledWorker as error:
            raise SkymillError(
                f"{what}: {error.allowed_failures + 1} workers died one after the other on the "
                f"same piece, the last one {error.last_worker.address}. Mostly that is for want of "
                "memory: look at the workers' logs, give them more, and run again."
            ) from error
        except ImportError as error:
            raise SkymillError(
                f"{what}: a worker of the Dask cluster could not load its piece ({error}). Start "
                "the workers in the environment that runs Snakemake, where this project's "
                "skymill is installed, and run again."
            ) from error
        except TimeoutError:
            if future.status == "error":  # it is the piece's own
                raise
            with _scheduler_there(client):
                _require_workers(client)
        except (CancelledError, OSError) as error:
            if future.status == "error":
                raise
            raise _lost(client) from error


@contextlib.contextmanager
def _scheduler_there(client: "Client") -> Iterator[None]:
    """Say so when the scheduler does not answer any more."""
    from distributed import CancelledError
    from distributed.client import ClosedClientError

    try:
        yield
    except (CancelledError, ClosedClientError, OSError) as error:
        raise _lost(client) from error


def _lost(client: "Client") -> SkymillError:
    return SkymillError(
        f"the Dask scheduler at {client.scheduler.address} went away in the middle of the job. "
        "Look at its log, start it again, and run again."
    )


class _Errand:
    """A piece of work that is done when it is unpickled, and unpickles to its result.

    Dask unpickles tasks as they arrive, and a worker that cannot, for want of a module, breaks
    down. So the task itself is `pickle.loads`, which every worker has; what needs this package is
    unpickled within the task, where a failure is an error of that task and no more.
    """

    def __init__(self, function: Callable, item: object, seal: Seal):
        self._parts = (seal, pickle.dumps((function, item), pickle.HIGHEST_PROTOCOL))

    def __reduce__(self):
        return _work, self._parts


def _work(seal: Seal, packed: bytes) -> object:
    """Do a piece of work on a worker: in the right place, after the checks."""
    _require_kin(seal)
    with _DIRECTORY.entered(seal.root):
        function, item = pickle.loads(packed)
        return function(item)


_kin: deque[str] = deque(maxlen=64)
"""Tokens of jobs that this worker has found to be like itself."""


def _require_kin(seal: Seal) -> None:
    """Check that this worker sees the job's project, and has its packages and its code."""
    from distributed import get_worker
    from distributed.versions import get_versions

    if seal.token in _kin:
        return
    whose = f"the worker {get_worker().address} ({socket.gethostname()})"
    if not Path(seal.root, seal.token).is_file():
        raise SkymillError(
            f"{whose} of the Dask cluster does not see the files of {seal.root}. Workers need the "
            "project's file system, under the same path and as the same user: start them on "
            "machines that have it."
        )
    versions = get_versions(packages=list(seal.versions))["packages"]
    _require_same(seal.versions, versions, whose)
    if package_digest() != seal.code:
        raise SkymillError(
            f"{whose} of the Dask cluster has another copy of Skymill's code ({__file__}), or an "
            "older one from before an edit. Let it import this project's copy (`make setup`, or "
            "PYTHONPATH=workflow/scripts), start it anew, and run again."
        )
    _kin.append(seal.token)


class _Directory:
    """The working directory of this process: pieces of one project share it, others wait.

    Pieces name files relative to their project, and a process has one working directory for all
    its threads.
    """

    def __init__(self):
        self._door = threading.Lock()
        self._left = threading.Condition()
        self._inside = 0
        self._root = self._home = ""

    @contextlib.contextmanager
    def entered(self, root: str) -> Iterator[None]:
        """Stand in a directory; wait until nobody stands in another one."""
        # Who waits holds the door, so that pieces of the other project do not come in for ever.
        with self._door, self._left:
            self._left.wait_for(lambda: self._inside == 0 or self._root == root)
            if self._inside == 0:
                self._home, self._root = os.getcwd(), root  # noqa: PTH109 (as it is undone)
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
