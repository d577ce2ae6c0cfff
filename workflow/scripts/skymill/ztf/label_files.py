"""Open a list of labels: a CSV, a gzipped CSV, or a member of a tarball, which is read to its end.

The content of a file decides its type, not its name.
"""

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from skymill.engine.errors import SkymillError
from skymill.engine.tar import BadTar, is_tar, read_members
from skymill.raw.file_types import require_kind

HEAD_BYTES = 2**16
"""Bytes that are checked to find the type of a file."""

SHOWN_NAMES, SHOWN_CHARACTERS = 20, 100
"""Number of members of a tarball that a message names, and the characters shown of each name."""

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"


def is_parquet(raw: Path) -> bool:
    """Return whether a file is Parquet."""
    with open(raw, "rb") as stream:
        return stream.read(len(_PARQUET)) == _PARQUET


@contextlib.contextmanager
def open_list(raw: Path, member: str) -> Iterator[tuple[str, BinaryIO]]:
    """Yield name and content of a list: the file itself, or the member of a tarball.

    After the caller, the rest of a compressed file is read too, to check the checksum at its end.

    Parameters
    ----------
    raw
        A CSV, a gzipped CSV, or a gzipped tarball.
    member
        The name of the file to read from a tarball, at any depth.

    Raises
    ------
    SkymillError
        When the file is damaged anywhere or cut off, has another type, or does not contain the
        member.
    """
    from isal import igzip, isal_zlib

    try:
        with contextlib.ExitStack() as opened:
            stream = opened.enter_context(open(raw, "rb"))
            is_compressed = stream.read(len(_GZIP)) == _GZIP
            stream.seek(0)
            if is_compressed:
                with igzip.open(raw) as inflated:
                    head = inflated.read(HEAD_BYTES)
                stream = opened.enter_context(igzip.open(raw))
            else:
                head = stream.read(HEAD_BYTES)
                stream.seek(0)
            if is_compressed and is_tar(head):
                yield from _member(raw, stream, member)
            else:
                yield from _whole(raw, stream, head)
    except (BadTar, EOFError, OSError, zlib.error, isal_zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SkymillError(
            f"{raw} cannot be read to its end ({error}). It may be cut off or damaged. Fetch or "
            "copy it again."
        ) from error


def _whole(raw: Path, stream: BinaryIO, head: bytes) -> Iterator[tuple[str, BinaryIO]]:
    with _read_to_the_end(stream):
        # A stray zero byte costs only its row, not the list.
        text = head if head.count(0) * 20 > len(head) else head.replace(b"\0", b"")
        require_kind(text, "text", str(raw))
        yield raw.name, stream


def _member(raw: Path, stream: BinaryIO, wanted: str) -> Iterator[tuple[str, BinaryIO]]:
    names, files, found = [], 0, []
    with _read_to_the_end(stream):
        # One pass without unpacking: other members are inflated and dropped.
        for member in read_members(stream):
            if not member.is_file:
                continue
            files += 1
            if len(names) < SHOWN_NAMES:
                names.append(member.name[:SHOWN_CHARACTERS])
            if Path(member.name).name == wanted:
                found.append(member.name[:SHOWN_CHARACTERS])
                if len(found) == 1:
                    yield wanted, member
                elif len(found) == SHOWN_NAMES:
                    break
        if _holds_more(stream) and len(found) < SHOWN_NAMES:
            raise BadTar("there are bytes after the end of the tar")
    if not found:
        raise SkymillError(
            f"{raw} does not contain {wanted}. It contains {', '.join(names) or 'no file'}"
            f"{f' and {files - len(names):,} more' if files > len(names) else ''}. "
            "Replace it with files_for_lc_classifier_SanchezSaez2020.tar.gz of Zenodo 4279623, or "
            "name your own list in labels.file."
        )
    if len(found) > 1:
        raise SkymillError(
            f"{raw} contains {wanted} more than once: {', '.join(found)}. Extract the right one, "
            "and name this file in labels.file."
        )


@contextlib.contextmanager
def _read_to_the_end(stream: BinaryIO) -> Iterator[None]:
    """Read the rest, even after an error: the checksum may show that damage is the cause."""
    try:
        yield
    except SkymillError:
        _holds_more(stream)
        raise
    _holds_more(stream)


def _holds_more(stream: BinaryIO) -> bool:
    """Read a stream to its end; return whether the rest had bytes other than zeros."""
    more = False
    while part := stream.read(2**20):
        more |= part.count(0) < len(part)
    return more
