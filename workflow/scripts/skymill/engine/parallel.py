"""Independent pieces of one job in several processes, and items of a stream in several threads.

Every data-parallel stage uses this module and no other. The work runs on this machine, or on a
running Dask cluster if the address of its scheduler is known.
"""

import contextlib
import ctypes
import errno
import logging
import multiprocessing
import multiprocessing.forkserver
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from skymill.engine.errors import SkymillError

logger = logging.getLogger(__name__)

AHEAD = 3
"""Items of a stream that wait or are in work, per worker."""

PIECES_AHEAD = 16
"""The same number for pieces on a cluster. Results come in order, so a slow worker delays them;
meanwhile the other workers need pieces to work on."""

SPARE = 1
"""Items of a stream that are read ahead, so that a worker need not wait while another one reads."""

ADDRESS = "DASK_SCHEDULER_ADDRESS"
"""The environment variable, Dask's own, that names the scheduler of a running cluster."""


def use_cluster(address: str | None) -> None:
    """Make this process, and the processes that it starts, use a running Dask cluster.

    The environment variable takes precedence: it may name a scheduler, or be empty for no cluster.
    The address is no parameter of a rule, because the place of the work makes nothing stale.
    """
    if address:
        os.environ.setdefault(ADDRESS, address)


def start_workers(module: str, workers: int) -> None:
    """Start the server that workers are forked from: it takes as long as to import `module`.

    A job calls this first, so that its own imports run at the same time. `module` contains the
    function that `map_pieces` will run. The call is optional: `map_pieces` starts a missing server.
    """
    if workers > 1 and not os.environ.get(ADDRESS):
        _start_server(module)


def map_pieces(function: Callable, pieces: Iterable, *, workers: int, what: str) -> list:
    """Return `[function(piece) for piece in pieces]`, computed by `workers` processes.

    The results have the order of the pieces. `function` and the pieces must be picklable; `what`
    names the work in the progress bar and the log. If there is a Dask cluster, all its workers
    compute, see `skymill.engine.cluster`. The cluster may compute a piece twice.
    """
    from tqdm import tqdm

    pieces = list(pieces)
    address = os.environ.get(ADDRESS)
    workers = max(1, min(workers, len(pieces)))
    where = f"the Dask cluster at {address}" if address else f"{workers} workers"
    logger.info("%s: %d pieces, %s", what, len(pieces), where)
    # disable=None: a bar only on a terminal.
    with tqdm(total=len(pieces), desc=what, file=sys.stderr, disable=None, leave=False) as bar:
        if workers > 1 and not address:
            return _map_in_processes(function, pieces, workers, what, bar.update)
        results = map(function, pieces)
        if address and pieces:
            from skymill.engine.cluster import map_on_cluster

            results = map_on_cluster(
                function, pieces, address=address, ahead=PIECES_AHEAD, what=what
            )
        done = []
        for result in results:
            done.append(result)
            bar.update()
    return done


def _map_in_processes(
    function: Callable, pieces: list, workers: int, what: str, advance: Callable
) -> list:
    """Return `function(piece)` for each piece, in order, computed by own processes.

    Dask's local schedulers are not used. They start pieces in the order of random names, so that
    large pieces may come last. Also, a worker gets its next piece only after the main process has
    handled the piece before.
    """
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    _start_server(function.__module__)
    main = vars(sys.modules["__main__"])
    # To find functions, workers would run the main script again, and with it the whole job. Our
    # functions are never in the main script.
    path = main.pop("__file__", None)
    context = multiprocessing.get_context("forkserver")
    try:
        with ProcessPoolExecutor(workers, context, _end_with_the_job) as pool:
            try:
                futures = [pool.submit(function, piece) for piece in pieces]
                for future in as_completed(futures):
                    future.result()
                    advance()
                return [future.result() for future in futures]
            except BaseException:
                # Else the workers would finish all pieces that they already have before the error
                # is raised.
                for worker in multiprocessing.active_children():
                    worker.terminate()
                raise
    except BrokenProcessPool as error:
        if error.__cause__:  # a result that could not be unpickled
            raise
        raise SkymillError(
            f"a worker process was killed or crashed ({what}). Most often there was not enough "
            f"memory for {workers} workers. Run again with fewer --cores, or ask for more memory "
            "(mem_mb)."
        ) from error
    finally:
        if path is not None:
            main["__file__"] = path


