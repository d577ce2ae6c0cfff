"""Unpack the downloaded zip: each file once, without the copies that differ in letter case.

The download contains every file up to four times, in folders whose names differ only in letter
case. Case-folded path, CRC and size in the table of contents identify the copies, so copies are
never read.
"""

import hashlib
import logging
import re
import shutil
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np

from skymill.engine.durable import flush_file_system, flush_names
from skymill.engine.errors import SkymillError
from skymill.engine.parallel import map_pieces
from skymill.engine.products import manifest_path, read_json, write_document, write_json
from skymill.engine.space import require_space
from skymill.engine.unchanged import Unchanged
from skymill.raw.files import origin
from skymill.sdo.archive import (
    METHODS,
    READABLE,
    Contents,
    damaged,
    extract_member,
    is_link,
    overlapping,
    read_contents,
)
from skymill.sdo.check import describe_ignored
from skymill.sdo.names import METADATA

logger = logging.getLogger(__name__)

MEMBERS_PER_PIECE = 500
MAX_RATIO = 200
"""Largest compression ratio of a member. Deflate reaches 1,032 on zeros; JPEGs stay below 2, and
tables of text below 20."""
LARGE = 2**20
"""Bytes above which the ratio is checked: small members are harmless."""
MOST_RATIO = 100
"""Largest size of all files together, in multiples of the zip's size."""
LARGEST = 2**28
"""Maximum size of a file in bytes: each file is read into memory."""
LONGEST_NAME = 255
LONGEST_PATH = 1024
MOST_STEPS = 32
"""Maximum numbers of bytes and of folders of a path."""
SHOWN = 20

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]|^[A-Za-z]:|(?:^|/)\.{0,2}(?:/|$)")
"""Control characters, drive letters, and path components that are empty, `.` or `..`."""


@dataclass(frozen=True)
class Selection:
    """The members of a zip that are extracted.

    Attributes
    ----------
    rows
        int64, positions in the zip's contents, in the order of their paths.
    paths
        The path of each extracted member, relative to the target.
    copies, folders
        How many members are copies of an extracted member, and how many are folders.
    refused
        By reason, the names of the members that are not extracted.
    conflicts
        Paths of different files whose names are equal or differ only in letter case, a list for
        each name.
    """

    rows: np.ndarray
    paths: list[str]
    copies: int
    folders: int
    refused: dict[str, list[str]]
    conflicts: list[list[str]]


def select(contents: Contents) -> Selection:
    """Choose the members to extract and their paths. The order of the zip does not matter.

    Some Windows programs write backslashes in paths: backslashes count as slashes.

    One of several copies is extracted. A folder with several spellings is made once, in the
    spelling that sorts last, which is lower case. Different files under one case-folded path are
    all kept: the content with the most copies gets the plain name, and the other contents get CRC
    and size in their names.
    """
    members = contents.members
    names_of = [name.replace("\\", "/") for name in contents.names]
    refused: dict[str, list[str]] = {}
    wanted, folders = [], 0
    suspect, overlap = _suspects(members), overlapping(members)
    for row, name in enumerate(names_of):
        reason = _refuse_name(name)
        if reason is None and suspect[row]:
            reason = _refuse_member(members[row])
        if reason is None and overlap[row]:
            reason = "overlapping"
        if reason:
            refused.setdefault(reason, []).append(contents.names[row][:LONGEST_PATH])
        elif name.endswith("/"):
            folders += 1
        else:
            wanted.append(row)

    spelling: dict[str, str] = {}
    for parent in {names_of[row].rpartition("/")[0] for row in wanted}:
        parts = parent.split("/")
        for depth in range(1, len(parts) + 1):
            folded = "/".join(parts[:depth]).casefold()
            spelling[folded] = max(spelling.get(folded, ""), parts[depth - 1])
    homes = _homes(spelling)

    keys = {row: names_of[row].casefold() for row in wanted}
    wanted.sort(key=lambda row: (keys[row], names_of[row]))
    rows, paths, conflicts = [], [], []
    for folded, group in groupby(wanted, key=keys.__getitem__):
        if folded in spelling:
            raise SkymillError(
                f"the zip contains both a file and a folder called {folded}, so it is not the "
                "published data set. Fetch it again."
            )
        by_content: dict[tuple[int, int], list[int]] = {}
        for row in group:
            content = int(members["crc"][row]), int(members["size"][row])
            by_content.setdefault(content, []).append(row)
        home = homes[folded.rpartition("/")[0]]
        # Most copies first, then by content.
        ranked = sorted(by_content.items(), key=lambda item: (-len(item[1]), item[0]))
        if folded.endswith(f"/{METADATA}") and _is_tied(ranked):
            raise SkymillError(
                f"the zip contains different tables as {names_of[ranked[0][1][0]]} (ignoring "
                "letter case), with the same number of copies. Make a new zip with the right table."
            )
        plain = min(names_of[row].rpartition("/")[2] for row in ranked[0][1])
        names = [plain]
        for (crc, size), _ in ranked[1:]:
            whole = PurePosixPath(plain)
            names.append(f"{whole.stem}.{crc:08x}-{size}{whole.suffix}")
        here = [f"{home}{name}" for name in names]
        # Members with the same content are interchangeable; the first by offset is read in order.
        rows += [min(same, key=lambda row: members["offset"][row]) for _, same in ranked]
        paths += here
        if len(here) > 1:
            conflicts.append(here)
    return Selection(
        np.array(rows, dtype=np.int64),
        paths,
        len(wanted) - len(rows),
        folders,
        {reason: sorted(names) for reason, names in sorted(refused.items())},
        conflicts,
    )


