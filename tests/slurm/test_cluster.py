"""The cluster on which the other tests of this folder run."""

import cluster
import pytest
from cluster import Refused, running_cluster


def test_a_job_runs_in_the_folder_it_was_submitted_from(slurm, tmp_path):
    script = "#!/bin/sh\necho $SLURM_CPUS_PER_TASK CPUs for $SLURM_JOB_ID\n"
    tmp_path.joinpath("job.sh").write_text(script)
    job = slurm.ask("sbatch", "--parsable", "-D", str(tmp_path), "-c", "8", f"{tmp_path}/job.sh")
    slurm.wait_until_idle()
    (done,) = (each for each in slurm.jobs() if each["id"] == job.strip())
    assert (done["state"], done["cpus"], done["folder"]) == ("COMPLETED", "8", str(tmp_path))
    output = tmp_path.joinpath(f"slurm-{job.strip()}.out").read_text()
    assert output == f"8 CPUs for {job.strip()}\n"


def test_a_second_cluster_is_refused(slurm):
    with pytest.raises(Refused, match="another run of these tests"), running_cluster():
        raise AssertionError("a second cluster was started")


def test_a_machine_with_its_own_slurm_is_refused(monkeypatch, tmp_path):
    configuration = tmp_path / "slurm.conf"
    configuration.write_text("ClusterName=somebody-elses\n")
    monkeypatch.setattr(cluster, "CONFIGURATIONS", (configuration,))
    with pytest.raises(Refused, match="belongs to a SLURM cluster"), running_cluster():
        raise AssertionError("a cluster was started")
    assert configuration.exists()
