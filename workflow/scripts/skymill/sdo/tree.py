"""The unpacked tree: where its root is, and what lies in it."""

import hashlib
import os
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.sdo.metadata import read_metadata
from skymill.sdo.names import METADATA, SETS

DEPTH = 3
"""How many folders deep the root may lie."""
SHOWN = 10
_EXAMPLE = "_example"
_OWN = ".snakemake"
"""Snakemake leaves a file of this name in directories that it made."""


def find_root(folder: Path) -> Path:
    """Return the folder that holds `training/meta_data.csv` and `test/meta_data.csv`.

    Distributions name it differently, and some have a small `_example` beside the full one: the
    one that is no example and has most rows is taken.

    Raises
    ------
    SkymillError
        When there is none.
    """
    candidates = []
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        if all((place / name / METADATA).is_file() for name in SETS.values()):
            candidates.append(place)
        elif depth < DEPTH and place.is_dir():
            below = sorted(path for path in place.iterdir() if path.is_dir())
            waiting += [(path, depth + 1) for path in below if path.name not in SETS.values()]
    if not candidates:
        found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        shown = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
        raise SkymillError(
            f"{folder} does not hold SDOBenchmark: no folder in it has both training/{METADATA} "
            f"and test/{METADATA}. Found: {shown or 'nothing'}. Put the unpacked data set there, "
            "or its zip beside it (see the section on real data in README.md)."
        )

    def preference(root: Path) -> tuple:
        rows = len(read_metadata(root / SETS["train"] / METADATA)[0])
        return _EXAMPLE in root.name.lower(), -rows, str(root)

    return min(candidates, key=preference)


def locate(folder: Path) -> dict:
    """Return where the root of an unpacked tree is, its size, and a digest of its listing.

    The listing has path and size of each file, sorted.
    """
    root = find_root(folder)
    listing = []
    for place, folders, names in os.walk(root):
        folders.sort()
        at = Path(place)
        for name in names:
            if name.startswith(_OWN):
                continue
            path = at / name
            listing.append((path.relative_to(root).as_posix(), path.stat().st_size))
    listing.sort()
    digest = hashlib.sha256()
    for name, size in listing:
        digest.update(f"{name}\0{size}\n".encode())
    return {
        "root": root.relative_to(folder).as_posix(),
        "counts": {"files": len(listing), "bytes": sum(size for _, size in listing)},
        "listing_sha256": digest.hexdigest(),
    }
