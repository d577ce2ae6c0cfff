"""aeon learns from the arrays of `skymill.load`, in an environment with aeon's versions."""

import os
import subprocess
from pathlib import Path

import pytest

from projects import REPOSITORY, Project

PYTHON = Path(os.environ.get("SKYMILL_AEON", "/nowhere")) / "bin" / "python"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="SKYMILL_AEON names no environment with aeon: make test-extra"
)

PROGRAM = """
import sys

import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier

import skymill

train, test = (skymill.load("magnetic", split, layout="nct") for split in ("train", "test"))
assert train.X.shape[1:] == (len(train.columns), 60)
model = MiniRocketClassifier(n_kernels=336, random_state=1).fit(train.X, train.y)
assert model.predict(test.X).shape == test.y.shape
right = (model.predict(train.X) == train.y).mean()
sys.stdout.write(f"{right:.3f} {np.bincount(train.y).max() / len(train):.3f}")
"""


def test_a_classifier_of_aeon_learns_from_the_arrays(tmp_path):
    project = Project.new(tmp_path / "project")
    project.run("--cores", "2", "magnetic")
    done = subprocess.run(
        [PYTHON, "-c", PROGRAM],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow" / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    right, most_common = map(float, done.stdout.split())
    # On its training records a model is better than a forecast of the most common class.
    assert right > most_common + 0.1
