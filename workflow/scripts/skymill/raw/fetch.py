"""A raw file put into place: from the cache when it is still good, else from its archive.

The cache holds a hard link of every file that was fetched, so it takes no room. Snakemake deletes
a rule's outputs before it runs the rule again; what is in the cache is then hashed instead of
downloaded.
"""

import gzip
import hashlib
import logging
import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from skymill.engine.digests import large_file_digest
from skymill.engine.errors import SkymillError
from skymill.engine.products import new_file, read_json
from skymill.raw.dataverse import Listed, find_file
from skymill.raw.file_types import require_kind
from skymill.raw.files import sidecar_path, write_sidecar
from skymill.raw.http import (
    CHUNK_BYTES,
    HEAD_BYTES,
    PATIENCE,
    Expected,
    NotThereError,
    Patience,
    download,
)
from skymill.raw.registry import LOCK, Source, enforced_checksum, learn, learnt

logger = logging.getLogger(__name__)

CACHE = Path("data/raw/.cache")
"""On the disk of the raw files, because hard links do not reach another."""


def fetch(
    source: Source,
    target: Path,
    *,
    cache: Path = CACHE,
    lock: Path = LOCK,
    patience: Patience = PATIENCE,
    may_be_absent: bool = False,
) -> None:
    """Put the file of a registry entry at `target`, with a sidecar that says where it came from.

    With `may_be_absent` a tarball that the archive does not have, though it has later ones, becomes
    an empty one, and the sidecar says so. The cache does not keep it: the next time it is asked for
    again.

    Raises
    ------
    SkymillError
        When the file cannot be had, or is not the one that the registry or the lock describes.
    """
    kept = cache / source.file
    note = _usable(kept, source, lock)
    if note is None:
        known = learnt(source, lock)
        told = Listed()
        try:
            if source.dataverse and known is None:
                told = _ask_dataverse(source, kept.parent, patience)
                source = replace(source, size=told.size, checksum=told.checksum)
            checksum = _bring(source, kept, known, patience)
        except SkymillError as error:
            absent = may_be_absent and isinstance(error, NotThereError)
            if absent and _passed_over(source, kept.parent, patience):
                _write_empty(source, target)
                return
            if known:
                advice = (
                    f"The first download of it had {known['checksum']}. If it has changed and you "
                    f"trust the new one, delete its entry in {lock} and run again."
                )
            elif source.addresses:
                advice = (
                    "What has arrived is kept: run again to go on with it. Or get the file from "
                    f"{source.page} and put it at data/raw/{source.file}."
                )
            else:
                raise  # Kaggle's has its own advice
            raise SkymillError(f"{error}\n{advice}") from None
        if known is None and (source.checksum is None or source.member or source.dataverse):
            learn(source, kept.stat().st_size, checksum, lock, licence=told.licence)
        note = {"checksum": checksum, "bytes": kept.stat().st_size, "version": source.version}
        write_sidecar(kept, "archive", **note)
    # First: a file without a sidecar would pass for one put there by hand.
    write_sidecar(target, "archive", **note)
    with new_file(target) as temporary:
        try:
            os.link(kept, temporary)
        except OSError:  # the file system knows no hard links
            shutil.copyfile(kept, temporary)
        # Now, not when the archive wrote it: what was made from an earlier file is older.
        os.utime(temporary)


def _write_empty(source: Source, target: Path) -> None:
    """Put a tarball without members in the place of one that the archive does not have."""
    logger.warning("%s is not in the archive: a night without alerts", source.addresses[0])
    content = gzip.compress(bytes(tarfile.RECORDSIZE), mtime=0)
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    note = {"checksum": checksum, "bytes": len(content), "version": source.version}
    write_sidecar(target, "archive", absent=source.addresses[0], **note)
    with new_file(target) as temporary:
        temporary.write_bytes(content)


def _usable(kept: Path, source: Source, lock: Path) -> dict | None:
    """Return the note of a file in the cache if it is whole and what the registry asks for."""
    if not kept.exists() or not sidecar_path(kept).exists():
        return None
    note = read_json(sidecar_path(kept))
    wanted = enforced_checksum(source, lock) or note["checksum"]
    algorithm = wanted.partition(":")[0]
    if note["version"] == source.version and kept.stat().st_size == note["bytes"]:
        found = f"{algorithm}:{large_file_digest(kept, algorithm)}"
        if found == wanted:
            logger.info("%s is in the cache and unchanged", source.file)
            return {"checksum": found, "bytes": note["bytes"], "version": note["version"]}
    logger.warning("%s in the cache is another one, or damaged: fetching it anew", source.file)
    kept.unlink()
    sidecar_path(kept).unlink()
    return None


