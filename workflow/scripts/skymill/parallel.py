"""Independent pieces of one job, spread over processes by Dask.

Every data-parallel stage takes its parallelism from here and from nowhere else.
"""

import logging
import sys
from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)


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
            with dask.config.set({"multiprocessing.context": "spawn"}):
                return list(
                    dask.compute(*tasks, scheduler="processes", num_workers=workers, chunksize=1)
                )
