"""Room on the disk, asked for before anything large is written."""

import shutil
from pathlib import Path

from skymill.engine.errors import SkymillError

RESERVE_BYTES = 50 * 2**20
"""What stays free, so that logs and notes can still be written."""


def require_space(folder: Path, needed: int, what: str, *, else_do: str = "") -> None:
    """Refuse to begin something that needs more bytes than the disk of an existing folder has.

    `what` is to be written, and `else_do` what the user can do besides making room.
    """
    free = shutil.disk_usage(folder).free
    if needed + RESERVE_BYTES > free:
        raise SkymillError(
            f"{what} needs {needed / 1e9:,.1f} GB more, but only {free / 1e9:,.1f} GB are free in "
            f"{folder}. Make room there, or make it a link to a larger disk, and run "
            f"again{else_do}."
        )
