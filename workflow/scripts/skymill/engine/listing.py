"""What is in a folder that no document describes file by file: names, sizes, the latest change."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

_OWN = ".snakemake"
"""How the names begin of what Snakemake leaves in directories that it made."""


def list_files(folder: Path) -> tuple[dict[str, int], float]:
    """Return the files of a folder and its folders, and when one of them was last changed.

    Nothing is read but the folders themselves. Links to other folders are not followed.

    Returns
    -------
    Bytes by path below the folder, with slashes, and seconds since 1970. Times to come do not
    count: they are of a clock that is wrong.
    """
    listing: dict[str, int] = {}
    latest, now = 0.0, time.time()
    waiting = [(str(folder), "")]
    while waiting:
        place, below = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(_OWN):
                    continue
                name = below + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{name}/"))
                elif entry.is_file():
                    status = entry.stat()
                    listing[name] = status.st_size
                    if latest < status.st_mtime <= now:
                        latest = status.st_mtime
    return listing, latest


def listing_digest(listing: dict[str, int]) -> str:
    """Return the SHA-256 over the names and sizes of files."""
    digest = hashlib.sha256()
    for name in sorted(listing):
        # Names are bytes to Linux, and need not be UTF-8.
        digest.update(f"{name}\0{listing[name]}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def changed_folder(
    folder: Path,
    found: tuple[dict[str, int], float],
    listing_sha256: str,
    is_younger: Callable[[float], bool],
) -> str | None:
    """Return why a folder that the user put in place is not the one that was read, else None.

    Parameters
    ----------
    found
        What list_files gives now.
    listing_sha256
        Digest of the listing when it was read.
    is_younger
        Whether the document of what read it was written after a moment, see Folder.is_younger.
    """
    listing, latest = found
    if listing_digest(listing) != listing_sha256:
        return f"{folder} has other files now, or files of other sizes"
    if listing and not is_younger(latest):
        return f"a file in {folder} was changed after it was read"
    return None
