"""Run a command with a Dask cluster whose workers are SLURM jobs; the cluster ends with it.

    python profiles/dask/on_slurm.py snakemake --cores 8

Run it where jobs may be submitted, in the environment that runs Snakemake.
"""

import os
import subprocess
import sys

from dask_jobqueue import SLURMCluster

# What a site has to change.
JOBS = 4
JOB = {
    "account": "your-account",
    "queue": "your-partition",
    "walltime": "08:00:00",
    # So many processes of one thread each, with 1.5 GB each.
    "cores": 16,
    "processes": 16,
    "memory": "24 GB",
    # The network that all nodes share; None for that of the machine's own name.
    "interface": None,
}


def main() -> int:
    """Start the cluster, run the command, and return its exit status."""
    with SLURMCluster(**JOB, log_directory="logs/dask") as cluster:
        # A job that ends, by its time or a crash, is submitted again.
        cluster.adapt(minimum_jobs=JOBS, maximum_jobs=JOBS)
        cluster.wait_for_workers(1)
        environment = {**os.environ, "DASK_SCHEDULER_ADDRESS": cluster.scheduler_address}
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
