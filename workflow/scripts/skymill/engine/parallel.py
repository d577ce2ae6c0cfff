"""Independent pieces of one job, spread over processes, or those of a stream over threads.

Every data-parallel stage takes its parallelism from here and from nowhere else: from this machine,
or from a running Dask cluster when there is an address of one.
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
"""Items of a stream that wait or are worked on, for each worker."""

PIECES_AHEAD = 16
"""The same for pieces on a cluster: results come in order, and none waits for a slow machine."""

SPARE = 1
"""Items of a stream that are read ahead: nobody has to wait while another one reads."""

ADDRESS = "DASK_SCHEDULER_ADDRESS"
"""The environment variable, Dask's own, that names the scheduler of a running cluster."""


def use_cluster(address: str | None) -> None:
    """Have this process and those that it starts spread their work over a running Dask cluster.

    Where the environment names one already, or says by an empty variable that there is none, that
    stands. It is no parameter of a rule: where the work is done makes nothing stale.
    """
    if address:
        os.environ.setdefault(ADDRESS, address)


def start_workers(module: str, workers: int) -> None:
    """Start what workers come from, which takes as long as it takes to import `module`.

    A job says so first, so that its own imports go on at the same time. `module` is the one whose
    function `map_pieces` will be given; without this it starts the same, later.
    """
    if workers > 1 and not os.environ.get(ADDRESS):
        _start_server(module)


def map_pieces(function: Callable, pieces: Iterable, *, workers: int, what: str) -> list:
    """Return `[function(piece) for piece in pieces]`, computed by `workers` processes.

    The order of the result is that of the pieces, whatever the workers do. `function` and the
    pieces must be picklable; `what` names the work in the progress bar and the log. Where there is
    a Dask cluster its workers compute, however many they are, see `skymill.engine.cluster`; a piece
    may be computed twice there.
    """
    from tqdm import tqdm

    pieces = list(pieces)
    address = os.environ.get(ADDRESS)
    workers = max(1, min(workers, len(pieces)))
    where = f"the Dask cluster at {address}" if address else f"{workers} workers"
    logger.info("%s: %d pieces, %s", what, len(pieces), where)
    # disable=None: no bar unless a person is watching.
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
    """Return `function(piece)` for each piece, in order, computed by processes of our own.

    Not by Dask's local schedulers: these begin pieces in an order of their own (that of random
    names), so that large ones may come last, and a worker has its next piece only when the main
    process has dealt with the one before.
    """
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    _start_server(function.__module__)
    main = vars(sys.modules["__main__"])
    # Workers would run the main script again to find functions there, with all its imports; ours
    # are never there.
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
                # They would end what they do, and do what was sent ahead, before anybody is told.
                for worker in multiprocessing.active_children():
                    worker.terminate()
                raise
    except BrokenProcessPool as error:
        if error.__cause__:  # a result that could not be read
            raise
        raise SkymillError(
            f"a worker process was killed or crashed ({what}): most often there was not enough "
            f"memory for {workers} at a time. Run again with fewer --cores, or ask for more memory "
            "(mem_mb)."
        ) from error
    finally:
        if path is not None:
            main["__file__"] = path


def _start_server(module: str) -> None:
    """Start the server that workers are forked from, unless it runs.

    It has imported what they need, so they start in hundredths of a second instead of half a
    second, and unlike forks of this process they inherit none of its threads and locks.
    """
    multiprocessing.set_forkserver_preload(["concurrent.futures.process", module])
    variables = {
        # It imports from where this process does: Python 3.11 does not tell it.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONSAFEPATH": "1",
        # A worker has one core. Snakemake allows as many threads as the whole job has.
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
            "shorter one; --cores 1 does without such processes."
        ) from error
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_with_the_job() -> None:
    """Have this worker end when its job is killed, instead of waiting for pieces for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(os.EX_SOFTWARE)

    threading.Thread(target=watch, daemon=True).start()


def map_stream(function: Callable, iterable: Iterable, *, workers: int, what: str) -> Iterator:
    """Yield `function(item)` for each item of a stream, in order, computed by `workers` threads.

    Unlike `map_pieces` it holds neither the stream nor the results: items are taken as workers
    come free, never more than AHEAD for each, so memory does not grow with the stream. Threads
    and not processes, because it is meant for streams that are read faster than they could be
    copied to another process, and for functions that spend most of their time where Python's lock
    is released (decompression, Arrow, NumPy, compiled loops). Workers that come free read the
    stream themselves, one at a time, and a little ahead: who comes free meanwhile works on what
    was read before. With one worker there are no threads. Where there is a Dask cluster, items go
    to its workers.
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

    _keep_freed_memory()
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
            # Another one may have been faster.
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


def _keep_freed_memory() -> None:
    """Have memory that was freed stay with this process, where the C library is glibc.

    It would go back to the system at once, megabytes with every item; and when it is next needed
    the system clears it again, page by page, while other threads wait for it.
    """
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, 2**29)
        mallopt(M_MMAP_THRESHOLD, 2**25)  # the most that glibc takes