def _is_tied(ranked: list[tuple[tuple[int, int], list[int]]]) -> bool:
    """Return whether the two contents with the most copies have the same number of copies."""
    return len(ranked) > 1 and len(ranked[0][1]) == len(ranked[1][1])


def _refuse_name(name: str) -> str | None:
    """Return the reason why a name is refused, or None."""
    if _UNSAFE.search(name.removesuffix("/")):
        return "unsafe_name"
    if len(name) > LONGEST_NAME // 4:
        parts = name.split("/")
        if len(parts) > MOST_STEPS or len(name.encode()) > LONGEST_PATH:
            return "path_too_deep"
        if any(len(part.encode()) > LONGEST_NAME for part in parts):
            return "name_too_long"
    return None


def _suspects(members: np.ndarray) -> np.ndarray:
    """Return which members cannot be extracted: bool, shape (members,); `_refuse_member` says why.

    All members are checked in one call, because few of a million members are suspects.
    """
    return (
        is_link(members["mode"])
        | members["encrypted"]
        | ~np.isin(members["method"], READABLE)
        | _has_absurd_ratio(members)
        | (members["size"] > LARGEST)
    )


def _refuse_member(member: np.void) -> str:
    """Return the reason why a suspect is refused, such as `compressed_by_deflate64`."""
    if is_link(member["mode"]):
        return "symbolic_link"
    if member["encrypted"]:
        return "encrypted"
    if _has_absurd_ratio(member):
        return "absurd_compression_ratio"
    if member["size"] > LARGEST:
        return "too_large"
    method = int(member["method"])
    return f"compressed_by_{METHODS.get(method, f'method_{method}')}"


