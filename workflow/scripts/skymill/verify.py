"""A search for damaged files: `skymill verify [RESULTS] [--repair]`.

The command reads every product, manifest, receipt, raw file and unpacked image, and compares its
content with the digest from when it was made. `--repair` deletes the manifest or receipt of each
damaged file. Then the next run makes this file again, and all products that were made from it.
"""

import contextlib
import functools
import hashlib
import os
import shutil
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from skymill import paths
from skymill.engine.durable import delete_partial, partial_path
from skymill.engine.errors import SkymillError
from skymill.engine.names import SHARED_RAW
from skymill.engine.products import MANIFEST, manifest_path
from skymill.engine.run_lock import LOCAL, RunLock
from skymill.engine.words import listed
from skymill.inventory import (
    FETCHED,
    OWN,
    PRODUCT,
    SIDECAR,
    TREE,
    Damage,
    Described,
    Inventory,
    documents_of,
    in_cache,
    take_inventory,
    with_lists,
)
from skymill.paths import DEFAULT_RESULTS
from skymill.raw.fetch import CACHE
from skymill.raw.files import HashedRaw, sidecar_path

SHOWN = 50
"""The most lines of each list that are printed."""
READ_BYTES = 2**20
PIECE_BYTES, PIECE_FILES = 2**26, 256
"""The most that a thread reads in one task: bytes (but at least one file), and number of files."""


