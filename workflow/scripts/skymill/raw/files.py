"""Raw files: where each came from, and whether its content is of the expected kind."""

import codecs
import hashlib
import io
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

from skymill.engine.digests import large_file_digest
from skymill.engine.errors import SkymillError
from skymill.engine.gzipped import beginning
from skymill.engine.listing import (
    DANGLING,
    changed_folder,
    in_order,
    list_files,
    listing_digest,
    require_no_loops,
    total_bytes,
)
from skymill.engine.products import DIGEST, SOURCES, check_document, read_json, write_document
from skymill.engine.unchanged import Unchanged
from skymill.raw.file_types import TEXTS, require_kind

logger = logging.getLogger(__name__)

HEAD_BYTES = 2**20


def sidecar_path(raw: Path) -> Path:
    """Return the path of a raw file's sidecar. The job that writes the file writes the sidecar."""
    return Path(f"{raw}.source.json")


def write_sidecar(raw: Path, source: str, **details) -> None:
    """Write the sidecar of a raw file: where it came from, and a digest of the sidecar itself."""
    write_document(sidecar_path(raw), {"source": source, **details})


_WITHOUT_DIGEST = frozenset(
    {"source", "checksum", "bytes", "origin", "version", "instead_of", "absent", "simulator"}
    | {"proven"}
)
"""The keys in sidecars of earlier versions, which had no digest."""


def read_sidecar(raw: Path) -> dict:
    """Return the content of a raw file's sidecar, without the digest.

    A sidecar without a digest is from an earlier version.

    Raises
    ------
    SkymillError
        When the sidecar is damaged, or has no source.
    """
    sidecar = sidecar_path(raw)
    note = read_json(sidecar)
    if not {*note} <= _WITHOUT_DIGEST:
        check_document(note, str(sidecar))
        del note[DIGEST]
    if note.get("source") not in SOURCES:
        raise SkymillError(f"{sidecar} does not say where {raw.name} came from.")
    return note


def origin(raw: Path) -> str:
    """Return `sample`, `archive` or `local`.

    A file without a sidecar, or with another size than in its sidecar, was put there by hand.
    """
    sidecar = sidecar_path(raw)
    if not sidecar.exists():
        return "local"
    try:
        note = read_sidecar(raw)
    except SkymillError:
        raise SkymillError(
            f"{sidecar} does not say where {raw.name} came from. If you put the file there "
            f"yourself, delete {sidecar.name}. Else fetch or simulate the file again."
        ) from None
    if raw.exists() and note.get("bytes", raw.stat().st_size) != raw.stat().st_size:
        return "local"
    return note["source"]


def fetched_from(raw: Path) -> str | None:
    """Return the origin that a raw file was fetched from, see Source, or None if it is unknown."""
    return _note(raw).get("origin")


def _note(raw: Path) -> dict:
    """Return the sidecar's content of a fetched file; an empty dict for other files."""
    return read_sidecar(raw) if origin(raw) == "archive" else {}


def changed_since(
    document: dict, raw: Path, name: str, is_younger: Callable[[float], bool]
) -> str | None:
    """Return how a raw file has changed since it was read, or None.

    Snakemake compares times, but unpacked and copied files often keep old times. So this function
    compares the size and the source of a file. Snakemake does not notice changes inside a folder.
    So this function compares the listing of a folder and the times of its files. A deleted file
    does not count as changed.

    Parameters
    ----------
    document
        The receipt or manifest of the job that read the file.
    name
        The name of the raw file that would be read now.
    is_younger
        Returns whether the document was written after a given time, see Folder.is_younger.
    """
    known = document["raw"]
    if known["name"] != name:
        return f"it was made from {known['name']}, not from {name}"
    if not raw.exists():
        return None
    if raw.is_dir():
        return changed_folder(raw, list_files(raw), known["listing_sha256"], is_younger)
    size = raw.stat().st_size
    if size != known["bytes"]:
        return f"{raw} has {size:,} bytes now, not {known['bytes']:,}"
    try:
        source = origin(raw)
    except SkymillError as error:
        return str(error)
    if source != known["source"]:
        return f"{raw} comes from `{source}` now, not from `{known['source']}`"
    return None


def damaged_sidecar(raw: Path) -> str | None:
    """Return why the sidecar of a simulated file cannot be read, or None."""
    if not raw.exists() or not sidecar_path(raw).exists():
        return None
    try:
        origin(raw)
    except SkymillError:
        return f"{sidecar_path(raw)} cannot be read"
    return None


def put_by_hand(raw: Path) -> bool:
    """Return whether a file exists that neither a download nor a simulation wrote.

    No rule may have this file as an output, because Snakemake deletes outputs before it makes them
    again. A file with a damaged sidecar may be the user's own.
    """
    try:
        return raw.exists() and origin(raw) == "local"
    except SkymillError:
        return True


