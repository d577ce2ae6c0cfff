"""Raw files: where each came from, and whether it is what its name says."""

from pathlib import Path

import orjson

from skymill.digests import large_file_sha256
from skymill.errors import SkymillError
from skymill.products import SOURCES, read_json, write_json

HEAD_BYTES = 2**20


def sidecar_path(raw: Path) -> Path:
    """Return where a raw file's origin is written: beside it, by whoever wrote the file."""
    return Path(f"{raw}.source.json")


def write_sidecar(raw: Path, source: str, **details) -> None:
    """Write down where a raw file came from."""
    write_json(sidecar_path(raw), {"source": source, **details})


def origin(raw: Path) -> str:
    """Return `sample`, `archive` or `local`; a file without a sidecar was put there by hand."""
    sidecar = sidecar_path(raw)
    if not sidecar.exists():
        return "local"
    try:
        source = read_json(sidecar)["source"]
    except (ValueError, KeyError, TypeError):  # no JSON, not even UTF-8, or other JSON
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
    if size != known["bytes"]:
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


def verify_magnetic(raw: Path) -> dict:
    """Check that a raw file holds JSON lines of the 2020 data set, and return its receipt.

    Only the first line that is not blank is looked at: single bad lines are for ingest to reject.

    Returns
    -------
    name, bytes, sha256 and source.

    Raises
    ------
    SkymillError
        When the file is empty, an HTML page, of the 2019 competition, or something else.
    """
    with open(raw, "rb") as stream:
        head = stream.read(HEAD_BYTES)
    start = head.lstrip()
    advice = (
        "Replace it with the file of that name from the IEEE Big Data Cup 2020 "
        "(expected: one JSON object a line, {id: {label, values}})."
    )
    if not start:
        raise SkymillError(f"{raw} is empty. {advice}")
    if start[:1] == b"<":
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
    if start[:1] != b"{":
        raise SkymillError(f"{raw} begins with {start[:20]!r}, which is no JSON object. {advice}")
    try:
        document = orjson.loads(line.replace(b": NaN", b": null"))
    except orjson.JSONDecodeError:
        document = {}  # one bad line, which ingest rejects, or a line longer than the head
    if "message" in document or "error" in document:
        raise SkymillError(f"{raw} is an error message in JSON: {line[:200]!r}. {advice}")
    return {
        "name": raw.name,
        "bytes": raw.stat().st_size,
        "sha256": large_file_sha256(raw),
        "source": origin(raw),
    }
