"""A real SLURM for the tests of this folder, which `make test-slurm` runs, not `make test`."""

import signal

import pytest
from cluster import Cluster, Refused, running_cluster


@pytest.fixture(scope="session")
def slurm() -> Cluster:
    """Return a running SLURM of one node on loopback, which goes away after the last test.

    Everything that is started with the machine's own `sbatch`, `squeue` or `scancel`, or by a
    library that calls them, talks to it without any setting: its slurm.conf stands in /etc/slurm.
    Its one partition, `test`, has 16 CPUs and 64 GB, whatever the machine has; jobs over their
    memory are killed. There is no accounting: an account (-A) is taken and means nothing.

        def test_something(slurm):
            job = slurm.ask("sbatch", "--parsable", "--wrap", "hostname").strip()
            slurm.wait_until_idle()
            assert slurm.jobs()[-1]["state"] == "COMPLETED"

    Run tests that use it as root: `pytest tests/slurm/test_something.py`.
    """
    # A run that is told to end cleans up as after Ctrl-C.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_cluster() as cluster:
            yield cluster
    except Refused as error:
        pytest.exit(f"No SLURM for the tests: {error}", returncode=2)
    finally:
        signal.signal(signal.SIGTERM, before)
