"""The script that starts Dask workers as SLURM jobs: only holders of the keys have access."""

import importlib.util
import os
import signal
import stat
import sys
from pathlib import Path

import pytest
from distributed import LocalCluster
from records import REPOSITORY, SCRIPTS

from dask_clusters import TESTS
from skymill.engine.errors import SkymillError
from skymill.engine.parallel import ADDRESS, map_pieces

JOB = """
import sys
import dask_clusters
from skymill.engine.parallel import map_pieces
assert sys.argv[1:] == ["one", "two"]
assert map_pieces(dask_clusters.note, range(5), workers=1, what="notes") == [0, 2, 4, 6, 8]
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """The script, in a project's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (SCRIPTS, TESTS))))
    path = REPOSITORY / "profiles" / "dask" / "on_slurm.py"
    spec = importlib.util.spec_from_file_location("on_slurm", path)
    module = importlib.util.module_from_spec(spec)
    # On import, dask_jobqueue replaces the handlers of Ctrl-C and SIGTERM, for its own processes.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    spec.loader.exec_module(module)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return module


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_user_can_read_the_keys_and_they_are_deleted_at_the_end(recipe, tmp_path):
    with recipe.keys(tmp_path) as security:
        files = {Path(security.tls_ca_file), Path(security.tls_client_key)}
        assert {file.parent.parent for file in files} == {tmp_path}
        assert {mode(file) for file in files} == {0o600}
        assert {mode(file.parent) for file in files} == {0o700}
        assert security.require_encryption
    assert list(tmp_path.iterdir()) == []


def test_workers_are_submitted_with_the_keys_and_without_pages(recipe, tmp_path):
    with (
        recipe.keys(tmp_path) as security,
        recipe.SLURMCluster(
            **{**recipe.JOB, "interface": "lo"},
            security=security,
            scheduler_options=recipe.SCHEDULER,
            worker_extra_args=recipe.WORKER,
        ) as cluster,
    ):
        script = cluster.job_script()
        assert "tls://" in script
        assert f"--tls-ca-file {security.tls_ca_file}" in script
        assert f"--tls-key {security.tls_worker_key}" in script
        assert "--no-dashboard --dashboard-address 127.0.0.1:0" in script
        # As paths: every user can read a script in SLURM's queue.
        assert "PRIVATE KEY" not in script
        assert listens_to(cluster.scheduler) == {"127.0.0.1"}


def listens_to(scheduler):
    """Return the addresses at which the scheduler's HTTP server listens."""
    return {socket.getsockname()[0] for socket in scheduler.http_server._sockets.values()}


def test_only_commands_with_keys_can_connect_to_the_cluster(recipe, monkeypatch):
    clusters = []

    class Local(LocalCluster):
        """Workers on this machine instead of SLURM jobs."""

        def __init__(self, *, security, scheduler_options, **_):
            super().__init__(
                n_workers=1,
                threads_per_worker=1,
                host="127.0.0.1",
                protocol="tls://",
                security=security,
                dashboard_address=scheduler_options["dashboard_address"],
            )
            clusters.append(self)

        def adapt(self, **_):
            """Keep the one worker."""
            assert self.scheduler_address.startswith("tls://127.0.0.1:")
            assert listens_to(self.scheduler) == {"127.0.0.1"}
            monkeypatch.setenv(ADDRESS, self.scheduler_address)
            with pytest.raises(SkymillError, match="no Dask scheduler answers at tls://"):
                map_pieces(abs, [1], workers=1, what="without keys")
            monkeypatch.delenv(ADDRESS)

    monkeypatch.setattr(recipe, "SLURMCluster", Local)
    monkeypatch.setattr(sys, "argv", ["on_slurm.py", sys.executable, "-c", JOB, "one", "two"])
    assert recipe.main() == 0
    assert len(clusters) == 1
    assert not list(Path().glob(".dask-keys-*"))
