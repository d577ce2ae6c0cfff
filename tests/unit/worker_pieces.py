"""What worker processes of a job do in tests."""

import os
import time
from pathlib import Path

import numpy as np

IMPORTED_BY = os.getpid()
"""The process that imported this module: a worker itself, or the server that it comes from."""


def begin(item: int) -> float:
    """Take a little while, and return when that was begun."""
    begun = time.monotonic()
    time.sleep(0.01)
    return begun


def look(item: int) -> tuple[bool, str]:
    """Return whether this worker found the module imported, and the threads that it may have."""
    return os.getpid() != IMPORTED_BY, os.environ["OPENBLAS_NUM_THREADS"]


def sleep(item: int, seconds: float = 3600) -> None:
    """Tell who sleeps, and sleep."""
    Path(f"{item}.unborn").write_text(str(os.getpid()))
    Path(f"{item}.unborn").replace(f"{item}.pid")
    time.sleep(seconds)


def fail_beside_a_sleeper(item: int) -> None:
    """Raise for item 0 once item 1 is worked on; take long for all others."""
    if item:
        sleep(item, seconds=20)
    while not Path("1.pid").exists():
        time.sleep(0.01)
    raise ValueError("item 0 is bad")


def need_too_much(item: int) -> None:
    """Ask for more memory than any machine has."""
    np.empty(2**56)


class UnreadableError(Exception):
    """An error that cannot be carried to another process: it is not made of its arguments."""

    def __init__(self, what: str, why: str):
        super().__init__(f"{what}: {why}")


def fail_unreadably(item: int) -> None:
    """Raise such an error."""
    raise UnreadableError("item", "bad")
