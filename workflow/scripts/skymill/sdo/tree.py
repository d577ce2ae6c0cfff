"""Find the root of the unpacked tree, and list its files."""

from pathlib import Path

from skymill.engine.digests import file_sha256
from skymill.engine.errors import SkymillError
from skymill.engine.listing import listing_digest, require_no_loops, total_bytes
from skymill.engine.unchanged import Unchanged
from skymill.sdo.check import describe_ignored
from skymill.sdo.metadata import MetaRow, read_metadata
from skymill.sdo.names import METADATA, SETS

DEPTH = 3
"""How many folders deep the root may be."""
SHOWN = 10


def find_root(folder: Path) -> tuple[Path, dict[Path, int | None]]:
    """Return the folder that contains `training/meta_data.csv` and `test/meta_data.csv`.

    Distributions give the root different names, and some include a small example next to the full
    data set. The root with the most rows is taken, under any name. Roots with the same tables whose
    names differ only in letter case are copies of one root. Of several copies, the copy with the
    most sample folders is taken, then the spelling that sorts last.

    Returns
    -------
    The root, and the number of well-formed rows of every root; None if a table cannot be read.

    Raises
    ------
    SkymillError
        When there is no root, or several roots have the same number of rows.
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
            f"{folder} contains SDOBenchmark {len(first)} times with {most:,} rows each: "
            f"{', '.join(root.relative_to(folder).as_posix() for root in first[:SHOWN])}. Keep the "
            "one that you want to use, and move the others out of this folder."
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
            f"{folder} does not contain SDOBenchmark: no folder in it has both training/{METADATA} "
            f"and test/{METADATA}. Found: {shown or 'nothing'}. Put the unpacked data set there, "
            "or its zip next to the folder (see docs/real-data.md)."
        )
    return sorted(found)


def _rows(root: Path, part: str) -> list[MetaRow]:
    return read_metadata(root / part / METADATA)[0]


def _same_root(root: Path, folder: Path) -> tuple:
    """Return a key that copies of one root share: the case-folded name, and the tables' digests."""
    tables = (file_sha256(root / part / METADATA) for part in SETS.values())
    return root.relative_to(folder).as_posix().casefold(), *tables


def _folders(root: Path) -> int:
    """Return how many samples of a root have a folder."""
    return sum(
        (root / part / row.region / row.folder).is_dir()
        for part in SETS.values()
        for row in _rows(root, part)
    )


def require_same_zip(folder: Path, unpacked: dict, receipt: dict) -> None:
    """Raise SkymillError when a tree was not unpacked from the zip of which there is a receipt.

    Snakemake notices another zip by its time, but copied files often keep old times.

    Parameters
    ----------
    unpacked, receipt
        The manifest of the unpacked tree, and the receipt of the zip.
    """
    was, now = unpacked["archive"]["bytes"], receipt["raw"]["bytes"]
    if was != now:
        raise SkymillError(
            f"{folder} was unpacked from a zip of {was:,} bytes, but {unpacked['archive']['name']} "
            f"has {now:,} bytes. Delete {folder}, then run again to unpack this zip."
        )


def locate(folder: Path, unpacked: dict | None = None) -> dict:
    """Return the root of a tree, its size, and digests of its tables and of its listing.

    The listing has path and size of each file of the tree, sorted. It includes files outside the
    root. Links to files and to folders are followed. A link that leads to no file counts as a file
    without bytes.

    Parameters
    ----------
    folder
        The tree.
    unpacked
        The manifest of the files unpacked from the zip; None for a tree that a user unpacked.

    Returns
    -------
    The content of the receipt. `roots` has the number of rows of each root, `ignored` the first
    members of the zip that were not unpacked, by reason.

    Raises
    ------
    SkymillError
        When there is no root, or more than one, see `find_root`. The error lists ignored members.
        Also when a link leads to a folder that contains it, or the tree changes meanwhile.
    """
    with Unchanged(folder) as tree:
        listing = tree.listing
        require_no_loops(folder, listing)
        ignored = unpacked["refused"] if unpacked else {}
        try:
            root, roots = find_root(folder)
        except SkymillError as error:
            if not ignored:
                raise
            raise SkymillError(
                f"{error} These members of the zip were not unpacked:\n{describe_ignored(ignored)}"
            ) from None
        below = "" if root == folder else f"{root.relative_to(folder).as_posix()}/"
        sizes = [size for name, size in listing.items() if name.startswith(below)]
        counted = unpacked["counts"] if unpacked else {}
        return {
            "root": root.relative_to(folder).as_posix(),
            "roots": {
                place.relative_to(folder).as_posix(): count
                for place, count in sorted(roots.items())
            },
            "ignored": ignored,
            "counts": {
                "files": len(sizes),
                "bytes": total_bytes(sizes),
                "members": counted.get("members", 0) - counted.get("folders", 0),
                "members_ignored": counted.get("refused", 0),
            },
            "tables": {
                f"{part}/{METADATA}": file_sha256(root / part / METADATA) for part in SETS.values()
            },
            "listing_sha256": listing_digest(listing),
        }
