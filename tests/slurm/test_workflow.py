"""The workflow on a real SLURM, with the profile and the commands for users."""

import hashlib
import json
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from runs import (
    AUGMENTED,
    BEGIN,
    FAIL,
    SCRIPT,
    SLURM_PROFILE,
    WAIT,
    jobs_of,
    make_augmentation_wait,
    slow_squeue,
    started,
    wait_for_augmentation,
)

from projects import said, without_report

# 2.2 GB, for long enough to be noticed.
HOG = """\
    import time

    import numpy as np

    hog = np.ones(275_000_000)
    time.sleep(4)
"""


def test_results_have_the_bytes_of_a_local_run(made):
    local, remote = made
    assert remote.portable_products() == local.portable_products()
    assert remote.stale(*SLURM_PROFILE) == set()


def test_jobs_get_the_threads_of_their_rules_and_memory_for_them(slurm, made):
    for job in jobs_of(slurm, made[1], "write_clean"):
        assert (job["cpus"], job["memory"]) == ("8", "6600M")


def test_a_raw_file_is_hashed_and_read_by_one_job(slurm, made):
    assert len(jobs_of(slurm, made[1], "raw_ingest_magnetic_verify_raw")) == 4
    # Nights and the list of labels are hashed while they are read: no other job reads them.
    assert len(jobs_of(slurm, made[1], "extract_night")) == 1
    manifest = made[1].path("data/preprocessed/ztf/stamps/20180601.parquet.manifest.json")
    raw = made[1].path("data/sample/raw/ztf/ztf_public_20180601.tar.gz")
    read = json.loads(manifest.read_text())["raw"]
    assert read["sha256"] == hashlib.sha256(raw.read_bytes()).hexdigest()
    receipts = [path.name for path in made[1].path("data/interim/raw").rglob("*.receipt.json")]
    assert f"{raw.name}.receipt.json" not in receipts
    assert len(receipts) == 6


def test_small_jobs_are_not_submitted(slurm, made):
    submitted = " ".join(job["comment"] for job in jobs_of(slurm, made[1]))
    for rule in ("plan_magnetic", "check_leaks", "check_night", "index_sdo", "convert_stealth"):
        assert list(made[1].path("logs").glob(f"{rule}*")), f"{rule} has not run"
        assert rule not in submitted


@pytest.fixture(scope="module")
def troubled(made, tmp_path_factory):
    """Return two runs with their projects: one that fails, and one that takes too much memory.

    The runs are parallel, because they mostly wait.
    """
    folder = tmp_path_factory.mktemp("troubled")
    failing, greedy = made[0].copy(folder / "failing"), made[0].copy(folder / "greedy")
    failing.edit(SCRIPT, BEGIN, FAIL)
    greedy.edit(SCRIPT, BEGIN, BEGIN + HOG)
    with ThreadPoolExecutor(2) as pool:
        fails = pool.submit(
            failing.run, *SLURM_PROFILE, "--retries", "0", AUGMENTED, succeeds=False
        )
        # With one thread the job gets 1.7 GB.
        retries = pool.submit(greedy.run, *SLURM_PROFILE, "--max-threads", "1", AUGMENTED)
        return (failing, fails.result()), (greedy, retries.result())


def test_a_failed_job_is_named_with_its_logs(slurm, troubled):
    project, run = troubled[0]
    (job,) = jobs_of(slurm, project, "augment_train")
    assert job["state"] == "FAILED"
    assert "Error in rule augment_train" in said(run)
    log = f"logs/slurm/rule_augment_train/{job['id']}.log"
    for name in ("logs/augment_train.log", log):
        assert name in said(run)
        assert "a fault" in project.path(name).read_text()
    # The content of the log is shown too.
    assert "RuntimeError: a fault" in said(run)


def test_a_job_over_its_memory_is_killed_and_gets_more(slurm, made, troubled):
    project, _ = troubled[1]
    killed, retried = jobs_of(slurm, project, "augment_train")
    assert (killed["memory"], retried["memory"]) == ("1700M", "3400M")
    assert (killed["state"], retried["state"]) == ("FAILED", "COMPLETED")
    log = project.path(f"logs/slurm/rule_augment_train/{killed['id']}.log").read_text()
    assert re.search("exceeded.*memory limit", log), log
    part = f"{AUGMENTED}/part-00000.parquet"
    assert project.products()[part] == made[0].products()[part]


def test_a_run_that_is_cancelled_and_then_killed_resumes_and_has_the_same_bytes(slurm, finished):
    before = finished.products()
    make_augmentation_wait(finished)
    asked = slow_squeue(finished)
    with started(finished, *SLURM_PROFILE, AUGMENTED) as run:
        wait_for_augmentation(slurm, finished, run)
        # Snakemake does not know its active jobs while it asks for their states.
        asked.unlink(missing_ok=True)
        slurm.wait_until(asked.exists, "a question for the states of jobs")
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait() != 0
    asked.with_name("squeue").unlink()
    slurm.wait_until_idle()
    (cancelled,) = jobs_of(slurm, finished, "augment_train")
    assert cancelled["state"] == "CANCELLED"

    finished.path("logs/augment_train.log").unlink()
    with started(finished, *SLURM_PROFILE, AUGMENTED) as run:
        wait_for_augmentation(slurm, finished, run)
        run.kill()
        run.wait()
    _, orphaned = jobs_of(slurm, finished, "augment_train")
    assert orphaned["state"] == "RUNNING"
    refused = finished.run(*SLURM_PROFILE, AUGMENTED, succeeds=False)
    assert f"scancel {orphaned['id']}" in said(refused)
    slurm.ask("scancel", orphaned["id"])
    slurm.wait_until_idle()

    finished.edit(SCRIPT, WAIT, BEGIN)
    done = finished.run(*SLURM_PROFILE, AUGMENTED)
    assert "An earlier run was killed" in said(done)
    assert finished.stale() == set()
    assert without_report(finished.products()) == without_report(before)


def test_one_big_job_runs_on_the_cluster(slurm, made, fresh):
    fresh.set("branches: [stealth]")
    command = "snakemake --cores $SLURM_CPUS_PER_TASK --configfile config/small.yaml"
    done = subprocess.run(
        ["sbatch", "--parsable", "--cpus-per-task=2", "--mem=4G", "--time=60", "--wrap", command],
        cwd=fresh.folder,
        env=fresh.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    number = done.stdout.strip()
    slurm.wait_until_idle()
    output = fresh.path(f"slurm-{number}.out").read_text()
    (job,) = (job for job in slurm.jobs() if job["id"] == number)
    assert job["state"] == "COMPLETED", output
    assert " on 2 cores" in output
    products = without_report(fresh.products())
    expected = made[0].products()
    assert "data/preprocessed/stealth/solar_flares.parquet" in products
    assert products == {name: expected[name] for name in products}
