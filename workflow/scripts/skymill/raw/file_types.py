"""Kinds of raw files, told by their first bytes: error pages saved as data end here."""

from skymill.engine.errors import SkymillError

KINDS = {
    "json_lines": "JSON lines",
    "json": "a JSON document",
    "zip": "a zip archive",
    "gzip": "a gzip file",
    "text": "plain text",
}
"""Kinds by the word that the registry uses, with what a message calls them."""

TEXTS = ("json_lines", "text")
"""Kinds of text, which may be gzipped, under the name of the plain file or with `.gz` behind it."""

_MAGIC = {"zip": (b"PK\x03\x04", b"PK\x05\x06"), "gzip": (b"\x1f\x8b",)}


def require_kind(head: bytes, kind: str, name: str) -> None:
    """Refuse content that is not of a kind, naming what it looks like instead.

    Parameters
    ----------
    head
        The first bytes, some kB or all of it.
    kind
        A key of KINDS.
    name
        What the message calls the file.
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