def _start_server(module: str) -> None:
    """Start the server that workers are forked from, unless it runs already.

    The server has imported the modules of the workers, so workers start in hundredths of a second
    instead of half a second. Unlike forks of this process, they inherit no threads and no locks.
    """
    multiprocessing.set_forkserver_preload(["concurrent.futures.process", module])
    variables = {
        # The server must import from the same folders; Python 3.11 does not pass them on.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONSAFEPATH": "1",
        # A worker has one core, but Snakemake sets these variables to the threads of the whole job.
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        multiprocessing.forkserver.ensure_running()
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        raise SkymillError(
            f"worker processes cannot be started: {error}. If a path is too long, set TMPDIR to a "
            "shorter path. With --cores 1 no worker processes are needed."
        ) from error
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_with_the_job() -> None:
    """End this worker when its job is killed. Else the worker would wait for pieces forever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(os.EX_SOFTWARE)

    threading.Thread(target=watch, daemon=True).start()


def map_stream(function: Callable, iterable: Iterable, *, workers: int, what: str) -> Iterator:
    """Yield `function(item)` for each item of a stream, in order, computed by `workers` threads.

    Unlike `map_pieces`, this function keeps neither the stream nor the results in memory. Items are
    read when workers become free, never more than AHEAD items per worker, so memory does not grow
    with the stream.

    The workers are threads, not processes, for two reasons. The streams are read faster than they
    could be copied to another process. And the functions spend most of their time where Python's
    lock is released (decompression, Arrow, NumPy, compiled loops).

    A free worker reads the stream itself, and SPARE items ahead. Only one worker reads at a time;
    meanwhile another free worker processes an item that was read ahead. With one worker there are
    no threads. If there is a Dask cluster, its workers compute the items.
    """
    address = os.environ.get(ADDRESS)
    if address:
        from skymill.engine.cluster import map_on_cluster

        logger.info("%s: the Dask cluster at %s", what, address)
        yield from map_on_cluster(function, iterable, address=address, ahead=AHEAD, what=what)
        return
    logger.info("%s: %d workers", what, max(1, workers))
    if workers <= 1:
        yield from map(function, iterable)
        return
    from concurrent.futures import ThreadPoolExecutor

    keep_freed_memory()
    numbered = enumerate(iterable)
    turn = threading.Lock()
    spare: deque = deque()

    def take() -> tuple[int | None, object]:
        while True:
            if turn.acquire(blocking=not spare):
                try:
                    while len(spare) <= SPARE:
                        spare.append(next(numbered))
                except StopIteration:
                    if not spare:
                        return None, None
                finally:
                    turn.release()
            # Another thread may have taken the item.
            with contextlib.suppress(IndexError):
                return spare.popleft()

    def work() -> tuple[int | None, object]:
        number, item = take()
        return number, None if number is None else function(item)

    with ThreadPoolExecutor(workers) as pool:
        waiting = deque(pool.submit(work) for _ in range(AHEAD * workers))
        done, following = {}, 0
        try:
            while waiting:
                number, result = waiting.popleft().result()
                if number is None:
                    continue
                done[number] = result
                while following in done:
                    yield done.pop(following)
                    following += 1
                waiting.append(pool.submit(work))
        finally:
            for future in waiting:
                future.cancel()


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of settings in the header malloc.h of glibc."""


def keep_freed_memory() -> None:
    """Keep freed memory in this process, if the C library is glibc.

    Else megabytes of memory would return to the system after every item of a stream, or after every
    node of a tree. When the process needs memory again, the system clears it page by page while
    other threads wait.
    """
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, 2**29)
        mallopt(M_MMAP_THRESHOLD, 2**25)  # the most that glibc takes
