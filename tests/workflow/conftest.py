"""Projects to run Snakemake in: a fresh one, and one with everything made."""

import shutil

import pytest

from projects import Project


@pytest.fixture(scope="session")
def _fresh(tmp_path_factory) -> Project:
    return Project.new(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture
def project(_fresh, tmp_path) -> Project:
    """Return a project in which nothing has been made yet."""
    return _fresh.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def _finished(_fresh, tmp_path_factory) -> Project:
    project = _fresh.copy(tmp_path_factory.mktemp("finished") / "project")
    project.run("--cores", "2")
    project.folder.rename(project.folder.with_name("kept"))
    return project


@pytest.fixture
def finished(_finished) -> Project:
    """Return a project with everything made, to be changed at will.

    It always stands where it was made: a project that was moved has an index to write anew.
    """
    shutil.rmtree(_finished.folder, ignore_errors=True)
    return Project(_finished.folder.with_name("kept")).copy(_finished.folder)
