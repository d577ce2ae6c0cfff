"""Put a raw file into place: from the cache if the cached file is valid, else from its archive.

The cache contains a hard link to every fetched file, so it uses no extra space. Snakemake deletes
a rule's outputs before it reruns the rule. The job then hashes the file in the cache instead of
downloading it again.
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
from skymill.raw.credentials import HOW_TO
from skymill.raw.dataverse import Listed, find_file
from skymill.raw.files import read_sidecar, sidecar_path, write_sidecar
from skymill.raw.http import (
    CHUNK_BYTES,
    PATIENCE,
    Address,
    Arrived,
    Expected,
    NotFetchedError,
    NotThereError,
    OtherContentError,
    Patience,
    download,
    worst,
)
from skymill.raw.registry import LOCK, Source, enforced_checksum, learn, learnt

logger = logging.getLogger(__name__)

CACHE = Path("data/raw/.cache")
"""On the disk of the raw files, because hard links must be on the same disk."""


def is_cached(file: str, cache: Path = CACHE) -> bool:
    """Return whether a file is in the cache and need not be downloaded."""
    return (cache / file).exists() and sidecar_path(cache / file).exists()


def fetch(
    source: Source,
    target: Path,
    *,
    cache: Path = CACHE,
    lock: Path = LOCK,
    patience: Patience = PATIENCE,
    may_be_absent: bool = False,
) -> None:
    """Put the file of a registry entry at `target`, with a sidecar that names its origin.

    With `may_be_absent`, an empty tarball replaces a tarball that the archive does not have, if the
    archive has later tarballs. The sidecar says so. The empty tarball is not in the cache, so the
    next run of the rule asks the archive again.

    Raises
    ------
    SkymillError
        When no origin provides the file, or the file is not the one in the registry or the lock.
    """
    kept = cache / source.file
    note = _usable(kept, source, lock)
    if note is None:
        try:
            note = _bring(source, kept, lock, patience)
        except NotThereError:
            if not (may_be_absent and _passed_over(source, kept.parent, patience)):
                raise
            _write_empty(source, target)
            return
        write_sidecar(kept, "archive", **note)
    # The sidecar comes first: a file without a sidecar counts as put there by hand.
    write_sidecar(target, "archive", **note)
    with new_file(target) as temporary:
        try:
            os.link(kept, temporary)
        except OSError:  # the file system has no hard links
            shutil.copyfile(kept, temporary)
        # The file's time must be now: products of an earlier file are then older than this file.
        os.utime(temporary)


def _write_empty(source: Source, target: Path) -> None:
    """Write an empty tarball in place of a tarball that the archive does not have."""
    logger.warning("%s is not in the archive: a night without alerts", source.web)
    content = gzip.compress(bytes(tarfile.RECORDSIZE), mtime=0)
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    note = {"checksum": checksum, "bytes": len(content), "version": source.version}
    write_sidecar(target, "archive", absent=source.web, **note)
    with new_file(target) as temporary:
        temporary.write_bytes(content)


def _usable(kept: Path, source: Source, lock: Path) -> dict | None:
    """Return the note of a cached file; None if the file is damaged or not as in the registry."""
    if not kept.exists() or not sidecar_path(kept).exists():
        return None
    if (note := _note_in_cache(kept)) is not None:
        origin = note.get("origin", source.origins[0])
        wanted = enforced_checksum(source, origin, lock) or note["checksum"]
        algorithm = wanted.partition(":")[0]
        if note["version"] == source.version and kept.stat().st_size == note["bytes"]:
            found = f"{algorithm}:{large_file_digest(kept, algorithm)}"
            if found == wanted:
                logger.info("%s is in the cache and unchanged", source.file)
                return {**note, "checksum": found, "origin": origin}
    logger.warning("%s in the cache is another file or damaged: fetching it again", source.file)
    kept.unlink()
    sidecar_path(kept).unlink()
    return None


def _note_in_cache(kept: Path) -> dict | None:
    """Return the content of a cached file's sidecar, or None when the sidecar is damaged."""
    try:
        return {key: value for key, value in read_sidecar(kept).items() if key != "source"}
    except SkymillError:
        return None


def _note(source: Source, origin: str, checksum: str, size: int) -> dict:
    """Return the content of a fetched file's sidecar."""
    return {"checksum": checksum, "bytes": size, "origin": origin, "version": source.version}


