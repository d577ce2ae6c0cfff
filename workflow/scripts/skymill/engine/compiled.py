"""Functions that Numba compiles once. They work also if Numba's cache is damaged."""

import pickle
from collections.abc import Callable
from pathlib import Path

from numba import njit

DAMAGE = (EOFError, pickle.UnpicklingError, ValueError, KeyError, AttributeError, ImportError)
"""Errors of a cache file that is empty, cut short or overwritten, such as after a power cut."""


def compiled(signature, **options) -> Callable:
    """Return a decorator like numba.njit with a cache, which replaces a damaged cache.

    Parameters
    ----------
    signature
        The types of the arguments and of the result.
    options
        Options of numba.njit.
    """

    def decorate(function: Callable) -> Callable:
        try:
            return njit(signature, cache=True, **options)(function)
        except DAMAGE:
            for file in _cache_files(function, options):
                file.unlink(missing_ok=True)
            # If the function itself is wrong, this second call raises the error.
            return njit(signature, cache=True, **options)(function)

    return decorate


def _cache_files(function: Callable, options: dict) -> list[Path]:
    """Return Numba's cache files of a function."""
    folder = Path(njit(cache=True, **options)(function).stats.cache_path)
    module = Path(function.__code__.co_filename).stem
    return sorted(folder.glob(f"{module}.{function.__qualname__}-*.nb[ic]"))
