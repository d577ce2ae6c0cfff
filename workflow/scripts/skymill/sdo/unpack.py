"""The zip as downloaded, unpacked once: each file one time, whatever letter case its folders have.

The download holds every file up to four times, under folders that differ only in letter case. Its
table of contents tells copies by their case-folded path, CRC and size, so they are never read.
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
"""Deflate reaches 1,032 on zeros; JPEGs stay below 2 and tables of text below 20."""
LARGE = 2**20
"""Bytes from which the ratio matters: a small member can do no harm."""
MOST_RATIO = 100
"""All files together: how many times the zip's own size they may have."""
LARGEST = 2**28
"""Bytes of a file: each is held in memory."""
LONGEST_NAME = 255
LONGEST_PATH = 1024
MOST_STEPS = 32
"""Bytes of a path, and how many folders it may lead through."""
SHOWN = 20

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]|^[A-Za-z]:|(?:^|/)\.{0,2}(?:/|$)")
"""Control characters, drives, and steps that are empty, `.` or `..`."""


@dataclass(frozen=True)
class Selection:
    """What of a zip is extracted.

    Attributes
    ----------
    rows
        int64, positions in the zip's contents, in the order of their paths.
    paths
        Where each of them goes, relative to the target.
    copies, folders
        How many members are copies of one that is extracted, and how many are folders.
    refused
        For each reason the names of the members that are not extracted because of it.
    conflicts
        Paths of different files whose names differ at most in letter case, for each such name.
    """

    rows: np.ndarray
    paths: list[str]
    copies: int
    folders: int
    refused: dict[str, list[str]]
    conflicts: list[list[str]]


def select(contents: Contents) -> Selection:
    """Choose the members to extract, and where to: the same whatever order the zip has them in.

    Some programs of Windows write backslashes between the steps of a path: they count as slashes.

    Of copies one is taken. A folder that is spelt in several ways is made once, in the spelling
    that sorts last, which is that in lower case. Different files under one case-folded path are
    all kept: the plain name goes to the content with most copies, and the others have CRC and
    size in their names.
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
                f"the zip holds both a file and a folder called {folded}: it is not the data set "
                "as published. Fetch it again."
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
                f"the zip holds different tables as {names_of[ranked[0][1][0]]} (letter case "
                "aside), and as many copies of each. Pack it anew with the one that you mean."
            )
        plain = min(names_of[row].rpartition("/")[2] for row in ranked[0][1])
        names = [plain]
        for (crc, size), _ in ranked[1:]:
            whole = PurePosixPath(plain)
            names.append(f"{whole.stem}.{crc:08x}-{size}{whole.suffix}")
        here = [f"{home}{name}" for name in names]
        # Members of one content are interchangeable; the first by offset reads forward.
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
    """Return whether the two contents with most copies have equally many."""
    return len(ranked) > 1 and len(ranked[0][1]) == len(ranked[1][1])


def _refuse_name(name: str) -> str | None:
    """Return why a name is not extracted, or None."""
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

    For all of them at once, because most of a million are none.
    """
    return (
        is_link(members["mode"])
        | members["encrypted"]
        | ~np.isin(members["method"], READABLE)
        | _swells(members)
        | (members["size"] > LARGEST)
    )


def _refuse_member(member: np.void) -> str:
    """Return why a suspect is not extracted, such as `compressed_by_deflate64`."""
    if is_link(member["mode"]):
        return "symbolic_link"
    if member["encrypted"]:
        return "encrypted"
    if _swells(member):
        return "absurd_compression_ratio"
    if member["size"] > LARGEST:
        return "too_large"
    method = int(member["method"])
    return f"compressed_by_{METHODS.get(method, f'method_{method}')}"


def _swells(members: np.ndarray) -> np.ndarray:
    """Return which members grow or shrink absurdly when unpacked, by their declared sizes."""
    size, compressed = members["size"], members["compressed"]
    # The other way round it would be read whole for a few bytes.
    shrinks = (compressed > LARGE) & (compressed // np.uint64(MAX_RATIO) > size)
    return shrinks | ((size > LARGE) & (size // np.uint64(MAX_RATIO) > compressed))


def _homes(spelling: dict[str, str]) -> dict[str, str]:
    """Return the path, with its slash, that stands for each case-folded folder."""
    homes = {"": ""}
    for folded in sorted(spelling, key=lambda folder: folder.count("/")):
        if folded:
            homes[folded] = f"{homes[folded.rpartition('/')[0]]}{spelling[folded]}/"
    return homes


@dataclass(frozen=True)
class UnpackPiece:
    """Some members to extract, and the mark that says that all of them were."""

    archive: Path
    names: list[str]
    members: np.ndarray
    paths: list[str]
    folder: Path
    mark: Path


def unpack(archive: Path, folder: Path, *, workers: int = 1) -> dict:
    """Unpack a zip and write the manifest of what came out.

    Files are extracted into `.<name>.partial/` beside the target, which a later run goes on with
    unless the zip has changed, and which becomes the target at the end. The manifest comes first:
    a tree without one counts as put there by hand and is never touched.

    Parameters
    ----------
    archive
        The zip.
    folder
        Where its files go; what stands there is replaced.
    workers
        Processes; the result does not depend on them.

    Returns
    -------
    The manifest: counts, what was refused, names that conflict, and instead of an entry for each
    file one digest over path, size and CRC of all, which are in a list beside the manifest.

    Raises
    ------
    SkymillError
        When the zip is damaged, holds nothing that can be extracted, or does not fit on the disk.
    """
    contents = read_contents(archive)
    chosen = select(contents)
    if not chosen.paths:
        raise SkymillError(
            f"{archive} holds no file that can be extracted ({len(contents.names):,} members).\n"
            f"{describe_ignored(chosen.refused)}It is not the data set as published: fetch it "
            "again, or pack it anew (stored, deflate, bzip2 and lzma are read)."
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

    manifest = _describe(archive, contents, chosen)
    manifest["members_list"] = _write_members(folder, contents, chosen)
    write_document(manifest_path(folder), manifest)
    shutil.rmtree(folder, ignore_errors=True)
    tree.replace(folder)
    flush_names(folder.parent)
    shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _require_ratio(archive: Path, members: np.ndarray) -> None:
    """Refuse a zip whose files would grow absurdly, all together."""
    total, size = sum(map(int, members["size"])), archive.stat().st_size
    if total > max(LARGE, MOST_RATIO * size):
        raise SkymillError(
            f"{archive} has {size / 1e6:,.1f} MB and would unpack to {total / 1e6:,.0f} MB, more "
            f"than {MOST_RATIO} times its size. It is not the data set as published: fetch it anew."
        )


def _prepare(partial: Path, archive: Path, contents: Contents) -> None:
    """Make the partial folder, or keep the one that an earlier run left for the same zip."""
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
    """Check that what is still to be extracted fits on the disk, by the declared sizes."""
    there = sum((tree / path).stat().st_size for path in paths if (tree / path).exists())
    needed = sum(map(int, members["size"])) - there
    require_space(
        tree.parent.parent, needed, f"unpacking {archive}", else_do=": it goes on where it was"
    )


def _unpack_piece(piece: UnpackPiece) -> None:
    """Extract the members of a piece, unless an earlier run did."""
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
    # A mark must not outlive the files that it stands for.
    flush_file_system(piece.mark.parent)
    piece.mark.touch()


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _write_members(folder: Path, contents: Contents, chosen: Selection) -> dict:
    """Write path, size and CRC of each file of the tree; return the entry of the list."""
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
