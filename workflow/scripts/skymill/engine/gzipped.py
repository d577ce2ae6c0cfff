"""Gzipped files, told by their content: under the plain name, or with `.gz` behind it."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from skymill.engine.errors import SkymillError

MAGIC = b"\x1f\x8b"
"""How every gzip stream begins."""

SUFFIX = ".gz"
"""What the name of a compressed file ends with, beside that of the plain one."""

MOST_RATIO, MOST_RATIO_FROM = 100, 2**26
"""How many times its own size a file that is unpacked may have, and from which size on.

Text packs to a fifth; a stream of zeros could fill any disk."""

TOO_MUCH = f"unpacks to more than {MOST_RATIO} times its size, as no data do"
"""What is said of a file that does."""

READ_BYTES = 2**20
"""Bytes of the text that are held at a time."""


def is_gzipped(path: Path) -> bool:
    """Return whether the content of a file is a gzip stream, whatever its name."""
    with open(path, "rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def unpack(path: Path, output: Path) -> None:
    """Write the content of a gzipped file to another one, in little memory.

    The stream is read to its end, so that its checksum and its length are compared.

    Raises
    ------
    SkymillError
        When it is damaged or cut short, something else is behind its end, or it unpacks to more
        than any data do.
    """
    most = most_bytes(path.stat().st_size)
    with opened(path) as text, open(output, "wb") as target:
        while block := text.read(READ_BYTES):
            if text.tell() > most:
                raise SkymillError(f"{path} {TOO_MUCH}. Replace it.")
            target.write(block)


def most_bytes(size: int) -> int:
    """Return how many bytes a packed file of a size may unpack to."""
    return max(MOST_RATIO_FROM, MOST_RATIO * size)


def beginning(path: Path, size: int) -> bytes:
    """Return the first bytes of a file, or of the text in it when it is gzipped.

    Raises
    ------
    SkymillError
        When a gzip stream is damaged so near its beginning.
    """
    if not is_gzipped(path):
        with open(path, "rb") as stream:
            return stream.read(size)
    with opened(path) as text:
        return text.read(size)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a gzipped file to read its text; damage ends in an error that names the file."""
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
