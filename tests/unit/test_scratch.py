"""All processes of a run use one folder for temporary files, and it is deleted at the end."""

import subprocess
import sys
from pathlib import Path

from records import SCRIPTS

from skymill.engine.scratch import delete_scratch

RUN = """
import subprocess, sys, tempfile
from skymill.engine.scratch import take_scratch
folder = take_scratch()
tempfile.mkdtemp()
child = "import tempfile; print(tempfile.gettempdir())"
assert tempfile.gettempdir() == str(folder)
assert subprocess.check_output([sys.executable, "-c", child], text=True).strip() == str(folder)
print(folder)
"""


def test_all_processes_of_a_run_use_one_folder_that_is_deleted_at_the_end(tmp_path):
    variables = {"PYTHONPATH": str(SCRIPTS), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=variables, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_only_a_folder_for_temporary_files_is_deleted(tmp_path):
    mine, link, scratch = (tmp_path / name for name in ("mine", "skymill-link", "skymill-x"))
    for folder in (mine, scratch):
        folder.mkdir()
    link.symlink_to(mine)
    for folder in (None, "", str(mine), str(link), str(scratch), str(scratch)):
        delete_scratch(folder)
    assert mine.is_dir()
    assert link.is_symlink()
    assert not scratch.exists()
