"""Check that Snakemake's environment can run jobs: its path, and packages that hide its own."""

import os
import re
import sysconfig
from collections.abc import Iterable
from pathlib import Path

UNSAFE = re.compile(r"""[\s"'$&()*;<>?\[\\\]^`{|}!#]""")
"""Characters with a meaning in a shell: Snakemake does not quote Python's path in commands."""

NEVER_PACKAGES = {"__pycache__", "skymill"}
"""Names that may be in two places: a checkout's own package may be imported by PYTHONPATH."""


def unsafe_python(executable: str) -> str | None:
    """Return why jobs cannot be started with this Python, or None if they can."""
    found = UNSAFE.search(executable)
    if not found:
        return None
    return (
        f"Snakemake cannot start jobs with {executable}: there is {found.group()!r} in its path. "
        "Move the project or the environment to a path without spaces, quotes or other special "
        "characters."
    )


def shadowed_packages(pythonpath: str, prefix: str, base_prefix: str) -> str | None:
    """Return which packages in PYTHONPATH hide those of the environment, or None if none do.

    Parameters
    ----------
    pythonpath
        The variable.
    prefix, base_prefix
        Those of `sys`. If they are equal, the project has no own environment, and the site may
        use PYTHONPATH to provide packages.
    """
    if not pythonpath or prefix == base_prefix:
        return None
    own = Path(sysconfig.get_path("purelib", vars={"base": prefix, "platbase": prefix}))
    installed = _packages(own)
    for place in filter(None, pythonpath.split(os.pathsep)):
        folder = Path(place)
        if folder.resolve().is_relative_to(Path(prefix).resolve()):
            continue
        if both := sorted(installed & _packages(folder)):
            return (
                f"PYTHONPATH leads to {place}, whose {_and_more(both)} would be taken for those of "
                f"{prefix}. Run `unset PYTHONPATH`, then the same command again."
            )
    return None


def _packages(folder: Path) -> set[str]:
    """Return the names in a folder that look importable."""
    if not folder.is_dir():
        return set()
    names = {
        entry.name.removesuffix(".py")
        for entry in folder.iterdir()
        if entry.name.endswith(".py") or (entry.is_dir() and entry.name.isidentifier())
    }
    return names - NEVER_PACKAGES


def _and_more(names: Iterable[str], shown: int = 3) -> str:
    names = list(names)
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"
