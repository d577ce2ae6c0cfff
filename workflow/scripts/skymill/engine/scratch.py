"""A folder for the temporary files of a run and its jobs, which the next run can find.

Libraries make folders in the system's place for temporary files: sockets of worker processes, for
instance. A killed process leaves them there, under names that tell nothing. So a run has a folder
of its own, and its note says which one, see run_lock.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "skymill-"


def take_scratch() -> Path:
    """Make the folder for this process and those that it starts; it goes when this one ends."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def delete_scratch(folder: str | None) -> None:
    """Delete the folder that a killed run had, if it is there, and is one."""
    path = Path(folder or "")
    if path.name.startswith(PREFIX) and path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
