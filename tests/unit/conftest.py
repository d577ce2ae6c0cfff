"""Fixtures of the unit tests. Hypothesis draws the same examples in every run."""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings
from records import load_config
from runs import Run

settings.register_profile(
    "skymill",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("skymill")


def pytest_collection_finish():
    """Spare the collector the libraries and the tests, and call it less often."""
    gc.freeze()
    gc.set_threshold(100_000)


@pytest.fixture(scope="session", autouse=True)
def _without_waiting_for_the_disk():
    """Flush no file: nobody cuts the power of these tests. A closed file is still an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture
def default_config():
    """config/config.yaml."""
    return load_config("config.yaml")


@pytest.fixture
def published_config():
    """config/config.yaml with the published recipe's keys over it."""
    return load_config("config.yaml", "published.yaml")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A run of the magnetic branch on small raw files with the default configuration."""
    return Run(tmp_path_factory.mktemp("small_run"), load_config("config.yaml"))


@pytest.fixture(scope="session")
def published_run(tmp_path_factory):
    """A run on the same files with the published recipe."""
    config = load_config("config.yaml", "published.yaml")
    return Run(tmp_path_factory.mktemp("published_run"), config)