@dataclass
class Verdict:
    """The result of a comparison.

    Attributes
    ----------
    inventory
        The files that were compared.
    damaged
        The damage, sorted by path.
    deleted, left
        Files that a repair deleted, and texts that say which damaged files it left, and why.
    """

    inventory: Inventory
    damaged: list[Damage]
    deleted: list[Path] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Return whether all files are there and unchanged."""
        return not self.damaged and not self.inventory.missing

    def text(self) -> str:
        """Return the report."""
        inventory = self.inventory
        files = {one.path for one in inventory.described}
        total = sum(path.stat().st_size for path in files if path.is_file())
        lines = [
            f"{inventory.results}/: {len(files):,} files ({total / 1e9:.2f} GB) and "
            f"{len(inventory.documents):,} manifests and receipts compared with their checksums."
        ]
        by_hand = [one for one in self.damaged if one.kind == OWN]
        others = [one for one in self.damaged if one.kind != OWN]
        lines += _listed("DAMAGED:", [f"{one.path}: {one.what}" for one in others])
        lines += _listed(
            "CHANGED, your own files, which Skymill never changes (put the right file there, or "
            "run again if you meant the change):",
            [f"{one.path}: {one.what}" for one in by_hand],
        )
        lines += _listed("MISSING (the next run makes them again):", map(str, inventory.missing))
        lines += _listed(
            "Described by no manifest, and in no product that Skymill reads:",
            map(str, inventory.undescribed),
        )
        lines += _listed(
            "Deleted since they were read, and not compared:", map(str, inventory.absent)
        )
        lines += _listed("Not compared:", inventory.elsewhere)
        lines += _listed("Deleted:", map(str, self.deleted))
        lines += _listed("Not deleted:", self.left)
        if self.deleted:
            lines += [
                "",
                "Run again to make the damaged files again, and all products made from them.",
            ]
        elif others:
            repair = f"`skymill verify {inventory.results} --repair`"
            lines += [
                "",
                f"{repair} deletes the manifests and receipts of damaged files, and damaged "
                "downloads. Then run again to make these files again, and all products made from "
                "them.",
            ]
        elif self.is_sound:
            lines += ["Nothing is damaged or missing."]
        return "\n".join(lines)


def _listed(title: str, lines: Iterable[str]) -> list[str]:
    text = listed(lines, SHOWN)
    return ["", f"{title}{text}"] if text else []


def verify(results: str = DEFAULT_RESULTS, *, repair: bool = False) -> Verdict:
    """Compare a results folder, and the raw files it was made from, with the recorded digests.

    Parameters
    ----------
    results
        The folder, relative to the folder that Snakemake runs in.
    repair
        Delete the documents of damaged products, and damaged downloads, simulated files and
        unpacked trees. The user's own files stay.

    Raises
    ------
    SkymillError
        When a run works in the folder, or the folder does not exist or contains nothing to compare.
    """
    if "://" in results:
        raise SkymillError("verify works on a folder of this machine, not on object storage.")
    folder, results = results, results.rstrip("/")
    if not results or not Path(results).is_dir():
        where = folder or "without a name"
        raise SkymillError(f"There is no folder {where}, so there are no results to compare.")
    with _alone(results, writes=repair):
        inventory = take_inventory(results)
        if inventory.is_empty:
            raise SkymillError(
                f"{results}/ has no products, and no raw files that Skymill fetched or simulated. "
                "Give the name of a results folder."
            )
        verdict = Verdict(inventory, _compare(inventory))
        if repair:
            _repair(verdict)
    return verdict


@contextlib.contextmanager
def _alone(results: str, *, writes: bool) -> Iterator[None]:
    """Raise SkymillError if a run works in the folder: its unfinished files would look damaged.

    A repair writes a run's lock file, see run_lock. A comparison writes none, but checks again at
    its end.
    """
    folders = [results, *([SHARED_RAW] if Path(SHARED_RAW).is_dir() else [])]
    lock = RunLock(folders, Path.cwd())
    if not writes:
        lock.require_free()
        yield
        lock.require_free()
        return
    try:
        if lock.take(LOCAL):
            # `take` deleted the lock file of a killed run: its unfinished files must go as well.
            for folder in folders:
                delete_partial(folder, leave=SHARED_RAW)
        yield
    finally:
        lock.release()


def _compare(inventory: Inventory) -> list[Damage]:
    """Return all damage, sorted by path."""
    asked: dict[Path, set[str]] = {}
    for one in inventory.described:
        if one.size is None or _size(one) == one.size or one.digest.startswith("files:"):
            asked.setdefault(one.path, set()).add(one.digest.partition(":")[0])
    found = _digests(asked)
    damaged = list(inventory.damaged)
    for one in inventory.described:
        algorithm, _, expected = one.digest.partition(":")
        digests = found.get(one.path)
        if digests is None:
            what = f"has {_size(one):,} bytes instead of {one.size:,}"
        elif isinstance(digests, str):
            what = digests
        elif digests[algorithm] != expected:
            what = f"has other content than stated in {one.by}"
        else:
            continue
        damaged.append(Damage(one.path, what, one.kind, one.by))
    return _judged(damaged, inventory)


def _judged(damaged: list[Damage], inventory: Inventory) -> list[Damage]:
    """Return the damage, each file once.

    If a download matches its sidecar but not its receipt, the receipt is of another download. Then
    the receipt is the damaged file.
    """
    kept = {}
    vouched = {one.path for one in inventory.described if one.by == sidecar_path(one.path)} - {
        one.path for one in damaged if one.by == sidecar_path(one.path)
    }
    for one in damaged:
        if one.kind == FETCHED and one.path in vouched and one.by != sidecar_path(one.path):
            one = Damage(one.by, f"is not of the present {one.path}", PRODUCT, one.by)
        kept.setdefault(one.path, one)
    return sorted(kept.values(), key=lambda one: str(one.path))


def _size(one: Described) -> int:
    return one.path.stat().st_size


def _digests(asked: dict[Path, set[str]]) -> dict[Path, dict[str, str] | str]:
    """Return the digests of files by algorithm, or why a file cannot be read.

    All cores read at the same time. A file with several names (hard links) is read once.
    """
    from tqdm import tqdm

    files: dict[tuple, tuple[Path, set[str]]] = {}
    for path, algorithms in asked.items():
        status = path.stat()
        files.setdefault((status.st_dev, status.st_ino), (path, set()))[1].update(algorithms)
    sizes = {key: path.stat().st_size for key, (path, _) in files.items()}
    # The largest files come first. Else one core could read a large file while the others wait.
    order = sorted(files, key=lambda key: (-sizes[key], str(files[key][0])))
    pieces, size = [[]], 0
    for key in order:
        if size + sizes[key] > PIECE_BYTES or len(pieces[-1]) == PIECE_FILES:
            pieces.append([])
            size = 0
        pieces[-1].append(key)
        size += sizes[key]
    lock = threading.Lock()
    bar = tqdm(
        total=sum(sizes.values()),
        desc="verify",
        unit="B",
        unit_scale=True,
        disable=None,
        file=sys.stderr,
        leave=False,
    )

    def advance(count: int) -> None:
        with lock:
            bar.update(count)

    def read(piece: list[tuple]) -> list[tuple[tuple, dict[str, str] | str]]:
        return [(key, _digest(*files[key], advance)) for key in piece]

    with bar, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = dict(one for piece in pool.map(read, pieces) for one in piece)
    return {path: found[path.stat().st_dev, path.stat().st_ino] for path in asked}


def _digest(
    path: Path, algorithms: set[str], advance: Callable[[int], None]
) -> dict[str, str] | str:
    """Return the digests of a file by algorithm, or a text that says why it cannot be read."""
    try:
        if path.is_dir():
            return {"files": HashedRaw(path, "folder").receipt()["sha256"]}
        digests = {name: _NEW[name]() if name in _NEW else hashlib.new(name) for name in algorithms}
        with open(path, "rb", buffering=0) as stream:
            while part := stream.read(READ_BYTES):
                for digest in digests.values():
                    digest.update(part)
                advance(len(part))
    except (OSError, SkymillError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    return {name: digest.hexdigest() for name, digest in digests.items()}


class _Crc32:
    """CRC-32 with the interface of hashlib."""

    def __init__(self):
        self._value = 0

    def update(self, part: bytes) -> None:
        self._value = zlib.crc32(part, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


_NEW = {"crc32": _Crc32, "blake2b64": functools.partial(hashlib.blake2b, digest_size=8)}
"""Digests that hashlib.new does not know by these names."""


def _repair(verdict: Verdict) -> None:
    """Delete documents and files so that the next run makes damaged products again."""
    doomed: list[Path] = []
    for one in verdict.damaged:
        if one.kind == PRODUCT:
            doomed += with_lists([one.by])
        elif one.kind == FETCHED:
            doomed += _of_raw(one, verdict)
        elif one.kind == TREE:
            doomed += _of_tree(one, verdict)
    verdict.left = sorted(set(verdict.left))
    verdict.deleted = [path for path in dict.fromkeys(doomed) if path.exists()]
    for path in verdict.deleted:
        if path.is_dir():
            # Renamed first, because a half-deleted tree must not look like a complete tree.
            shutil.rmtree(path.replace(partial_path(path)))
        else:
            path.unlink()


def _of_raw(one: Damage, verdict: Verdict) -> list[Path]:
    """Return what to delete for a damaged download or simulated file, or a damaged sidecar."""
    raw = Path(str(one.path).removesuffix(SIDECAR))
    documents = documents_of(raw, verdict.inventory)
    kept = in_cache(raw)
    is_linked = kept is not None and kept.exists() and kept.samefile(raw)
    if one.path != raw and SHARED_RAW in map(str, raw.parents) and CACHE not in raw.parents:
        read = [verdict.inventory.documents[name]["source"] for name in documents]
        is_as_read = read and "local" not in read and raw not in {d.path for d in verdict.damaged}
        if not (is_linked or is_as_read):
            verdict.left.append(
                f"{raw}: its sidecar is damaged, so it may be your own file. If it is yours, "
                f"delete {one.path}. Else delete both files."
            )
            return []
    found = [Path(verdict.inventory.results, name) for name in documents]
    found = [*with_lists(found), raw, sidecar_path(raw)]
    if is_linked and one.path == raw:
        found += [kept, sidecar_path(kept)]
    return found


def _of_tree(one: Damage, verdict: Verdict) -> list[Path]:
    """Return what to delete for a damaged image: the whole unpacked tree, if its zip is there.

    Without its manifest the tree would look like the user's own, so the manifest is never deleted
    alone.
    """
    tree = Path(str(one.by).removesuffix(MANIFEST))
    archive = tree.with_name(paths.SDO_FILE)
    own = {other.path for other in verdict.damaged if other.kind == OWN}
    if not archive.exists() or archive in own:
        verdict.left.append(f"{tree}: it was unpacked from {archive}, which is missing or changed")
        return []
    receipt = Path(verdict.inventory.results, paths.SDO_RECEIPT)
    return [receipt, tree, *with_lists([manifest_path(tree)])]
