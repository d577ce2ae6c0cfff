"""Compiled functions survive damage to Numba's cache."""

import subprocess
import sys
from pathlib import Path

import pytest
from records import SCRIPTS

MODULE = """
from numba import int64
from skymill.engine.compiled import compiled

@compiled(int64(int64), nogil=True)
def double(number):
    return 2 * number

print(double(21))
"""


def run(folder):
    """Import the module in a new process; return what it printed."""
    done = subprocess.run(
        [sys.executable, "module.py"],
        cwd=folder,
        env={"PYTHONPATH": str(SCRIPTS), "NUMBA_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "module.py").write_text(MODULE)
    assert run(folder) == "42"
    assert cache_of(folder)
    return folder


def cache_of(folder) -> list[Path]:
    return sorted((folder / "cache").rglob("*.nb[ic]"))


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", ["empty", "cut", "zeros"])
def test_a_damaged_cache_is_rebuilt(folder, ending, damage):
    file = next(path for path in cache_of(folder) if path.suffix == ending)
    content = file.read_bytes()
    half = len(content) // 2
    damaged = {"empty": b"", "cut": content[:half], "zeros": bytes(len(content))}[damage]
    file.write_bytes(damaged)
    assert run(folder) == "42"
    assert file.read_bytes()[:half] != damaged[:half] or file.stat().st_size == len(content)
    assert file.read_bytes() != damaged
