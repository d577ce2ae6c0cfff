"""Runs of the workflow on the test cluster: profiles, and changes that the tests make."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cluster import Cluster

from projects import SNAKEMAKE, Project

TESTS = Path(__file__).parents[1]
SLURM_PROFILE = ("--profile", "profiles/slurm")
GENERIC_PROFILE = ("--profile", "profiles/generic")
COMMAND_LINE = [
    *(sys.executable, "-c"),
    f"import sys; sys.path.append({str(TESTS)!r}); import warm_snakemake, snakemake.cli\n"
    "warm_snakemake.query_often()\n"
    "snakemake.cli.main()",
]
"""Snakemake as a process, which asks for the states of jobs each second."""

AUGMENTED = "data/preprocessed/solar_flare_2020/train_augmented"
SCRIPT = "workflow/scripts/augment_train.py"
"""Tests change the augmentation, because it is one job with few jobs after it."""
BEGIN = " as run:\n"
FAIL = BEGIN + '    raise RuntimeError("a fault")\n'
WAIT = BEGIN + "    import time\n    time.sleep(600)\n"


def jobs_of(slurm: Cluster, project: Project, rule: str = "") -> list[dict[str, str]]:
    """Return the jobs that Snakemake's plugin submitted for a rule, or all jobs; oldest first."""
    return [
        job
        for job in slurm.jobs()
        if job["folder"] == str(project.folder) and job["comment"].startswith(f"rule_{rule}")
    ]


@contextlib.contextmanager
def started(project: Project, *arguments: str) -> Iterator[subprocess.Popen]:
    """Start Snakemake in its own process group, as a terminal does; kill it at the end."""
    with open(project.path("run.log"), "w") as log:
        run = subprocess.Popen(
            [*COMMAND_LINE, *project.command(*arguments)[len(SNAKEMAKE) :]],
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
    """Wait until the augmentation runs: its log exists again."""

    def at_work() -> bool:
        assert run.poll() is None, project.path("run.log").read_text()
        return project.path("logs/augment_train.log").exists()

    slurm.wait_until(at_work, "the augmentation running")


def make_augmentation_wait(project: Project) -> None:
    """Make the augmentation wait, so that a run can be ended in the middle."""
    project.edit(SCRIPT, BEGIN, WAIT)
    project.path("logs/augment_train.log").unlink()


def slow_squeue(project: Project) -> Path:
    """Make `squeue` take a second in the project's runs; return a file that each call makes.

    Then Ctrl-C can come while a run asks for the states of its jobs.
    """
    folder = project.path("slow")
    folder.mkdir()
    program, asked = folder / "squeue", folder / "asked"
    program.write_text(f'#!/bin/sh\ntouch {asked}\nsleep 1\nexec {shutil.which("squeue")} "$@"\n')
    program.chmod(0o755)
    project.variables["PATH"] = f"{folder}:{project.variables['PATH']}"
    return asked
