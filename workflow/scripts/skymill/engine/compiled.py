"""Functions that Numba compiles once, and that outlive damage to its cache."""

import pickle
from collections.abc import Callable
from pathlib import Path

from numba import njit

DAMAGE = (EOFError, pickle.UnpicklingError, ValueError, KeyError, AttributeError, ImportError)
"""What reading a cache raises that is empty, cut or overwritten, as after a power cut."""


def compiled(signature, **options) -> Callable:
    """Return a decorator like numba.njit with a cache: a damaged cache is made anew.

    Parameters
    ----------
    signature
        The types of the arguments and of the result.
    options
        Those of numba.njit.
    """

    def decorate(function: Callable) -> Callable:
        try:
            return njit(signature, cache=True, **options)(function)
        except DAMAGE:
            for file in _cache_files(function, options):
                file.unlink(missing_ok=True)
            # What is wrong with the function itself is raised now.
            return njit(signature, cache=True, **options)(function)

    return decorate


def _cache_files(function: Callable, options: dict) -> list[Path]:
    """Return the files in which Numba keeps what it compiled of a function."""
    folder = Path(njit(cache=True, **options)(function).stats.cache_path)
    module = Path(function.__code__.co_filename).stem
    return sorted(folder.glob(f"{module}.{function.__qualname__}-*.nb[ic]"))
