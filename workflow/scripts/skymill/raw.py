"""Raw files: where each came from, and whether it is what its name says."""

import hashlib
import logging
import re
from pathlib import Path

import orjson

from skymill.digests import file_sha256, large_file_digest
from skymill.errors import SkymillError
from skymill.kinds import require_kind
from skymill.products import SOURCES, read_json, write_json

logger = logging.getLogger(__name__)

HEAD_BYTES = 2**20


def sidecar_path(raw: Path) -> Path:
    """Return where a raw file's origin is written: beside it, by whoever wrote the file."""
    return Path(f"{raw}.source.json")


def write_sidecar(raw: Path, source: str, **details) -> None:
    """Write down where a raw file came from."""
    write_json(sidecar_path(raw), {"source": source, **details})


def origin(raw: Path) -> str:
    """Return `sample`, `archive` or `local`.

    A file without a sidecar, or of another size than its sidecar says, was put there by hand.
    """
    sidecar = sidecar_path(raw)
    if not sidecar.exists():
        return "local"
    try:
        note = read_json(sidecar)
        source = note["source"]
        if raw.exists() and note.get("bytes", raw.stat().st_size) != raw.stat().st_size:
            return "local"
    except (ValueError, KeyError, TypeError, AttributeError):  # no JSON, no UTF-8, or other JSON
        source = None
    if source not in SOURCES:
        raise SkymillError(
            f"{sidecar} does not say where {raw.name} came from. Delete it if you put the file "
            "there yourself, else fetch or simulate the file again."
        )
    return source


def outdated(raw: Path, receipt: Path) -> str | None:
    """Return why a receipt no longer describes its raw file, else None.

    Snakemake goes by times, but unpacked and copied files often keep old ones: so the size is
    compared, and where the file says that it came from.
    """
    if not raw.exists() or not receipt.exists():
        return None
    known = read_json(receipt)
    size = raw.stat().st_size
    if raw.is_file() and size != known["bytes"]:
        return f"{raw} has {size:,} bytes now, not {known['bytes']:,}"
    if origin(raw) != known["source"]:
        return f"{raw} comes from `{origin(raw)}` now, not from `{known['source']}`"
    return None


def missing_local(pairs: list[tuple[Path, Path]]) -> list[Path]:
    """Return the raw files, of pairs with their receipts, that the user still has to put in place.

    A file that was read before may be gone, unless what was read under its name was simulated.
    """
    return [
        raw
        for raw, receipt in pairs
        if not raw.exists() and (not receipt.exists() or read_json(receipt)["source"] == SOURCES[0])
    ]


def put_by_hand(raw: Path) -> bool:
    """Return whether a file stands there that neither a download nor a simulation wrote.

    No rule may have it as an output: Snakemake deletes outputs before it makes them again.
    """
    return raw.exists() and origin(raw) == "local"


def verify_raw(raw: Path, kind: str, *, checksum: str | None = None) -> dict:
    """Check that a raw file is of its kind, hash it, and return its receipt.

    Parameters
    ----------
    kind
        A key of kinds.KINDS, or `folder`.
    checksum
        What the file must have, as `algorithm:hexadecimal`; None when that is not known, or when
        the file is the user's own.

    Returns
    -------
    name, bytes, sha256 and source.

    Raises
    ------
    SkymillError
        When the file is empty, an error page, of another kind, or not the one expected.
    """
    if kind == "folder":
        return _verify_folder(raw)
    with open(raw, "rb") as stream:
        head = stream.read(HEAD_BYTES)
    if kind == "json_lines":
        _require_magnetic(raw, head)
    else:
        require_kind(head, kind, str(raw))
    sha256 = large_file_digest(raw)
    if checksum:
        algorithm, _, wanted = checksum.partition(":")
        found = sha256 if algorithm == "sha256" else large_file_digest(raw, algorithm)
        if found != wanted:
            raise SkymillError(
                f"{raw} is not the file that the registry describes: its {algorithm} is {found}, "
                f"expected is {wanted}. Delete it to have it fetched, or set source: local to use "
                "it as it is."
            )
    return {
        "name": raw.name,
        "bytes": raw.stat().st_size,
        "sha256": sha256,
        "source": _proven_origin(raw, sha256),
    }


def _verify_folder(raw: Path) -> dict:
    """Return the receipt of a folder put there by hand: a digest over names and content."""
    files = sorted(path for path in raw.rglob("*") if path.is_file())
    if not files:
        raise SkymillError(f"{raw} holds no files. Put the night's files there, or delete it.")
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(raw)}\0{file_sha256(path)}\n".encode())
    size = sum(path.stat().st_size for path in files)
    return {"name": raw.name, "bytes": size, "sha256": digest.hexdigest(), "source": "local"}


def _proven_origin(raw: Path, sha256: str) -> str:
    """Return `origin`, but `local` for a file whose content is not what its sidecar says.

    Such a sidecar is taken away: the file was put there by hand, and `put_by_hand` and `outdated`
    are to know.
    """
    known = read_json(sidecar_path(raw)) if origin(raw) == "archive" else {}
    if "checksum" in known:
        algorithm, _, fetched = known["checksum"].partition(":")
        found = sha256 if algorithm == "sha256" else large_file_digest(raw, algorithm)
        if found != fetched:
            logger.warning("%s is not the file that was fetched: it counts as local", raw)
            sidecar_path(raw).unlink()
    return origin(raw)


RECORD_BEGINS = re.compile(rb'^\s*\{\s*"\d+"\s*:\s*\{', re.MULTILINE)
"""The beginning of a line that holds a record."""

BYTE_ORDER_MARKS = b"\xef\xbb\xbf\xff\xfe"
"""The bytes of those of UTF-8 and UTF-16."""


def _require_magnetic(raw: Path, head: bytes) -> None:
    """Refuse a file that does not hold JSON lines of the 2020 data set.

    Only its beginning is looked at: single bad lines, also the first, are for ingest to reject.
    """
    start = head.lstrip()
    text = head.replace(b"\0", b"").lstrip(BYTE_ORDER_MARKS + b" \t\r\n")
    advice = (
        "Replace it with the file of that name from the IEEE Big Data Cup 2020 "
        "(expected: one JSON object a line, {id: {label, values}})."
    )
    if not start:
        raise SkymillError(f"{raw} is empty. {advice}")
    if text[:1] == b"<":
        raise SkymillError(
            f"{raw} is an HTML page, not JSON: an error page saved as data? {advice}"
        )
    if start[:2] in (b"\x1f\x8b", b"PK"):
        raise SkymillError(f"{raw} is a compressed archive. Unpack it first. {advice}")
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
        raise SkymillError(f"{raw} begins with {start[:20]!r}, which is no JSON object. {advice}")
    try:
        document = orjson.loads(line.replace(b": NaN", b": null"))
    except orjson.JSONDecodeError:
        document = {}  # one bad line, which ingest rejects, or a line longer than the head
    if "message" in document or "error" in document:
        raise SkymillError(f"{raw} is an error message in JSON: {line[:200]!r}. {advice}")
