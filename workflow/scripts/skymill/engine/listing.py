"""The listing of a folder (names, sizes, latest change), if no document lists its files."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

_OWN = ".snakemake"
"""How the names of Snakemake's own files in output directories begin."""


def list_files(folder: Path) -> tuple[dict[str, int], float]:
    """Return all files below a folder, and the latest time at which one of them changed.

    Only the folders are read, not the files. Links to other folders are not followed.

    Returns
    -------
    Bytes by path below the folder, with slashes, and seconds since 1970. Times in the future do
    not count: they come from a wrong clock.
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
        # On Linux, names are bytes, and not always UTF-8.
        digest.update(f"{name}\0{listing[name]}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def changed_folder(
    folder: Path,
    found: tuple[dict[str, int], float],
    listing_sha256: str,
    is_younger: Callable[[float], bool],
) -> str | None:
    """Return how a folder of the user has changed since it was read, or None.

    Parameters
    ----------
    found
        The present result of list_files.
    listing_sha256
        Digest of the listing when the folder was read.
    is_younger
        Returns whether the document of the job that read the folder was written after a given time,
        see Folder.is_younger.
    """
    listing, latest = found
    if listing_digest(listing) != listing_sha256:
        return f"the files in {folder}, or their sizes, have changed since they were read"
    if listing and not is_younger(latest):
        return f"a file in {folder} was changed after it was read"
    return None
