"""Functions that worker processes run in tests."""

import os
import time
from pathlib import Path

import numpy as np

IMPORTED_BY = os.getpid()
"""The process that imported this module: a worker, or the server that started it."""


def begin(item: int) -> float:
    """Sleep for a short time, and return the time of the start."""
    begun = time.monotonic()
    time.sleep(0.01)
    return begun


def look(item: int) -> tuple[bool, str]:
    """Return whether the module was already imported, and the number of threads allowed."""
    return os.getpid() != IMPORTED_BY, os.environ["OPENBLAS_NUM_THREADS"]


def sleep(item: int, seconds: float = 3600) -> None:
    """Write the process number of the sleeper, and sleep."""
    Path(f"{item}.unborn").write_text(str(os.getpid()))
    Path(f"{item}.unborn").replace(f"{item}.pid")
    time.sleep(seconds)


def fail_beside_a_sleeper(item: int) -> None:
    """Raise for item 0 once item 1 has started; sleep long for all other items."""
    if item:
        sleep(item, seconds=20)
    while not Path("1.pid").exists():
        time.sleep(0.01)
    raise ValueError("item 0 is bad")


def need_too_much(item: int) -> None:
    """Ask for more memory than any machine has."""
    np.empty(2**56)


class UnreadableError(Exception):
    """An error that cannot be unpickled: its constructor has other arguments."""

    def __init__(self, what: str, why: str):
        super().__init__(f"{what}: {why}")


def fail_unreadably(item: int) -> None:
    """Raise an UnreadableError."""
    raise UnreadableError("item", "bad")
