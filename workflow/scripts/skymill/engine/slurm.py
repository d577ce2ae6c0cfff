"""The jobs of a user in SLURM's queue."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

RUN_NAME = re.compile(r"(?:[\w-]+_)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Snakemake's plugin names each job after its run: a UUID, perhaps after a prefix."""


@dataclass(frozen=True)
class QueuedJob:
    """A job that waits, runs or is about to end.

    Attributes
    ----------
    number
        The job's number, as for `scancel`.
    name, folder
        The job's name, and its working directory.
    """

    number: int
    name: str
    folder: Path

    @property
    def is_of_snakemake(self) -> bool:
        """Whether Snakemake submitted the job."""
        return RUN_NAME.fullmatch(self.name) is not None


def queued_jobs() -> list[QueuedJob] | None:
    """Return the jobs of this user, or None if SLURM does not answer."""
    command = ["squeue", "--me", "--noheader", "--format=%A|%j|%Z"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    jobs = []
    for line in done.stdout.splitlines():
        number, name, folder = line.split("|", maxsplit=2)
        jobs.append(QueuedJob(int(number), name, Path(folder)))
    return jobs
