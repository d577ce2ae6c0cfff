"""Files that survive a power cut: their content is on the disk before their names.

A file system may write the name of a file before its content. After a power cut the file then
exists, but is empty. So the content goes to the disk first, and the name second. The document that
describes the files comes last. Only for the document do we wait until its name is on the disk too:
if the name of another file is lost, the document shows this, because it lists the name.
"""

import ctypes
import errno
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import IO

FEW = 100
"""Up to this number, files are flushed one by one."""

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{12}\.partial")
"""Names of unfinished files and folders, see partial_path."""


def partial_path(path: Path) -> Path:
    """Return a temporary path in the folder of `path`, which no other process uses."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")


def begin_flush(file: IO) -> None:
    """Have the system begin to write a file to the disk, and do not wait for it.

    The system would wait for some seconds. Meanwhile a job computes the next file, so the flush of
    a large product has less to wait for. On macOS this does nothing.
    """
    file.flush()
    if hasattr(os, "posix_fadvise"):
        # Linux writes what is not on the disk before it drops it from its cache.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def flush(path: Path) -> None:
    """Wait until a file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree(folder: Path) -> None:
    """Wait until all files in a folder are on the disk."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    if len(files) > FEW:
        flush_file_system(folder)
        return
    for path in files:
        flush(path)


def flush_file_system(folder: Path) -> None:
    """Wait until everything that was written to the file system of a folder is on the disk.

    One call serves thousands of files, while an fsync of each file would wait for the disk.

    Raises
    ------
    OSError
        When the disk fails.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):  # macOS
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if libc.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def flush_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, if the file system supports this."""
    try:
        flush(folder)
    except OSError as error:
        # Some network file systems do not support fsync of a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def delete_partial(root: Path | str, *, leave: Path | str | None = None) -> list[Path]:
    """Delete the unfinished files and folders that a killed run left below a folder; return them.

    No other process may be writing there. The folder `leave` is skipped.
    """
    left = []
    for folder, folders, files in os.walk(root):
        if leave is not None:
            folders[:] = [name for name in folders if Path(folder, name) != Path(leave)]
        partial = [name for name in (*folders, *files) if _PARTIAL.fullmatch(name)]
        folders[:] = [name for name in folders if name not in partial]
        left += [Path(folder, name) for name in partial]
    for path in left:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return sorted(left)
