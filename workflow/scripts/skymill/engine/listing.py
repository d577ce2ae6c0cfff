"""The listing of a folder (names, sizes, latest change), if no document lists its files."""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from skymill.engine.errors import SkymillError

_OWN = ".snakemake"
"""How the names of Snakemake's own files in output directories begin."""

DANGLING, LOOP = -1, -2
"""The sizes of links that lead to no file: to a missing file, and to a folder that contains the
link."""


def is_note(name: str) -> bool:
    """Return whether a file is a note of macOS, which comes when a person looks into the folder."""
    own = name.rpartition("/")[2]
    return own == ".DS_Store" or own.startswith("._")


def walk(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and time of each file below a folder, in any order.

    Links to files and to folders are followed. Only the folders are read, not the files.

    Yields
    ------
    The path below the folder, with slashes; bytes, or DANGLING or LOOP; and the time of the last
    change in ns since 1970, 0 for links that lead to no file.
    """
    # The last part: the folders in which the links on the way are.
    waiting: list[tuple[str, str, tuple[str, ...]]] = [(str(folder), "", ())]
    while waiting:
        place, below, linked_in = waiting.pop()
        here: tuple[str, ...] = ()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(_OWN):
                    continue
                name = below + entry.name
                is_link = entry.is_symlink()
                if not is_link and entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{name}/", linked_in))
                    continue
                if is_link and (size := _leads_nowhere(entry)):
                    yield name, size, 0
                elif is_link and entry.is_dir():
                    here = here or (*linked_in, os.path.realpath(place))
                    if _contains(os.path.realpath(entry.path), here):
                        yield name, LOOP, 0
                    else:
                        waiting.append((entry.path, f"{name}/", here))
                elif entry.is_file():
                    status = entry.stat()
                    yield name, status.st_size, status.st_mtime_ns


def _leads_nowhere(link: os.DirEntry) -> int:
    """Return DANGLING for a link to a missing file, LOOP for a link to itself, 0 for others."""
    try:
        link.stat()
    except (FileNotFoundError, NotADirectoryError):
        return DANGLING
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return LOOP
    return 0


def _contains(target: str, folders: Iterable[str]) -> bool:
    """Return whether a folder is one of some folders, or contains one of them."""
    inside = target.rstrip("/") + "/"
    return any(f"{folder}/".startswith(inside) for folder in folders)


def list_files(folder: Path) -> tuple[dict[str, int], float]:
    """Return all files below a folder, and the latest time at which one of them changed.

    Returns
    -------
    Sizes by path, see walk, and seconds since 1970. Times of notes do not count, see is_note, nor
    do times in the future: they come from a wrong clock.
    """
    listing: dict[str, int] = {}
    latest, now = 0, time.time_ns()
    for name, size, changed in walk(folder):
        listing[name] = size
        if latest < changed <= now and not is_note(name):
            latest = changed
    return listing, latest / 1e9


def in_order(names: Iterable[str]) -> list[str]:
    """Return paths sorted by their folders, then by their names."""
    return sorted(names, key=lambda name: name.split("/"))


def total_bytes(sizes: Iterable[int]) -> int:
    """Return the sum of the sizes of files; links that lead to no file do not count."""
    return sum(size for size in sizes if size > 0)


def require_no_loops(folder: Path, listing: dict[str, int]) -> None:
    """Raise SkymillError when a link in a folder leads to a folder that contains the link."""
    loops = in_order(name for name, size in listing.items() if size == LOOP)
    if loops:
        raise SkymillError(
            f"{folder / loops[0]} is a link to itself or to a folder that contains it, so the "
            "files below it have no end. Delete the link."
        )


def listing_digest(listing: dict[str, int]) -> str:
    """Return the SHA-256 over the names and sizes of files, without notes, see is_note."""
    digest = hashlib.sha256()
    for name in sorted(name for name in listing if not is_note(name)):
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