def _has_absurd_ratio(members: np.ndarray) -> np.ndarray:
    """Return which members grow or shrink absurdly when unpacked, by their declared sizes."""
    size, compressed = members["size"], members["compressed"]
    # A member that shrinks would be read whole for a few bytes.
    shrinks = (compressed > LARGE) & (compressed // np.uint64(MAX_RATIO) > size)
    return shrinks | ((size > LARGE) & (size // np.uint64(MAX_RATIO) > compressed))


def _homes(spelling: dict[str, str]) -> dict[str, str]:
    """Return the path, with a slash at the end, of each case-folded folder."""
    homes = {"": ""}
    for folded in sorted(spelling, key=lambda folder: folder.count("/")):
        if folded:
            homes[folded] = f"{homes[folded.rpartition('/')[0]]}{spelling[folded]}/"
    return homes


@dataclass(frozen=True)
class UnpackPiece:
    """Some members to extract, and the mark that is set when all of them are extracted."""

    archive: Path
    names: list[str]
    members: np.ndarray
    paths: list[str]
    folder: Path
    mark: Path


def unpack(archive: Path, folder: Path, *, workers: int = 1) -> dict:
    """Unpack a zip and write the manifest of the extracted files.

    Files are extracted into `.<name>.partial/` next to the target. A later run resumes there unless
    the zip has changed. At the end this folder becomes the target. The manifest is written before
    that: a tree without a manifest counts as unpacked by a user and is never changed.

    Parameters
    ----------
    archive
        The zip.
    folder
        The target folder; its content is replaced.
    workers
        Processes; the result does not depend on them.

    Returns
    -------
    The manifest: counts, refused members, and names in conflict. It has no entry per file, but one
    digest over path, size and CRC of all files; these are listed in a table next to the manifest.

    Raises
    ------
    SkymillError
        When the zip is damaged, contains no file that can be extracted, does not fit on the disk,
        or changes meanwhile.
    """
    with Unchanged(archive):
        contents, chosen, partial = _unpack_into_partial(archive, folder, workers)
        manifest = _describe(archive, contents, chosen)
    manifest["members_list"] = _write_members(folder, contents, chosen)
    write_document(manifest_path(folder), manifest)
    shutil.rmtree(folder, ignore_errors=True)
    (partial / "tree").replace(folder)
    flush_names(folder.parent)
    shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _unpack_into_partial(
    archive: Path, folder: Path, workers: int
) -> tuple[Contents, Selection, Path]:
    """Extract the chosen members into the partial folder next to the target."""
    contents = read_contents(archive)
    chosen = select(contents)
    if not chosen.paths:
        raise SkymillError(
            f"{archive} contains no file that can be extracted ({len(contents.names):,} members).\n"
            f"{describe_ignored(chosen.refused)}It is not the published data set. Fetch it "
            "again, or make a new zip (stored, deflate, bzip2 or lzma)."
        )
    _require_ratio(archive, contents.members[chosen.rows])
    for reason, names in chosen.refused.items():
        logger.warning("%d members refused as %s: %s", len(names), reason, names[:SHOWN])
    for paths in chosen.conflicts[:SHOWN]:
        logger.warning("different files under one name: %s", ", ".join(paths))

    partial = folder.with_name(f".{folder.name}.partial")
    tree, marks = partial / "tree", partial / "marks"
    _prepare(partial, archive, contents)
    _require_space(archive, contents.members[chosen.rows], chosen.paths, tree)
    for parent in sorted({path.rpartition("/")[0] for path in chosen.paths}):
        (tree / parent).mkdir(parents=True, exist_ok=True)
    marks.mkdir(exist_ok=True)
    names = [contents.names[row] for row in chosen.rows]
    work = []
    for first in range(0, len(names), MEMBERS_PER_PIECE):
        part = slice(first, first + MEMBERS_PER_PIECE)
        members = contents.members[chosen.rows[part]]
        mark = marks / f"{first:08d}"
        work.append(UnpackPiece(archive, names[part], members, chosen.paths[part], tree, mark))
    map_pieces(_unpack_piece, work, workers=workers, what=f"unpack {archive.name}")
    return contents, chosen, partial


def _require_ratio(archive: Path, members: np.ndarray) -> None:
    """Refuse a zip whose files together would grow absurdly."""
    total, size = sum(map(int, members["size"])), archive.stat().st_size
    if total > max(LARGE, MOST_RATIO * size):
        raise SkymillError(
            f"{archive} has {size / 1e6:,.1f} MB and would unpack to {total / 1e6:,.0f} MB, more "
            f"than {MOST_RATIO} times its size. It is not the published data set. Fetch it again."
        )


def _prepare(partial: Path, archive: Path, contents: Contents) -> None:
    """Make the partial folder, or keep the folder that an earlier run left for the same zip."""
    status = archive.stat()
    expected = {
        "bytes": status.st_size,
        "modified": status.st_mtime_ns,
        "contents": contents.sha256,
    }
    state = partial / "archive.json"
    try:
        known = read_json(state)
    except (OSError, SkymillError):
        known = None
    if known != expected:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_json(state, expected)
    (partial / "tree").mkdir(exist_ok=True)


def _require_space(archive: Path, members: np.ndarray, paths: list[str], tree: Path) -> None:
    """Check that the remaining files fit on the disk, by their declared sizes."""
    there = sum((tree / path).stat().st_size for path in paths if (tree / path).exists())
    needed = sum(map(int, members["size"])) - there
    require_space(tree.parent.parent, needed, f"unpacking {archive}", else_do=": unpacking resumes")


def _unpack_piece(piece: UnpackPiece) -> None:
    """Extract the members of a piece, unless an earlier run extracted them."""
    targets = [piece.folder / path for path in piece.paths]
    sizes = piece.members["size"].tolist()
    if piece.mark.exists() and all(map(_has_size, targets, sizes)):
        return
    with open(piece.archive, "rb") as stream:
        for name, member, target in zip(piece.names, piece.members, targets, strict=True):
            content = extract_member(piece.archive, stream, name, member)
            target.write_bytes(content)
            if target.stat().st_size != len(content):
                raise damaged(piece.archive, f"{name} was not written whole")
    # After a crash, a mark must not exist without its files.
    flush_file_system(piece.mark.parent)
    piece.mark.touch()


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _write_members(folder: Path, contents: Contents, chosen: Selection) -> dict:
    """Write the list with path, size and CRC of each file of the tree; return its entry."""
    import pyarrow as pa

    from skymill.engine.tables import write_table

    members = contents.members[chosen.rows]
    order = sorted(range(len(members)), key=chosen.paths.__getitem__)
    table = pa.table(
        {
            "name": pa.array([chosen.paths[row] for row in order], pa.string()),
            "bytes": pa.array(members["size"][order].astype(np.int64)),
            "crc32": pa.array(members["crc"][order].astype(np.uint32)),
        }
    )
    return write_table(folder.with_name(f"{folder.name}.manifest.members.parquet"), table)


def _describe(archive: Path, contents: Contents, chosen: Selection) -> dict:
    """Return the manifest of the unpacked tree."""
    members = contents.members[chosen.rows]
    digest = hashlib.sha256()
    for path, row in sorted(zip(chosen.paths, range(len(members)), strict=True)):
        digest.update(f"{path}\0{members['size'][row]}\0{members['crc'][row]:08x}\n".encode())
    return {
        "archive": {"name": archive.name, "bytes": archive.stat().st_size},
        "counts": {
            "members": len(contents.names),
            "folders": chosen.folders,
            "copies": chosen.copies,
            "refused": sum(map(len, chosen.refused.values())),
            "extracted": len(chosen.paths),
            "bytes": sum(map(int, members["size"])),
            "names_in_conflict": len(chosen.conflicts),
        },
        "refused": {reason: names[:SHOWN] for reason, names in chosen.refused.items()},
        "conflicts": chosen.conflicts[:SHOWN],
        "tree_sha256": digest.hexdigest(),
        "files": [],
        "source": origin(archive),
    }
