"""The files of a partition, read from its tarball as a stream and never unpacked to disk."""

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from isal import igzip, isal_zlib

BATCH_BYTES = 4 * 2**20
"""Text of the windows that are parsed together: about 100."""

READ_BYTES = 2**20
"""Bytes of the tarball inflated at a time."""

MAX_BYTES = 2**24
"""A longer member is no window: real ones have 42 kB. It is not read."""

IGNORED_NAMES = 10
"""So many names of members that are no windows are remembered."""


@dataclass(frozen=True)
class Member:
    """A file of a tarball: its place among all files, its name, and its text.

    `text` is None for a file that is too long to be a window; `size` is its length in bytes.
    """

    number: int
    name: str
    size: int
    text: bytes | None


@dataclass
class Seen:
    """What was seen beside the windows, complete when all of them were taken.

    `broken_off` says why the tarball is not whole, if it is not.
    """

    ignored: int = 0
    ignored_names: list[str] = field(default_factory=list)
    broken_off: str | None = None

    def ignore(self, name: str) -> None:
        """Count a file that is no CSV; the first few are remembered by name."""
        self.ignored += 1
        if len(self.ignored_names) < IGNORED_NAMES:
            self.ignored_names.append(name)


def read_batches(raw: Path, seen: Seen) -> Iterator[list[Member]]:
    """Yield the CSV files of a tarball, some at a time, in its order; count others in `seen`.

    A tarball that ends too early or is damaged ends the stream; `seen` says so.
    """
    batch: list[Member] = []
    size = number = 0
    try:
        with (
            igzip.open(raw, "rb") as stream,
            # Not "r|", which copies what it has read ahead for every member. Headers are met in
            # the order of the file, so the stream is never wound back.
            tarfile.open(fileobj=stream, mode="r:") as archive,
        ):
            while (info := archive.next()) is not None:
                archive.members.clear()  # it would remember all of them
                if info.isdir():
                    continue
                if not info.isfile() or not is_csv(info.name):
                    seen.ignore(info.name)
                    continue
                text = _read(stream, info) if info.size <= MAX_BYTES else None
                batch.append(Member(number, info.name, info.size, text))
                number += 1
                size += 0 if text is None else len(text)
                if size >= BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
            seen.broken_off = _end(stream, archive.offset)
    except (tarfile.TarError, EOFError, igzip.BadGzipFile, isal_zlib.error, zlib.error) as error:
        seen.broken_off = f"{error}" or type(error).__name__
    if batch:
        yield batch


def _end(stream: BinaryIO, last_header: int) -> str | None:
    """Read a tarball to the end of its file; return why it is not whole, None if it is.

    `tarfile` takes a damaged header for the end of the tarball. The checksum is at the file's end.
    """
    content = any(part.strip(b"\0") for part in iter(lambda: stream.read(READ_BYTES), b""))
    if content:
        return f"the header at byte {last_header:,} is damaged"
    if stream.tell() < last_header + tarfile.BLOCKSIZE:
        return "it ends too early"
    return None


def _read(stream: BinaryIO, info: tarfile.TarInfo) -> bytes:
    """Return the content of a member whose header was just read."""
    if info.size < 0:
        raise tarfile.ReadError(f"the header of {info.name} is damaged")
    stream.seek(info.offset_data)
    text = stream.read(info.size)
    if len(text) < info.size:
        raise EOFError(f"{info.name} ends too early")
    return text


def is_csv(name: str) -> bool:
    """Return whether a member may be a window; `._x.csv` are notes that macOS adds."""
    base = name.rsplit("/", 1)[-1]
    return base.endswith(".csv") and not base.startswith("._")
