"""The workflow on a Dask cluster has the same bytes, even if a worker is killed."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from distributed import Client

from dask_clusters import LoopbackCluster
from projects import said

CLEAN = "data/preprocessed/solar_flare_2020/train"

STAGES = {
    "simulate train_partition1_data",
    "ingest train_partition1_data",
    f"write {CLEAN}",
    f"write {CLEAN}_augmented",
    "write data/processed/magnetic_data/train",
    "simulate SDOBenchmark",
    "unpack sdobenchmark.zip",
    "check images",
    "write data/processed/sdo/train.zarr",
    "simulate 20180601",
    "extract 20180601",
    "gather stamps",
}
"""One job of each kind that distributes batches. The auxiliary table has no such job."""


@pytest.fixture
def cluster(project, tmp_path):
    """A cluster of three workers that import the project's code: two are left if one is killed."""
    scripts = project.path("workflow/scripts")
    with LoopbackCluster(tmp_path / "cluster", pythonpath=(scripts,)) as running:
        for _ in range(3):
            running.add_worker()
        yield running


def stages_done(running):
    """Return the stages of the tasks that the scheduler has completed, from the names of tasks."""

    def done(dask_scheduler):
        prefixes = dask_scheduler.task_prefixes
        return [name for name, prefix in prefixes.items() if prefix.state_counts["memory"]]

    with Client(running.address, set_as_default=False) as client:
        return set(client.run_on_scheduler(done))


def test_every_branch_has_the_same_bytes_on_a_cluster_even_if_a_worker_is_killed(
    finished, project, cluster
):
    project.set(f"dask: {{scheduler_address: '{cluster.address}'}}")
    with ThreadPoolExecutor() as pool:
        run = pool.submit(project.run, "--cores", "2")
        kill_a_worker_that_is_at(cluster, "ingest", run)
    run.result()
    assert stages_done(cluster) >= STAGES
    assert project.portable_products() == finished.portable_products()
    for name, content in project.products().items():
        assert cluster.address.encode() not in content, name
    project.set("dask: {scheduler_address: null}")
    assert project.stale() == set()


def kill_a_worker_that_is_at(running, stage, run):
    """Kill a worker while it has tasks of a stage."""
    deadline = time.monotonic() + 120
    with Client(running.address, set_as_default=False) as client:
        processes = client.run(os.getpid)
        while time.monotonic() < deadline and not run.done():
            for worker, tasks in client.processing().items():
                if any(task.startswith(stage) for task in tasks):
                    os.kill(processes[worker], signal.SIGKILL)
                    return
            time.sleep(0.005)
    raise AssertionError(f"no worker was ever at {stage}")


def test_an_address_makes_nothing_stale_and_the_environment_comes_first(finished):
    finished.set("dask: {scheduler_address: 'tcp://127.0.0.1:1'}")
    assert finished.stale("magnetic") == set()
    for path in finished.path("data/processed/magnetic_data").glob("dev*"):
        finished.path("trash").mkdir(exist_ok=True)
        path.rename(finished.path("trash") / path.name)
    finished.variables["DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT"] = "100 ms"
    done = finished.run("--cores", "1", "magnetic", succeeds=False)
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in said(done)
    finished.variables["DASK_SCHEDULER_ADDRESS"] = ""
    finished.run("--cores", "1", "magnetic")
