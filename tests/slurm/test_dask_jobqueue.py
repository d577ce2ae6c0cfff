"""Dask workers as SLURM jobs, started with the script for users."""

import subprocess
import sys

from projects import without_report

RECIPE = "profiles/dask/on_slurm.py"


def test_the_workflow_runs_with_workers_that_are_slurm_jobs(slurm, made, fresh):
    fresh.set("branches: [magnetic, ztf]")
    for old, new in (
        ("JOBS = 4", "JOBS = 2"),
        ('"your-partition"', '"test"'),
        ('"interface": None', '"interface": "lo"'),
        ('"cores": 16', '"cores": 1'),
        ('"processes": 16', '"processes": 1'),
        ('"24 GB"', '"2 GB"'),
    ):
        fresh.edit(RECIPE, old, new)
    done = subprocess.run(
        [sys.executable, RECIPE, *fresh.command("--cores", "2")],
        cwd=fresh.folder,
        env=fresh.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    local = made[0].portable_products()
    products = without_report(fresh.portable_products())
    assert products == {name: local[name] for name in products}
    log = fresh.path("logs/extract_night/20180601.log").read_text()
    assert "the Dask cluster at tls://127.0.0.1" in log
    workers = [job for job in slurm.jobs() if job["folder"] == str(fresh.folder)]
    assert len(workers) == 2
    slurm.wait_until_idle()  # they end with the script
