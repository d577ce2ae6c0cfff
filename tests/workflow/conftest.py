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
    project.is_unchanged = False
    return project


@pytest.fixture
def finished(_finished) -> Project:
    """Return a project with everything made, to be changed at will.

    It is always where it was made: a project that was moved has an index to write anew.
    """
    _finished.is_unchanged = False
    return _copy_anew(_finished)


@pytest.fixture
def looked_at(_finished) -> Project:
    """Return a project with everything made, for looks: only settings and code may be changed.

    They are put back afterwards; looks change nothing, see test_looking.
    """
    if not _finished.is_unchanged:
        _copy_anew(_finished)
        _finished.is_unchanged = True
    yield Project(_finished.folder)
    kept = _finished.folder.with_name("kept")
    for name in ("config", "workflow"):
        for path in (kept / name).rglob("*"):
            now = _finished.folder / path.relative_to(kept)
            if path.is_file() and now.read_bytes() != path.read_bytes():
                shutil.copy2(path, now)


def _copy_anew(project: Project) -> Project:
    """Put the finished project where it was made, as it was then."""
    shutil.rmtree(project.folder, ignore_errors=True)
    return Project(project.folder.with_name("kept")).copy(project.folder)


@pytest.fixture
def load_dataset(tmp_path, monkeypatch):
    """Return a function that loads a folder without a network, and leaves no cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    import datasets

    cache = tmp_path / "cache"
    return lambda folder, *name: datasets.load_dataset(str(folder), *name, cache_dir=str(cache))
