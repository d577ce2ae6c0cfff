"""Kinds of raw files, recognised by their first bytes. Error pages saved as data are refused."""

import gzip
import json
import struct
import zlib
from pathlib import Path

from skymill.engine.errors import SkymillError

KINDS = {
    "json_lines": "JSON lines",
    "json": "a JSON document",
    "zip": "a zip archive",
    "gzip": "a gzip file",
    "text": "plain text",
}
"""Names of kinds in the registry, and in messages."""

TEXTS = ("json_lines", "text")
"""Kinds of text. The file may be gzipped; its name may end in `.gz` or not."""

_MAGIC = {"zip": (b"PK\x03\x04", b"PK\x05\x06"), "gzip": (b"\x1f\x8b",)}


def require_kind(head: bytes, kind: str, name: str) -> None:
    """Raise SkymillError when content is not of a kind; the message says what it looks like.

    Parameters
    ----------
    head
        The first bytes: some kB, or the whole content.
    kind
        A key of KINDS.
    name
        The name of the file in the message.
    """
    found = _looks_like(head)
    if found == kind:
        return
    if found == "JSON" and kind == "json":
        return
    if found == "JSON" and kind == "json_lines" and not _is_error_message(head):
        return
    shown = {**KINDS, "text": "other text", "JSON": "a JSON document"}.get(found, found)
    beginning = head[:60].decode("utf-8", "replace").strip()
    raise SkymillError(f"{name} should be {KINDS[kind]}, but it is {shown}: {beginning!r}")


def _looks_like(head: bytes) -> str:
    for kind, beginnings in _MAGIC.items():
        if head.startswith(beginnings):
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        return "empty"
    if text.startswith(b"<"):
        return "an HTML or XML page, probably an error message"
    if text[:1] in (b"{", b"["):
        return "JSON"
    return "binary data" if b"\0" in head else "text"


def _is_error_message(head: bytes) -> bool:
    start = head.lstrip()[:200].replace(b" ", b"")
    return start.startswith((b'{"message"', b'{"error', b'{"code"', b'{"detail"', b'{"status"'))


PROVEN_BY_END = ("zip", "gzip", "json")
"""Kinds whose end shows whether a file is complete or cut short."""

_ZIP_END = struct.Struct("<4s4H2LH")
_ZIP_END_64 = struct.Struct("<4sQ2H2L4Q")
_ZIP_LOCATOR_64 = struct.Struct("<4sLQL")


def ends_whole(path: Path, kind: str) -> bool:
    """Return whether a file, of a kind in PROVEN_BY_END, has the end of a complete file.

    A gzip file is unpacked as a whole. Of a zip archive, only the end is read.
    """
    looks = {"zip": _zip_ends_whole, "gzip": _gzip_ends_whole, "json": _json_ends_whole}
    return looks[kind](path)


def _json_ends_whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return True


def _gzip_ends_whole(path: Path) -> bool:
    try:
        with gzip.open(path) as stream:
            while stream.read(2**20):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    return True


def _zip_ends_whole(path: Path) -> bool:
    """Return whether the table of contents ends at the position that the last record states."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        start = max(0, size - _ZIP_END.size - 2**16)
        stream.seek(start)
        tail = stream.read()
        at = len(tail)
        while (at := tail.rfind(b"PK\x05\x06", 0, at)) >= 0:
            if at + _ZIP_END.size > len(tail):
                continue
            *_, length, offset, comment = _ZIP_END.unpack_from(tail, at)
            end = start + at
            if at + _ZIP_END.size + comment != len(tail):
                continue
            stream.seek(max(0, end - _ZIP_LOCATOR_64.size))
            locator = stream.read(_ZIP_LOCATOR_64.size)
            if len(locator) == _ZIP_LOCATOR_64.size and locator.startswith(b"PK\x06\x07"):
                end = _ZIP_LOCATOR_64.unpack(locator)[2]
                stream.seek(min(end, size))
                record = stream.read(_ZIP_END_64.size)
                if len(record) < _ZIP_END_64.size or not record.startswith(b"PK\x06\x06"):
                    continue
                *_, length, offset = _ZIP_END_64.unpack(record)
            if offset + length == end:
                return True
    return False
