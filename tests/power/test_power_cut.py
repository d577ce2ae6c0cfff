"""After a power cut the same command resumes the run, whatever data was lost.

A project runs on a separate file system in a file. The test copies this file during the run. The
copy has the state of the disk after a power cut: data that was not flushed is missing. The test
mounts the copy instead of the first file and runs the same command. The results must have the bytes
of a run without a cut. `SKYMILL_POWER_CUTS` is the number of cuts; each is at another time.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from projects import Project, said

CUTS = int(os.environ.get("SKYMILL_POWER_CUTS", "2"))
SIZE = 600 * 2**20
SECONDS = (1.0, 14.0)
"""Range of the time of a cut after the start of the run."""


class Disk:
    """A file system in a file, mounted in a folder."""

    def __init__(self, image: Path, folder: Path):
        self.image, self.folder = image, folder
        folder.mkdir()
        with open(image, "wb") as stream:
            stream.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        self._mount()

    def _mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", self.image, self.folder], check=True)

    def unmount(self) -> None:
        """Unmount, once no process uses the file system."""
        for _ in range(100):
            if subprocess.run(["umount", self.folder], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        subprocess.run(["umount", "--lazy", self.folder], check=True)

    def cut(self, stop) -> None:
        """Copy the current state of the disk, call `stop`, and continue with the copy."""
        kept = self.image.with_suffix(".kept")
        subprocess.run(["cp", "--sparse=always", self.image, kept], check=True)
        stop()
        self.unmount()
        kept.replace(self.image)
        self._mount()


@pytest.fixture
def disk(tmp_path):
    """An empty disk."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    if not all(map(shutil.which, ("mkfs.ext4", "mount", "umount"))):
        pytest.skip("mkfs.ext4 or mount is not installed")
    try:
        disk = Disk(tmp_path / "disk.img", tmp_path / "disk")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine cannot mount a file: {error}")
    yield disk
    disk.unmount()


@pytest.fixture(scope="module")
def without_a_cut(tmp_path_factory):
    """A project after a run without a cut."""
    project = Project.new(tmp_path_factory.mktemp("uncut") / "project")
    project.run("--cores", "2")
    return project


@pytest.mark.parametrize("number", range(CUTS))
def test_the_same_command_continues_after_a_power_cut(number, disk, without_a_cut):
    project = Project.new(disk.folder / "project")
    os.sync()
    log = disk.image.with_suffix(".log")
    with open(log, "wb") as stream:
        run = subprocess.Popen(
            project.command("--cores", "2"),
            cwd=project.folder,
            env=project.environment(),
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        moment = random.Random(number).uniform(*SECONDS)
        deadline = time.monotonic() + 60
        while not project.path("data").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(moment)

        def stop():
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()

        disk.cut(stop)
    done = project.run("--cores", "2", succeeds=None)
    assert done.returncode == 0, f"after {moment:.1f} s:\n{said(done)[-5000:]}"
    assert project.portable_products() == without_a_cut.portable_products()
    assert project.stale() == set()
