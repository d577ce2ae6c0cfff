"""The profile for other batch systems, with its scripts for SLURM."""

import os
import re
import signal

from runs import (
    AUGMENTED,
    GENERIC_PROFILE,
    make_augmentation_wait,
    started,
    wait_for_augmentation,
)


def test_results_have_the_bytes_of_a_local_run(slurm, finished):
    before = finished.products()
    finished.path("data/interim/raw/solar_flare_2020/test_4_5_data.json.receipt.json").unlink()
    finished.run(*GENERIC_PROFILE, "data/preprocessed/solar_flare_2020/test")
    assert finished.products() == before
    logs = finished.path("logs/cluster")
    assert list(logs.glob("GROUP-*.log")), "hashing and reading are one job"
    assert list(logs.glob("write_clean-*.log"))


def test_a_job_that_was_killed_is_reported(slurm, finished):
    make_augmentation_wait(finished)
    with started(finished, *GENERIC_PROFILE, "--retries", "0", AUGMENTED) as run:
        wait_for_augmentation(slurm, finished, run)
        (log,) = finished.path("logs/cluster").glob("augment_train-*.log")
        slurm.ask("scancel", re.search(r"\d+", log.name)[0])
        assert run.wait() != 0
    assert "Error in rule augment_train" in finished.path("run.log").read_text()


def test_ctrl_c_cancels_jobs(slurm, finished):
    make_augmentation_wait(finished)
    with started(finished, *GENERIC_PROFILE, AUGMENTED) as run:
        wait_for_augmentation(slurm, finished, run)
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait() != 0
    slurm.wait_until_idle()
    states = [job["state"] for job in slurm.jobs() if job["folder"] == str(finished.folder)]
    assert states == ["CANCELLED"]