def verify_raw(raw: Path, kind: str | None, *, checksum: str | None = None) -> dict:
    """Check that a raw file is of its kind, hash it, and return its receipt.

    A text may be gzipped. Then the first bytes of the unpacked text are checked, and the bytes of
    the gzipped file are hashed.

    Parameters
    ----------
    kind
        A key of file_types.KINDS, or `folder`. None when the reader of the file checks the kind.
    checksum
        The checksum that the file must have, as `algorithm:hexadecimal`. None when it is unknown,
        or when the file is the user's own.

    Returns
    -------
    name, bytes, sha256 and source; for a folder also the digest of its listing.

    Raises
    ------
    SkymillError
        When the file is empty, an error page, of another kind, has another checksum, or changes
        while it is read.
    """
    if kind == "folder":
        with HashedRaw(raw, kind) as folder:
            return folder.receipt()
    with Unchanged(raw):
        if kind in TEXTS:
            head = beginning(raw, HEAD_BYTES)
        else:
            with open(raw, "rb") as stream:
                head = stream.read(HEAD_BYTES)
        if kind == "json_lines":
            _require_magnetic(raw, head)
        elif kind is not None:
            require_kind(head, kind, str(raw))
        digests = {name: large_file_digest(raw, name) for name in _algorithms(raw, checksum)}
    return _receipt(raw, digests, checksum)


class HashedRaw:
    """A raw file, or a folder of them, that is hashed while it is read.

    Used as a context, an error in the block becomes the error of a changed file if the file or the
    folder has changed, see Unchanged.

    Parameters
    ----------
    raw, kind, checksum
        As for verify_raw, but the records in a file of JSON lines are not checked.

    Raises
    ------
    SkymillError
        As for verify_raw, and when a link in a folder leads to a folder that contains it.
    """

    def __init__(self, raw: Path, kind: str, *, checksum: str | None = None):
        self._raw, self._kind, self._checksum = raw, kind, checksum
        self._files: dict[Path, _ReadFile] = {}
        self._unchanged = Unchanged(raw)
        self._listing = self._unchanged.listing
        if kind == "folder":
            if not self._listing:
                raise SkymillError(
                    f"{raw} contains no files. Put the night's files there, or delete this folder."
                )
            require_no_loops(raw, self._listing)
            self._algorithms = ["sha256"]
        else:
            with open(raw, "rb") as stream:
                require_kind(stream.read(HEAD_BYTES), kind, str(raw))
            self._algorithms = _algorithms(raw, checksum)

    def __enter__(self) -> "HashedRaw":
        return self

    def __exit__(self, kind, error, trace) -> None:
        # Without an error, `receipt` has compared.
        if kind is not None:
            self._unchanged.__exit__(kind, error, trace)

    def open(self, path: Path) -> io.BufferedReader:
        """Open the raw file, or a file of the folder."""
        self._files[path] = _ReadFile(path, self._algorithms)
        return io.BufferedReader(self._files[path])

    def receipt(self) -> dict:
        """Hash all bytes that were not read; return the receipt, see verify_raw."""
        if self._kind != "folder":
            file = self._files.get(self._raw) or _ReadFile(self._raw, self._algorithms)
            digests = file.digests()
            self._unchanged.require()
            return _receipt(self._raw, digests, self._checksum)
        digest = hashlib.sha256()
        for name in in_order(self._listing):
            line = f"{name}\0{self._sha256(name)}\n"
            digest.update(line.encode(errors="surrogateescape"))
        self._unchanged.require()
        return {
            "name": self._raw.name,
            "bytes": total_bytes(self._listing.values()),
            "sha256": digest.hexdigest(),
            "listing_sha256": listing_digest(self._listing),
            "source": "local",
        }

    def _sha256(self, name: str) -> str:
        """Return the SHA-256 of a file of the folder; an empty text for a dangling link."""
        if self._listing[name] == DANGLING:
            return ""
        path = self._raw / name
        file = self._files.get(path) or _ReadFile(path, self._algorithms)
        return file.digests()["sha256"]


class _ReadFile(io.FileIO):
    """A file that is hashed while it is read; bytes that are read twice are hashed once."""

    def __init__(self, path: Path, algorithms: list[str]):
        super().__init__(path)
        self._path = path
        self._hashed = 0
        self._digests = {name: hashlib.new(name) for name in algorithms}

    def readinto(self, buffer) -> int | None:
        """Read bytes into a buffer and hash the new bytes."""
        at = self.tell()
        count = super().readinto(buffer)
        if count and at <= self._hashed < at + count:
            self._hash(memoryview(buffer)[self._hashed - at : count])
        return count

    def _hash(self, part: memoryview | bytes) -> None:
        for digest in self._digests.values():
            digest.update(part)
        self._hashed += len(part)

    def digests(self) -> dict[str, str]:
        """Close the file; return the digests of the whole file, in hexadecimal."""
        self.close()
        with open(self._path, "rb") as rest:
            rest.seek(self._hashed)
            while part := rest.read(2**20):
                self._hash(part)
        return {name: digest.hexdigest() for name, digest in self._digests.items()}


