"""Skymill: mills raw sky archives into data sets that a model can be trained on.

    import skymill
    train = skymill.load("magnetic", "train")

This module imports nothing when it is loaded: the digest of a script covers every module that it
imports, and a package that imported its parts here would put all of them into every digest.
"""

__version__ = "0.1.0"

__all__ = ["Dataset", "lineage", "load", "statistics"]


def __getattr__(name: str):
    """Return what users of the products call, when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.reader"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
