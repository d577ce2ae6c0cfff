"""The unpacked tree: where its root is, and what lies in it."""

from pathlib import Path

from skymill.engine.digests import file_sha256
from skymill.engine.errors import SkymillError
from skymill.engine.listing import list_files, listing_digest
from skymill.sdo.check import describe_ignored
from skymill.sdo.metadata import MetaRow, read_metadata
from skymill.sdo.names import METADATA, SETS

DEPTH = 3
"""How many folders deep the root may lie."""
SHOWN = 10


def find_root(folder: Path) -> tuple[Path, dict[Path, int | None]]:
    """Return the folder that holds `training/meta_data.csv` and `test/meta_data.csv`.

    Distributions name it differently, and some have a small example beside the full one: the root
    with most rows is taken, whatever its name. Roots whose names differ in letter case alone and
    that have the same tables are copies of one root. Of copies the one with most of its samples'
    folders is taken, then the spelling that sorts last.

    Returns
    -------
    The root, and every root with its well-formed rows; None where a table cannot be read.

    Raises
    ------
    SkymillError
        When there is none, or several have as many rows.
    """
    roots = _roots(folder)
    rows: dict[Path, int | None] = {}
    errors = {}
    for root in roots:
        try:
            rows[root] = sum(len(_rows(root, part)) for part in SETS.values())
        except SkymillError as error:
            rows[root], errors[root] = None, error
    if len(errors) == len(roots):
        raise next(iter(errors.values()))
    most = max(count for count in rows.values() if count is not None)
    first = [root for root in roots if rows[root] == most]
    if len(first) == 1:
        return first[0], rows
    if len({_same_root(root, folder) for root in first}) > 1:
        raise SkymillError(
            f"{folder} holds SDOBenchmark {len(first)} times with {most:,} rows each: "
            f"{', '.join(root.relative_to(folder).as_posix() for root in first[:SHOWN])}. Keep the "
            "one that you mean, and move the others to another place."
        )
    return max(first, key=lambda root: (_folders(root), root.as_posix())), rows


def _roots(folder: Path) -> list[Path]:
    """Return the folders that have both tables, sorted."""
    found = []
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        if all((place / name / METADATA).is_file() for name in SETS.values()):
            found.append(place)
        elif depth < DEPTH and place.is_dir():
            below = sorted(path for path in place.iterdir() if path.is_dir())
            waiting += [(path, depth + 1) for path in below if path.name not in SETS.values()]
    if not found:
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        raise SkymillError(
            f"{folder} does not hold SDOBenchmark: no folder in it has both training/{METADATA} "
            f"and test/{METADATA}. Found: {shown or 'nothing'}. Put the unpacked data set there, "
            "or its zip beside it (see docs/real-data.md)."
        )
    return sorted(found)


def _rows(root: Path, part: str) -> list[MetaRow]:
    return read_metadata(root / part / METADATA)[0]


def _same_root(root: Path, folder: Path) -> tuple:
    """Return what copies of one root have in common: the name but for its case, and the tables."""
    tables = (file_sha256(root / part / METADATA) for part in SETS.values())
    return root.relative_to(folder).as_posix().casefold(), *tables


def _folders(root: Path) -> int:
    """Return how many samples of a root have their folder."""
    return sum(
        (root / part / row.region / row.folder).is_dir()
        for part in SETS.values()
        for row in _rows(root, part)
    )


def locate(folder: Path, unpacked: dict | None = None) -> dict:
    """Return where the root of a tree is, its size, digests of its tables and of its listing.

    The listing has path and size of each file of the tree, sorted, also outside the root.

    Parameters
    ----------
    folder
        The tree.
    unpacked
        The manifest of what was unpacked from the zip, None for a tree that was put there by hand.

    Returns
    -------
    The content of the receipt. `roots` has the rows of each root that was found, `ignored` the
    first members of the zip that were not unpacked, by reason.

    Raises
    ------
    SkymillError
        When there is no root, or not one alone, see `find_root`. What was ignored is named.
    """
    ignored = unpacked["refused"] if unpacked else {}
    try:
        root, roots = find_root(folder)
    except SkymillError as error:
        if not ignored:
            raise
        raise SkymillError(
            f"{error} Of the zip these were not unpacked:\n{describe_ignored(ignored)}"
        ) from None
    listing, _ = list_files(folder)
    below = "" if root == folder else f"{root.relative_to(folder).as_posix()}/"
    sizes = [size for name, size in listing.items() if name.startswith(below)]
    counted = unpacked["counts"] if unpacked else {}
    return {
        "root": root.relative_to(folder).as_posix(),
        "roots": {
            place.relative_to(folder).as_posix(): count for place, count in sorted(roots.items())
        },
        "ignored": ignored,
        "counts": {
            "files": len(sizes),
            "bytes": sum(sizes),
            "members": counted.get("members", 0) - counted.get("folders", 0),
            "members_ignored": counted.get("refused", 0),
        },
        "tables": {
            f"{part}/{METADATA}": file_sha256(root / part / METADATA) for part in SETS.values()
        },
        "listing_sha256": listing_digest(listing),
    }