def _algorithms(raw: Path, checksum: str | None) -> list[str]:
    """Return the algorithms to use: SHA-256, and those of the checksums to compare with."""
    known = _note(raw)
    named = [text.partition(":")[0] for text in (checksum, known.get("checksum")) if text]
    return [*dict.fromkeys(["sha256", *named])]


def _receipt(raw: Path, digests: dict[str, str], checksum: str | None) -> dict:
    """Compare a raw file with its required checksum, if any; return its receipt.

    Warn if another origin than the first provided the file.
    """
    if instead := _note(raw).get("instead_of"):
        logger.warning(
            "%s did not provide %s (the log of the download says why): the file is from %s",
            instead,
            raw.name,
            _note(raw)["origin"],
        )
    if checksum:
        algorithm, _, wanted = checksum.partition(":")
        if digests[algorithm] != wanted:
            raise SkymillError(
                f"{raw} is not the file that the registry describes: its {algorithm} is "
                f"{digests[algorithm]}, expected is {wanted}. Delete the file to download it again,"
                " or set source: local to use it as it is."
            )
    return {
        "name": raw.name,
        "bytes": raw.stat().st_size,
        "sha256": digests["sha256"],
        "source": _proven_origin(raw, digests),
    }


def _proven_origin(raw: Path, digests: dict[str, str]) -> str:
    """Return `origin`, but `local` for a file whose checksum is not the one in its sidecar.

    The file was put there by hand. So its sidecar is deleted, and then `put_by_hand` and
    `changed_since` know this too.
    """
    known = _note(raw)
    if "checksum" in known:
        algorithm, _, fetched = known["checksum"].partition(":")
        if digests[algorithm] != fetched:
            logger.warning("%s is not the file that was fetched: its source is now local", raw)
            sidecar_path(raw).unlink()
    return origin(raw)


RECORD_BEGINS = re.compile(rb'^\s*\{\s*"\d+"\s*:\s*\{', re.MULTILINE)
"""The beginning of a line with a record."""

BYTE_ORDER_MARKS = b"\xef\xbb\xbf\xff\xfe"
"""The bytes of the byte order marks of UTF-8 and UTF-16."""


_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf")
"""The first bytes of zip, gzip (within gzip), bzip2, xz, zstandard and 7z files."""


def _require_magnetic(raw: Path, head: bytes) -> None:
    """Raise SkymillError when a file does not contain JSON lines of the 2020 data set.

    Only the beginning is checked. Ingest rejects single bad lines, also a bad first line.
    """
    head = head.removeprefix(codecs.BOM_UTF8)
    start = head.lstrip()
    text = head.replace(b"\0", b"").lstrip(BYTE_ORDER_MARKS + b" \t\r\n")
    advice = (
        "Replace it with the file of that name from the IEEE Big Data Cup 2020 "
        "(expected: one JSON object per line, {id: {label, values}})."
    )
    if not start:
        raise SkymillError(f"{raw} is empty. {advice}")
    if text[:1] == b"<":
        raise SkymillError(
            f"{raw} is an HTML page, not JSON: an error page saved as data? {advice}"
        )
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SkymillError(
            f"{raw} is text in UTF-16, not JSON in UTF-8. Save the file as UTF-8. {advice}"
        )
    if start.startswith(_ARCHIVES) or head[257:262] == b"ustar":
        raise SkymillError(f"{raw} is a compressed archive. Unpack the archive first. {advice}")
    if start[:1] == b"[":
        raise SkymillError(f"{raw} is one JSON array, not JSON lines. {advice}")
    line = start.split(b"\n", 1)[0]
    if b'"classNum"' in line[:200] or b'"classNum"' in line[-200:] or start[:5] == b'{"id"':
        raise SkymillError(
            f"{raw} has the layout of the 2019 competition (id, classNum, values). {advice}"
        )
    if RECORD_BEGINS.search(head):
        return
    if start[:1] != b"{":
        raise SkymillError(
            f"{raw} begins with {start[:20]!r}, which is not a JSON object. {advice}"
        )
    try:
        document = json.loads(line.replace(b": NaN", b": null"))
    except (ValueError, RecursionError):
        document = {}  # a bad line, which ingest rejects, or a line longer than the head
    if "message" in document or "error" in document:
        raise SkymillError(f"{raw} is an error message in JSON: {line[:200]!r}. {advice}")
