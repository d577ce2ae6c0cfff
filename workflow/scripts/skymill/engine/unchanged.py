"""If a raw file changes while a job reads it, the job fails and writes no document."""

from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.engine.listing import is_note, walk


class Unchanged:
    """A raw file, or a folder of files, that must stay the same while it is read.

    Otherwise the products would come from one content, and the document would describe another. A
    file is compared by inode, size and time. The files of a folder are compared by name, size and
    time: on some network file systems, inodes are numbers that change. Nothing is read.

    Used as a context, this class also compares after an error, because the error may be a
    consequence of the change. For instance, an archive seems to be cut short while it is copied.

    Raises
    ------
    SkymillError
        When the file or the folder has changed; the message names the file.
    """

    def __init__(self, path: Path):
        self._path = Path(path)
        self._is_folder = self._path.is_dir()
        self._files: dict[str, tuple[int, int]] = {}
        self._status = None
        if self._is_folder:
            self._files = {name: (size, time) for name, size, time in walk(self._path)}
        else:
            self._status = _status(self._path)

    @property
    def listing(self) -> dict[str, int]:
        """The sizes of the files of a folder at the beginning, by path; see listing.walk."""
        return {name: size for name, (size, _) in self._files.items()}

    def require_size(self, size: int) -> None:
        """Raise SkymillError if the file had another size when an earlier job hashed it."""
        if self._status and self._status[1] != size:
            raise SkymillError(
                f"{self._path} changed after it was hashed: it has {self._status[1]:,} bytes, not "
                f"{size:,}. Run again."
            )

    def require(self) -> None:
        """Raise SkymillError if the file or the folder has changed since the beginning."""
        changed = self._changed()
        if changed is not None:
            raise SkymillError(
                f"{changed} changed while it was read. When it is complete, run again."
            )

    def _changed(self) -> Path | None:
        """Return the file that has changed, or None."""
        try:
            if not self._is_folder:
                return None if _status(self._path) == self._status else self._path
            left = {name for name in self._files if not is_note(name)}
            for name, size, time in walk(self._path):
                if is_note(name):
                    continue
                if self._files.get(name) != (size, time):
                    return self._path / name
                left.remove(name)
        except (FileNotFoundError, NotADirectoryError):
            return self._path
        return self._path / min(left) if left else None

    def __enter__(self) -> "Unchanged":
        return self

    def __exit__(self, kind, error, trace) -> None:
        # An interruption is no error of the file.
        if kind is None or issubclass(kind, Exception):
            self.require()


def _status(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
