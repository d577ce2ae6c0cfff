"""A folder for the temporary files of a run and its jobs, which the next run can find.

Libraries make temporary folders in the system's temporary directory, for instance for the sockets
of worker processes. A killed process leaves these folders there, under random names. So each run
has its own folder, and the run's lock file contains its path, see run_lock.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from skymill.engine.errors import SkymillError

PREFIX = "skymill-"


def take_scratch() -> Path:
    """Make the folder for this process and its children; it is deleted when this process ends.

    Raises
    ------
    SkymillError
        When the system's temporary folder cannot be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    except OSError as error:
        raise SkymillError(
            f"there is no place for temporary files: {error.strerror}. Free some space there, or "
            "set TMPDIR to another folder. Then run again."
        ) from None
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def delete_scratch(folder: str | None) -> None:
    """Delete the scratch folder of a killed run, if it exists and has a scratch folder's name."""
    path = Path(folder or "")
    if path.name.startswith(PREFIX) and path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
