"""A project that tests have changed is put back as it was: contents, times, links and folders."""

import os
import shutil

import pytest

from projects import Kept, Project

FILES = ("config/a.yaml", "data/x/b.parquet", "data/x/c.jpg", "logs/d.log")


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path / "project")
    for number, name in enumerate(FILES):
        path = project.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        os.utime(path, (number, number))
        os.utime(path.parent, (number, number))
    project.path("link").symlink_to("config")
    return project


def edit_in_place(project):
    path = project.path("data/x/b.parquet")
    then = path.stat()
    path.write_text(path.read_text()[::-1])
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


def replace_a_linked_file(project):
    path = project.path("data/x/c.jpg")
    path.with_name("new").write_text("other")
    path.with_name("new").replace(path)


def exchange_kinds(project):
    project.path("config/a.yaml").unlink()
    project.path("config/a.yaml").mkdir()
    shutil.rmtree(project.path("logs"))
    project.path("logs").write_text("")
    project.path("link").unlink()
    project.path("link").mkdir()


CHANGES = {
    "nothing": lambda project: None,
    "edited": edit_in_place,
    "touched": lambda project: os.utime(project.path("config/a.yaml")),
    "replaced": replace_a_linked_file,
    "added": lambda project: shutil.copytree(project.path("data"), project.path("more/data")),
    "moved": lambda project: project.path("data").rename(project.path("elsewhere")),
    "exchanged": exchange_kinds,
    "copied": lambda project: project.copy(project.path("copy")),
    "deleted": lambda project: shutil.rmtree(project.folder),
}


def state_of(project):
    """Return what a run could tell of each file and folder."""
    return {
        str(path.relative_to(project.folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes(),
        )
        for path in [project.folder, *project.folder.rglob("*")]
    }


@pytest.mark.parametrize("change", CHANGES)
def test_a_project_is_put_back_as_it_was(project, change):
    before = state_of(project)
    kept = Kept(project)
    for _ in range(2):
        CHANGES[change](kept.put_back())
    kept.put_back()
    assert state_of(project) == before
