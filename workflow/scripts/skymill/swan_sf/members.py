"""Read the files of a partition from its tarball as a stream, without unpacking to disk."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from isal import igzip, isal_zlib

from skymill.engine.gzipped import TOO_MUCH, most_bytes, open_file
from skymill.engine.tar import BadTar, read_members

BATCH_BYTES = 4 * 2**20
"""The bytes of text that are parsed together: about 100 windows."""

BATCH_MEMBERS = 2**12
"""The most windows that are parsed together, if windows are short."""

READ_BYTES = 2**20
"""Bytes that are inflated at a time."""

MAX_BYTES = 2**22
"""A longer member is no window and is not read. Real windows have 42 kB."""

IGNORED_NAMES = 10
"""So many names of members that are no windows are listed."""


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
    """Facts about a tarball other than its windows, complete when all windows were read.

    `broken_off` is the reason if the tarball is not whole.
    """

    ignored: int = 0
    ignored_names: list[str] = field(default_factory=list)
    broken_off: str | None = None

    def ignore(self, name: str) -> None:
        """Count a file that is no CSV, and list the names of the first few."""
        self.ignored += 1
        if len(self.ignored_names) < IGNORED_NAMES:
            self.ignored_names.append(name)


def read_batches(
    raw: Path, seen: Seen, opener: Callable[[Path], BinaryIO] = open_file
) -> Iterator[list[Member]]:
    """Yield batches of the CSV files of a tarball in order; count other files in `seen`.

    If the tarball ends too early or is damaged, the stream ends, and `seen` has the reason.
    `opener` opens the tarball.
    """
    batch: list[Member] = []
    size = number = 0
    try:
        with opener(raw) as file, igzip.open(file, "rb") as stream:
            # Rejected windows stay in memory, so the unpacked size is limited.
            most = most_bytes(raw.stat().st_size)
            for member in read_members(stream):
                if stream.tell() > most:
                    raise BadTar(f"it {TOO_MUCH}")
                if member.is_folder:
                    continue
                if not member.is_file or not is_csv(member.name):
                    seen.ignore(member.name)
                    continue
                text = member.read(member.size) if member.size <= MAX_BYTES else None
                batch.append(Member(number, member.name, member.size, text))
                number += 1
                size += 0 if text is None else len(text)
                if size >= BATCH_BYTES or len(batch) == BATCH_MEMBERS:
                    yield batch
                    batch, size = [], 0
            # The checksum is at the file's end.
            if any(part.strip(b"\0") for part in iter(lambda: stream.read(READ_BYTES), b"")):
                seen.broken_off = "there are bytes after its end"
    except (BadTar, EOFError, igzip.BadGzipFile, isal_zlib.error, zlib.error) as error:
        seen.broken_off = f"{error}" or type(error).__name__
    if batch:
        yield batch


def is_csv(name: str) -> bool:
    """Return whether a member may be a window; macOS adds metadata files such as `._x.csv`."""
    base = name.rsplit("/", 1)[-1]
    return base.endswith(".csv") and not base.startswith("._")
