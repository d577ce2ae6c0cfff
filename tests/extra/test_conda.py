"""Snakemake alone runs the workflow with --sdm conda: the files of envs/ name all packages."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

import stand_in_conda
from projects import SNAKEMAKE, Project

pytestmark = pytest.mark.skipif(
    "SKYMILL_EXTRA" not in os.environ, reason="installs seven environments: make test-extra"
)


def test_jobs_in_the_environments_of_the_rules_make_the_same_bytes(tmp_path):
    alone = tmp_path / "alone"
    subprocess.run([sys.executable, "-m", "venv", alone], check=True)
    pip = [alone / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"snakemake=={version('snakemake')}"], check=True)
    conda = stand_in_conda.install(tmp_path / "conda")

    made, same = (Project.new(tmp_path / name) for name in ("made", "same"))
    for project in (made, same):
        # The sample of the README, with all branches.
        project.path("config/small.yaml").write_text("source: sample\n")
    subprocess.run(
        [alone / "bin" / "snakemake", *made.command("--sdm", "conda")[len(SNAKEMAKE) :]],
        cwd=made.folder,
        env={**made.environment(), "PATH": f"{conda}:{alone / 'bin'}:{os.environ['PATH']}"},
        check=True,
    )
    same.run()
    products = made.portable_products()
    assert any("aligned/train" in name for name in products)
    assert products == same.portable_products()
