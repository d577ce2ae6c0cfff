"""Compiled functions survive damage to Numba's cache."""

import runpy
from pathlib import Path

import numba
import pytest

MODULE = """
from numba import int64
from skymill.engine.compiled import compiled

@compiled(int64(int64), nogil=True)
def double(number):
    return 2 * number

ANSWER = double(21)
"""


def run(folder):
    """Run the module as when it is imported first; return what its function answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "CACHE_DIR", str(folder / "cache"))
        return runpy.run_path(str(folder / "module.py"))["ANSWER"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "module.py").write_text(MODULE)
    assert run(folder) == 42
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
    assert run(folder) == 42
    assert file.read_bytes()[:half] != damaged[:half] or file.stat().st_size == len(content)
    assert file.read_bytes() != damaged
