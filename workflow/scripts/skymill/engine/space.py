"""A check for free space on the disk, before large files are written."""

import shutil
from pathlib import Path

from skymill.engine.errors import SkymillError

RESERVE_BYTES = 50 * 2**20
"""Bytes that must stay free, so that logs and notes can still be written."""


def require_space(folder: Path, needed: int, what: str, *, else_do: str = "") -> None:
    """Raise SkymillError when the disk of an existing folder has fewer free bytes than `needed`.

    `what` names the file to write, `else_do` another way out for the user besides freeing space.
    """
    free = shutil.disk_usage(folder).free
    if needed + RESERVE_BYTES > free:
        raise SkymillError(
            f"{what} needs {needed / 1e9:,.1f} GB more, but only {free / 1e9:,.1f} GB are free in "
            f"{folder}. Free some space there, or make this folder a link to a larger disk, and "
            f"run again{else_do}."
        )