def _bring(source: Source, kept: Path, known: dict | None, patience: Patience) -> str:
    """Download a file into the cache and return its checksum, as `algorithm:hexadecimal`."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    if source.member is None:
        expected = known["checksum"] if known else _checksum(source, kept.parent, patience)
        if source.kaggle:
            return _bring_from_kaggle(source, kept, expected)
        return _download(source, kept, expected, patience)
    if source.kaggle:
        archive = _dataset(source, kept)
    else:
        archive = kept.with_name(f"{kept.name}.archive")
        if not archive.exists():  # else an earlier run was ended while it was read
            _download(source, archive, source.checksum, patience)
    checksum = f"sha256:{_extract(archive, source.member, kept)}"
    archive.unlink()
    if known and checksum != known["checksum"]:
        kept.unlink()
        raise SkymillError(f"{source.member} of {source.kaggle or source.addresses[0]} changed.")
    return checksum


def _download(source: Source, path: Path, checksum: str | None, patience: Patience) -> str:
    algorithm, _, wanted = (checksum or "sha256:").partition(":")
    kind = source.kind if source.member is None else "gzip"
    expected = Expected(
        kind=kind,
        size=source.size,
        algorithm=algorithm,
        checksum=wanted or None,
        disk_bytes=source.disk_bytes,
    )
    found = download(list(source.addresses), path, expected, patience=patience)
    return f"{algorithm}:{found}"


def _checksum(source: Source, folder: Path, patience: Patience) -> str | None:
    """Return the checksum that the registry knows, or that the archive publishes in a list."""
    if source.checksum or not source.checksums:
        return source.checksum
    name = source.file.rpartition("/")[2]
    listed = _listed(source, folder, patience)
    if name not in listed:
        logger.warning("%s does not list %s: nothing to compare it with", source.checksums, name)
    return listed.get(name)


def _ask_dataverse(source: Source, folder: Path, patience: Patience) -> Listed:
    """Return what the file's Dataverse tells of it: size, checksum, licence."""
    address = source.dataverse["dataset"]
    path = folder / f"{source.file.rpartition('/')[2]}.dataset.json"
    try:
        download([address], path, Expected(kind="json"), patience=patience)
        document = read_json(path)
    finally:
        path.unlink(missing_ok=True)
    listed = find_file(document, source.dataverse["file"], address)
    if listed.checksum is None:
        logger.warning("%s tells no checksum of %s: it is learnt", address, source.file)
    return listed


def _passed_over(source: Source, folder: Path, patience: Patience) -> bool:
    """Return whether the archive's list leaves a file out, but names later ones."""
    name = source.file.rpartition("/")[2]
    listed = _listed(source, folder, patience) if source.checksums else {}
    return name not in listed and any(other > name for other in listed)


def _listed(source: Source, folder: Path, patience: Patience) -> dict[str, str]:
    """Return the checksums of the files that the archive's list names."""
    path = folder / f"{source.file.rpartition('/')[2]}.checksums"
    try:
        download([source.checksums], path, Expected(kind="text"), patience=patience)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except NotThereError as error:
        # It is the list that is not there, not the file.
        raise SkymillError(str(error)) from None
    finally:
        path.unlink(missing_ok=True)
    listed = {}
    for line in lines:
        md5, _, name = line.partition(" ")
        listed[name.strip().lstrip("*").removeprefix("./")] = f"md5:{md5.lower()}"
    return listed


def _dataset(source: Source, kept: Path) -> Path:
    # Imported here: the client is heavy, and only needed for Kaggle's data sets.
    from skymill.raw.kaggle import download_dataset

    archive = download_dataset(source, kept.parent / ".kaggle")
    with open(archive, "rb") as stream:
        head = stream.read(HEAD_BYTES)
    try:
        require_kind(head, "zip", f"{source.kaggle} from Kaggle")
    except SkymillError:
        archive.unlink()
        raise
    return archive


def _bring_from_kaggle(source: Source, kept: Path, expected: str | None) -> str:
    archive = _dataset(source, kept)
    algorithm = (expected or "sha256").partition(":")[0]
    found = f"{algorithm}:{large_file_digest(archive, algorithm)}"
    if expected and found != expected:
        archive.unlink()
        raise SkymillError(f"{source.kaggle}: its checksum is {found}, expected was {expected}.")
    archive.replace(kept)
    return found


def _extract(archive: Path, member: str, path: Path) -> str:
    """Extract one file from a zip or tarball, and return its SHA-256.

    Raises
    ------
    SkymillError
        When it is not there; the message names what is.
    """
    digest = hashlib.sha256()
    try:
        with (
            _open_member(archive, member) as source,
            new_file(path) as temporary,
            open(temporary, "wb") as stream,
        ):
            while piece := source.read(CHUNK_BYTES):
                stream.write(piece)
                digest.update(piece)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        archive.unlink()
        raise SkymillError(
            f"{archive} is damaged ({error}) and was deleted: run again to fetch it anew."
        ) from None
    return digest.hexdigest()


@contextmanager
def _open_member(archive: Path, member: str) -> Iterator[BinaryIO]:
    """Open the one member of a zip or tarball that has this name, whatever folder it is in."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
            found = [name for name in names if name.rpartition("/")[2] == member]
            if len(found) == 1:
                with opened.open(found[0]) as stream:
                    yield stream
                return
    else:
        names = []
        with tarfile.open(archive, "r|*") as opened:
            for info in opened:
                names.append(info.name)
                if info.isfile() and info.name.rpartition("/")[2] == member:
                    yield opened.extractfile(info)
                    return
    raise SkymillError(f"{archive} holds no single {member}, but {', '.join(names[:20])}.")
