"""Projects to run Snakemake in: a fresh one, and one with everything made."""

from pathlib import Path

import pytest
from filelock import FileLock

from projects import Kept, Project


@pytest.fixture(scope="session")
def _shared(tmp_path_factory, worker_id) -> Path:
    """Return a folder of all test workers."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def _fresh(_shared) -> Project:
    folder = _shared / "fresh"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            Project.new(_shared / "new").folder.rename(folder)
    return Project(folder)


@pytest.fixture
def project(_fresh, tmp_path) -> Project:
    """Return a project in which nothing has been made yet."""
    return _fresh.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def made_once(_fresh, _shared):
    """Return a function that makes a project once for all test workers: (name, settings, targets).

    Tests must not change this project, but they may change a copy.
    """

    def make(name: str, settings: str = "", *targets: str) -> Project:
        folder = _shared / f"made_{name}"
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                project = _fresh.copy(_shared / f"making_{name}")
                if settings:
                    project.set(settings)
                project.run("--cores", "2", *targets)
                project.folder.rename(folder)
        return Project(folder)

    return make


@pytest.fixture(scope="session")
def _finished(made_once, tmp_path_factory) -> Kept:
    # A moved project must write its index again, so each worker makes its project in place.
    project = made_once("finished").copy(tmp_path_factory.mktemp("finished") / "project")
    project.run("--cores", "2")
    return Kept(project)


@pytest.fixture
def finished(_finished) -> Project:
    """Return a project with everything made, to be changed at will."""
    return _finished.put_back()


@pytest.fixture
def looked_at(finished) -> Project:
    """Return the same project, for looks and readers: they change nothing in it."""
    return finished


@pytest.fixture
def load_dataset(tmp_path, monkeypatch):
    """Return a function that loads a folder without a network, and leaves no cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    import datasets

    cache = tmp_path / "cache"
    return lambda folder, *name: datasets.load_dataset(str(folder), *name, cache_dir=str(cache))
