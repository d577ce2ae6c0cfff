"""Projects to run Snakemake in: a fresh one, and one with everything made."""

import shutil

import pytest
from filelock import FileLock

from projects import Project


@pytest.fixture(scope="session")
def _fresh(tmp_path_factory) -> Project:
    return Project.new(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture
def project(_fresh, tmp_path) -> Project:
    """Return a project in which nothing has been made yet."""
    return _fresh.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def made_once(_fresh, tmp_path_factory, worker_id):
    """Return a function that makes a project once for all test workers: (name, settings)."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def make(name: str, settings: str = "") -> Project:
        folder = shared / f"made_{name}"
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                project = _fresh.copy(shared / f"making_{name}")
                if settings:
                    project.set(settings)
                project.run("--cores", "2")
                project.folder.rename(folder)
        return Project(folder)

    return make


@pytest.fixture(scope="session")
def _finished(made_once, tmp_path_factory) -> Project:
    # A project that was moved has an index to write anew: each worker's is made where it stays.
    project = made_once("finished").copy(tmp_path_factory.mktemp("finished") / "project")
    project.run("--cores", "2")
    project.folder.rename(project.folder.with_name("kept"))
    return project


@pytest.fixture
def finished(_finished) -> Project:
    """Return a project with everything made, to be changed at will.

    It is always where it was made: a project that was moved has an index to write anew.
    """
    shutil.rmtree(_finished.folder, ignore_errors=True)
    return Project(_finished.folder.with_name("kept")).copy(_finished.folder)
