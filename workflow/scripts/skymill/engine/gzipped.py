"""Gzipped files, recognised by their content. Their names may end in `.gz` or not."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from skymill.engine.errors import SkymillError

MAGIC = b"\x1f\x8b"
"""The first bytes of every gzip stream."""

SUFFIX = ".gz"
"""A gzipped file has the name of the plain file, or this name with the suffix."""

MOST_RATIO, MOST_RATIO_FROM = 100, 2**26
"""The largest allowed ratio of unpacked to packed size, and the unpacked size from which it counts.

Text packs to a fifth of its size. A stream of zeros could fill any disk."""

TOO_MUCH = f"unpacks to more than {MOST_RATIO} times its size, which no real data do"
"""The message about a file that exceeds MOST_RATIO."""

READ_BYTES = 2**20
"""Bytes of the text in memory at a time."""


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading."""
    return open(path, "rb")


def is_gzipped(path: Path) -> bool:
    """Return whether the content of a file is a gzip stream; the name does not matter."""
    with open(path, "rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def unpack(path: Path, output: Path) -> None:
    """Unpack a gzipped file to another file, in little memory.

    The stream is read to its end, so that its checksum and its length are checked.

    Raises
    ------
    SkymillError
        When the stream is damaged or cut short, when other bytes follow its end, or when the
        stream unpacks to more than any data do.
    """
    most = most_bytes(path.stat().st_size)
    with opened(path) as text, open(output, "wb") as target:
        while block := text.read(READ_BYTES):
            if text.tell() > most:
                raise SkymillError(f"{path} {TOO_MUCH}. Replace it.")
            target.write(block)


def most_bytes(size: int) -> int:
    """Return the largest allowed unpacked size of a file, in bytes, from its packed size."""
    return max(MOST_RATIO_FROM, MOST_RATIO * size)


def beginning(path: Path, size: int) -> bytes:
    """Return the first bytes of a file, or of the unpacked text if the file is gzipped.

    Raises
    ------
    SkymillError
        When a gzip stream is damaged within these first bytes.
    """
    if not is_gzipped(path):
        with open(path, "rb") as stream:
            return stream.read(size)
    with opened(path) as text:
        return text.read(size)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a gzipped file to read its text; damage raises an error that names the file."""
    try:
        with gzip.open(path) as text:
            yield text
    except EOFError:
        raise SkymillError(
            f"{path} is cut short: its gzip stream has no end. Fetch or copy the file again."
        ) from None
    except (zlib.error, gzip.BadGzipFile) as error:
        raise SkymillError(
            f"{path} is damaged: {error} (`gzip -t` says the same). Fetch or copy the file again."
        ) from None
