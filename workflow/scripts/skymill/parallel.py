"""Independent pieces of one job, spread over processes by Dask, or a stream's over threads.

Every data-parallel stage takes its parallelism from here and from nowhere else.
"""

import contextlib
import logging
import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator

logger = logging.getLogger(__name__)

AHEAD = 3
"""Items of a stream that wait or are worked on, for each worker."""


def map_pieces(function: Callable, pieces: Iterable, *, workers: int, what: str) -> list:
    """Return `[function(piece) for piece in pieces]`, computed by `workers` processes.

    The order of the result is that of the pieces, whatever the workers do. `function` and the
    pieces must be picklable; `what` names the work in the progress bar and the log.
    """
    import dask
    from dask.callbacks import Callback
    from tqdm import tqdm

    pieces = list(pieces)
    workers = max(1, min(workers, len(pieces)))
    logger.info("%s: %d pieces, %d workers", what, len(pieces), workers)
    # disable=None: no bar unless a person is watching.
    with tqdm(total=len(pieces), desc=what, file=sys.stderr, disable=None, leave=False) as bar:

        def advance(*_):
            bar.update()

        tasks = [dask.delayed(function, pure=False)(piece) for piece in pieces]
        with Callback(posttask=advance):
            if workers == 1:
                return list(dask.compute(*tasks, scheduler="synchronous"))
            with _forked_workers(function):
                return list(
                    dask.compute(*tasks, scheduler="processes", num_workers=workers, chunksize=1)
                )


@contextlib.contextmanager
def _forked_workers(function: Callable) -> Iterator[None]:
    """Have Dask's workers forked from a server that has imported what they need.

    Each worker starts in hundredths of a second instead of half a second, and unlike a fork of
    this process it inherits no threads or locks.
    """
    import dask

    multiprocessing.set_forkserver_preload(["dask.multiprocessing", function.__module__])
    # A worker has one core; without this NumPy would start threads in the server.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    # Workers would run the main script again to find functions there, with all its imports; ours
    # are never there.
    main.__file__ = None
    try:
        with dask.config.set({"multiprocessing.context": "forkserver"}):
            yield
    finally:
        main.__file__ = path


def map_stream(function: Callable, iterable: Iterable, *, workers: int, what: str) -> Iterator:
    """Yield `function(item)` for each item of a stream, in order, computed by `workers` threads.

    Unlike `map_pieces` it holds neither the stream nor the results: items are taken as workers
    come free, never more than AHEAD for each, so memory does not grow with the stream. Threads
    and not processes, because it is meant for streams that are read faster than they could be
    copied to another process, and for functions that spend most of their time where Python's lock
    is released (decompression, Arrow, NumPy, compiled loops). Reading goes on in the caller's
    thread meanwhile. With one worker there are no threads.
    """
    logger.info("%s: %d workers", what, max(1, workers))
    if workers <= 1:
        yield from map(function, iterable)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        waiting = deque()
        try:
            for item in iterable:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
