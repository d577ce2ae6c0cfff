"""A real SLURM for the tests of this folder. Run them with `make test-slurm`, not `make test`."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster import Cluster, Refused, running_cluster
from runs import SLURM_PROFILE

from projects import Project
from skymill import paths
from skymill.magnetic.schema import PARTITIONS
from warm_snakemake import QUERY_OFTEN


@pytest.fixture(scope="session")
def slurm() -> Cluster:
    """Return a running SLURM of one node on loopback, which ends after the last test.

    The machine's `sbatch`, `squeue` and `scancel`, and libraries that call them, use this cluster
    without any setting, because its slurm.conf is in /etc/slurm. Its only partition, `test`, claims
    64 CPUs and 128 GB on any machine. Jobs that exceed their memory are killed. There is no
    accounting: an account (-A) is accepted and ignored.

        def test_something(slurm, tmp_path):
            job = slurm.ask("sbatch", "--parsable", "-D", str(tmp_path), "--wrap", "hostname")
            slurm.wait_until_idle()
            assert slurm.jobs()[-1]["state"] == "COMPLETED"

    Run tests that use it as root: `pytest tests/slurm/test_something.py`.
    """
    # After SIGTERM a test run cleans up as after Ctrl-C.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_cluster() as cluster:
            yield cluster
    except Refused as error:
        pytest.exit(f"No SLURM for the tests: {error}", returncode=2)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def _fresh(tmp_path_factory) -> Project:
    """Return a project with its profile set up for the test cluster.

    Only the magnetic branch's raw files exist, which saves the wait for four jobs. The raw files
    count as local, because jobs on such small simulated files get only one thread each.
    """
    project = Project.new(tmp_path_factory.mktemp("fresh") / "project")
    project.set("ztf: {nights: [20180601]}")
    project.edit("profiles/slurm/config.yaml", "your-partition", "test")
    bin_folder = str(Path(sys.executable).parent)
    project.variables[QUERY_OFTEN] = "1"
    project.variables["PATH"] = f"{bin_folder}:{os.environ['PATH']}"
    raw = [paths.MAGNETIC_FILE.format(partition=partition) for partition in PARTITIONS]
    simulated, local = (paths.raw_folder(source, "data") for source in ("sample", "local"))
    project.run("--cores", "2", *(f"{simulated}/{file}" for file in raw))
    project.path(simulated).rename(project.path(local))
    for sidecar in project.path(local).rglob("*.source.json"):
        sidecar.unlink()
    project.set("source: {default: sample, magnetic: local}")
    return project


@pytest.fixture(scope="session")
def made(_fresh, slurm, tmp_path_factory) -> tuple[Project, Project]:
    """Return two projects with everything made: by a local run, and through SLURM."""
    folder = tmp_path_factory.mktemp("made")
    local, remote = _fresh.copy(folder / "local"), _fresh.copy(folder / "remote")
    # In parallel: one run works while the other waits.
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(local.run, "--cores", "2")
        remote.run(*SLURM_PROFILE)
    run.result()
    return local, remote


@pytest.fixture
def fresh(_fresh, slurm, tmp_path) -> Project:
    """Return a project with only the raw files of the magnetic branch."""
    return _fresh.copy(tmp_path / "project")


@pytest.fixture
def finished(made, tmp_path) -> Project:
    """Return a project whose magnetic branch has been made."""
    project = made[0].copy(tmp_path / "project")
    project.set("branches: [magnetic]")
    return project