def _bring(source: Source, kept: Path, lock: Path, patience: Patience) -> dict:
    """Download a file into the cache, from the first origin that provides it; return its note.

    Raises
    ------
    NotThereError
        When every origin answers that it does not have the file.
    NotFetchedError
        When no origin provides the file, or an origin provides another file than before. The
        message says what to do.
    SkymillError
        When the disk is full, or the file is damaged.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    failures, kinds = [], []
    for origin, addresses in _origins(source, kept, failures, kinds):
        known = learnt(source, origin, lock)
        described, licence = source, None
        try:
            if source.dataverse and known is None:
                listed = _ask_dataverse(source, kept.parent, patience)
                described = replace(source, size=listed.size, checksum=listed.checksum)
                licence = listed.licence
            checksum, proven = _bring_from(described, origin, addresses, kept, known, patience)
        except NotFetchedError as error:
            failures.append(str(error))
            kinds.append(type(error))
            if isinstance(error, OtherContentError):
                # Trying another origin would only hide the change.
                failures += [_if_you_trust_it(known, lock)] if known else []
                break
            continue
        if proven and known is None and (source.checksum is None or source.member):
            learn(source, origin, kept.stat().st_size, checksum, lock, licence=licence)
        note = _note(source, origin, checksum, kept.stat().st_size)
        return {**note, "instead_of": source.kaggle_page} if kinds else note
    raise worst(kinds)("\n".join([*failures, _or_by_hand(source)]))


def _origins(
    source: Source, kept: Path, failures: list[str], kinds: list[type[NotFetchedError]]
) -> Iterator[tuple[str, list[Address | str]]]:
    """Yield the origins to try, each with its addresses. If Kaggle is left out, add the failure."""
    if source.kaggle:
        # Imported here, because only Kaggle's data sets need this module.
        from skymill.raw.kaggle import adopt_part, kaggle_address

        adopt_part(source, _download_path(source, kept), kept.parent / ".kaggle")
        try:
            address = kaggle_address(source)
        except SkymillError as error:
            logger.warning("%s: %s", source.kaggle_page, error)
            failures.append(f"{source.kaggle_page}: {error}")
            kinds.append(NotFetchedError)
        else:
            if address:
                yield source.kaggle_page, [address]
            else:
                logger.info("Skymill found no credentials for Kaggle")
                failures.append(
                    f"{source.kaggle_page}: Skymill found no credentials for Kaggle. To "
                    f"authenticate, {HOW_TO}."
                )
    if source.addresses:
        yield source.web, list(source.addresses)


def _if_you_trust_it(known: dict, lock: Path) -> str:
    return (
        f"The first download of the file had {known['checksum']}. If the file has changed and you "
        f"trust the new one, delete its entry in {lock} and run again."
    )


def _or_by_hand(source: Source) -> str:
    return (
        "The bytes that have arrived are kept: run again to resume the download. Or get the file "
        f"from {source.page} and put it at data/raw/{source.file}."
    )


def _download_path(source: Source, kept: Path) -> Path:
    """Return the path of a download. The archive of a member has another name, and is deleted."""
    return kept.with_name(f"{kept.name}.archive") if source.member else kept


def _bring_from(
    source: Source,
    origin: str,
    addresses: list[Address | str],
    kept: Path,
    known: dict | None,
    patience: Patience,
) -> tuple[str, bool]:
    """Download a file into the cache from one origin.

    Returns
    -------
    The file's checksum, as `algorithm:hexadecimal`, and whether later downloads must have the same
    checksum.
    """
    if source.member is None:
        expected = known["checksum"] if known else None
        if expected is None:
            expected = _checksum(source, origin, kept.parent, patience)
        arrived = _download(source, origin, addresses, kept, expected, patience)
        return arrived.checksum, arrived.proven
    archive = _download_path(source, kept)
    note = sidecar_path(archive)
    wanted = {"origin": origin, "version": source.version, "checksum": source.checksum}
    left = (_note_in_cache(archive) if archive.exists() and note.exists() else None) or {}
    if left.items() >= wanted.items():
        # An earlier run was stopped while it read the archive, or did not find the member.
        proven = left["proven"]
    else:
        arrived = _download(source, origin, addresses, archive, source.checksum, patience)
        proven = arrived.proven
        write_sidecar(archive, "archive", proven=proven, **wanted)
    checksum = f"sha256:{_extract(archive, source.member, kept)}"
    archive.unlink()
    note.unlink()
    if known and checksum != known["checksum"]:
        kept.unlink()
        raise OtherContentError(f"{source.member} of {origin} changed: it has {checksum}.")
    return checksum, proven


def _download(
    source: Source,
    origin: str,
    addresses: list[Address | str],
    path: Path,
    checksum: str | None,
    patience: Patience,
) -> Arrived:
    """Download a file, or the archive of a member; `checksum` is `algorithm:hexadecimal`."""
    algorithm, _, wanted = (checksum or "sha256:").partition(":")
    expected = Expected(
        kind=_kind(source, origin),
        size=source.size,
        algorithm=algorithm,
        checksum=wanted or None,
        disk_bytes=source.disk_bytes,
        min_size=source.min_size,
        min_lines=source.min_lines,
    )
    arrived = download(addresses, path, expected, patience=patience)
    return Arrived(f"{algorithm}:{arrived.checksum}", arrived.proven)


def _kind(source: Source, origin: str) -> str:
    """Return the kind of the downloaded file."""
    if source.member is None:
        return source.kind
    return "zip" if origin == source.kaggle_page or origin.endswith(".zip") else "gzip"


def _checksum(source: Source, origin: str, folder: Path, patience: Patience) -> str | None:
    """Return the checksum from the registry, or from a list that the archive publishes."""
    if source.checksum or not source.checksums or origin != source.web:
        return source.checksum
    name = source.file.rpartition("/")[2]
    listed = _listed(source, folder, patience)
    if name not in listed:
        logger.warning("%s does not list %s: its checksum is unknown", source.checksums, name)
    return listed.get(name)


def _ask_dataverse(source: Source, folder: Path, patience: Patience) -> Listed:
    """Return the metadata of a file in its Dataverse: size, checksum, licence."""
    address = source.dataverse["dataset"]
    path = folder / f"{source.file.rpartition('/')[2]}.dataset.json"
    try:
        download([address], path, Expected(kind="json"), patience=patience)
        document = read_json(path)
    except NotThereError as error:
        # The data set is missing, not the file.
        raise NotFetchedError(str(error)) from None
    finally:
        path.unlink(missing_ok=True)
    listed = find_file(document, source.dataverse["file"], address)
    if listed.checksum is None:
        logger.warning("%s has no checksum of %s: the first download sets it", address, source.file)
    return listed


def _passed_over(source: Source, folder: Path, patience: Patience) -> bool:
    """Return whether the archive's list leaves a file out, but contains later files."""
    name = source.file.rpartition("/")[2]
    listed = _listed(source, folder, patience) if source.checksums else {}
    return name not in listed and any(other > name for other in listed)


