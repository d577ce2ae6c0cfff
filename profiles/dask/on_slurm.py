"""Run a command with a Dask cluster whose workers are SLURM jobs, then end the cluster.

    python profiles/dask/on_slurm.py snakemake --cores 8

Run this script on a machine that may submit jobs, in the environment that runs Snakemake. All
messages in the cluster are encrypted, and no one without the keys of this run can connect. The keys
are in a folder of the project. Only you can read the folder. It is deleted when the command ends.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dask_jobqueue import SLURMCluster
from distributed.security import Security

# Change these values for your site.
JOBS = 4
JOB = {
    "account": "your-account",
    "queue": "your-partition",
    "walltime": "08:00:00",
    # 16 processes with one thread and 1.5 GB each.
    "cores": 16,
    "processes": 16,
    "memory": "24 GB",
    # Name of the network interface that all nodes share. None uses the network of the host name.
    "interface": None,
}

# No dashboards, because everybody on the network could read them. The remaining web servers listen
# only on this machine.
NO_PAGES = "127.0.0.1:0"
SCHEDULER = {"dashboard": False, "dashboard_address": NO_PAGES}
WORKER = ["--no-dashboard", "--dashboard-address", NO_PAGES]


@contextmanager
def keys(project: Path) -> Iterator[Security]:
    """Write the keys of one run to files, and delete the files at the end.

    Workers on other machines read the files, so they are in the project's folder, with modes 0700
    and 0600.
    """
    made = Security.temporary()
    with tempfile.TemporaryDirectory(dir=project, prefix=".dask-keys-") as folder:
        files = {}
        for name, text in (("ca", made.tls_ca_file), ("key", made.tls_client_key)):
            files[name] = str(Path(folder, f"{name}.pem"))
            descriptor = os.open(files[name], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="ascii") as stream:
                stream.write(text)
        roles = ("client", "scheduler", "worker")
        yield Security(
            tls_ca_file=files["ca"],
            # All roles share one self-signed certificate.
            **{f"tls_{role}_cert": files["ca"] for role in roles},
            **{f"tls_{role}_key": files["key"] for role in roles},
            require_encryption=True,
        )


def variables(address: str, security: Security) -> dict[str, str]:
    """Return the environment variables with the address and the keys, for Dask's clients."""
    tls = "DASK_DISTRIBUTED__COMM__TLS"
    return {
        "DASK_SCHEDULER_ADDRESS": address,
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        f"{tls}__CA_FILE": security.tls_ca_file,
        f"{tls}__CLIENT__CERT": security.tls_client_cert,
        f"{tls}__CLIENT__KEY": security.tls_client_key,
    }


def main() -> int:
    """Start the cluster, run the command, and return its exit status."""
    with (
        keys(Path.cwd()) as security,
        SLURMCluster(
            **JOB,
            log_directory="logs/dask",
            security=security,
            scheduler_options=SCHEDULER,
            worker_extra_args=WORKER,
        ) as cluster,
    ):
        # A job that ends because of its time limit or a crash is submitted again.
        cluster.adapt(minimum_jobs=JOBS, maximum_jobs=JOBS)
        cluster.wait_for_workers(1)
        environment = {**os.environ, **variables(cluster.scheduler_address, security)}
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
