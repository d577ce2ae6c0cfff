"""Runs of the workflow on the test cluster: their profiles, and what the tests do to them."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator

from cluster import Cluster

from projects import Project

SLURM_PROFILE = (
    *("--profile", "profiles/slurm"),
    # Users may be more patient.
    *("--slurm-init-seconds-before-status-checks", "2"),
)
GENERIC_PROFILE = ("--profile", "profiles/generic", "--seconds-between-status-checks", "3")

AUGMENTED = "data/preprocessed/solar_flare_2020/train_augmented"
SCRIPT = "workflow/scripts/augment_train.py"
"""Tests change what the augmentation does: it is one job, and little comes after it."""
MAIN = "def main(run):\n"
FAIL = MAIN + '    raise RuntimeError("a fault")\n'
WAIT = MAIN + "    import time\n    time.sleep(600)\n"


def jobs_of(slurm: Cluster, project: Project, rule: str = "") -> list[dict[str, str]]:
    """Return the jobs that Snakemake's plugin submitted for a rule, or for all; oldest first."""
    return [
        job
        for job in slurm.jobs()
        if job["folder"] == str(project.folder) and job["comment"].startswith(f"rule_{rule}")
    ]


@contextlib.contextmanager
def started(project: Project, *arguments: str) -> Iterator[subprocess.Popen]:
    """Start Snakemake in a process group of its own, as a terminal does; it never outlives this."""
    with open(project.path("run.log"), "w") as log:
        run = subprocess.Popen(
            project.command(*arguments),
            cwd=project.folder,
            env=project.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield run
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def wait_for_augmentation(slurm: Cluster, project: Project, run: subprocess.Popen) -> None:
    """Wait until the augmentation is at work: it has opened its log anew."""

    def at_work() -> bool:
        assert run.poll() is None, project.path("run.log").read_text()
        return project.path("logs/augment_train.log").exists()

    slurm.wait_until(at_work, "the augmentation at work")


def make_augmentation_wait(project: Project) -> None:
    """Have the augmentation wait, so that a run can be ended in its middle."""
    project.edit(SCRIPT, MAIN, WAIT)
    project.path("logs/augment_train.log").unlink()