def _listed(source: Source, folder: Path, patience: Patience) -> dict[str, str]:
    """Return the checksums in the archive's list, by file name."""
    path = folder / f"{source.file.rpartition('/')[2]}.checksums"
    try:
        # One line is enough: a list that is cut short has fewer files, but no wrong checksums.
        expected = Expected(kind="text", min_lines=1)
        download([source.checksums], path, expected, patience=patience)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except NotThereError as error:
        # The list is missing, not the file.
        raise NotFetchedError(str(error)) from None
    finally:
        path.unlink(missing_ok=True)
    listed = {}
    for line in lines:
        md5, _, name = line.partition(" ")
        listed[name.strip().lstrip("*").removeprefix("./")] = f"md5:{md5.lower()}"
    return listed


def _extract(archive: Path, member: str, path: Path) -> str:
    """Extract one file from a zip or tarball, and return its SHA-256.

    Raises
    ------
    SkymillError
        When the archive does not contain the file; the message lists the members.
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
            f"{archive} is damaged ({error}) and was deleted. Run again to fetch it again."
        ) from None
    return digest.hexdigest()


@contextmanager
def _open_member(archive: Path, member: str) -> Iterator[BinaryIO]:
    """Open the only member of a zip or tarball with this name, in any folder."""
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
    raise SkymillError(
        f"{archive} must contain {member} exactly once, but contains {', '.join(names[:20])}. "
        "Correct `member` in config/sources.yaml."
    )
