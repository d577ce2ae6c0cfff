"""Skymill mills raw sky archives into data sets for training models.

    import skymill
    train = skymill.load("magnetic", "train")

This module imports nothing when it is loaded. The digest of a script covers every module that the
script imports, so imports here would add their modules to every digest.
"""

__version__ = "0.1.0"

__all__ = ["Dataset", "lineage", "load", "statistics"]


def __getattr__(name: str):
    """Import and return a name of __all__ when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.reader"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
