"""An environment in which jobs cannot run is refused with the reason before any work."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from records import REPOSITORY

from skymill.engine.environment import shadowed_packages, unsafe_python

MAKE = REPOSITORY / "envs" / "make_venv.py"


@pytest.mark.parametrize("letter", list(" '\"$&();*?#!{}[]<>|`\\\t"))
def test_a_python_that_a_shell_would_not_find_is_refused(letter):
    assert repr(letter) in unsafe_python(f"/home/a{letter}b/.venv/bin/python")


@pytest.mark.parametrize(
    "path", ["/home/Ästro/日本/.venv/bin/python", "/a-b_c+d@e=f,g.h%i~/python"]
)
def test_paths_may_contain_letters_of_any_language(path):
    assert unsafe_python(path) is None


@pytest.fixture
def environment(tmp_path):
    """The project's own environment, with two packages."""
    prefix = tmp_path / ".venv"
    base = {"base": str(prefix), "platbase": str(prefix)}
    own = Path(sysconfig.get_path("purelib", vars=base))
    for name in ("numpy", "skymill", "numpy-2.dist-info"):
        (own / name).mkdir(parents=True)
    (own / "six.py").touch()
    return prefix


def other(tmp_path, *names):
    """Make a folder with packages, and return it."""
    folder = tmp_path / "other"
    folder.mkdir()
    for name in names:
        (folder / name).touch() if name.endswith(".py") else (folder / name).mkdir()
    return folder


@pytest.mark.parametrize("names", [["numpy"], ["six.py"], ["numpy", "mine"]])
def test_packages_in_pythonpath_that_hide_those_of_the_environment_are_refused(
    environment, tmp_path, names
):
    place = other(tmp_path, *names)
    reason = shadowed_packages(f"/nowhere{os.pathsep}{place}", str(environment), "/usr")
    assert f"PYTHONPATH leads to {place}, whose {names[0].removesuffix('.py')} " in reason
    assert "unset PYTHONPATH" in reason


@pytest.mark.parametrize("names", [["mine"], ["skymill"], ["numpy-1.dist-info"], []])
def test_other_packages_in_pythonpath_are_accepted(environment, tmp_path, names):
    place = str(other(tmp_path, *names))
    assert shadowed_packages(place, str(environment), "/usr") is None


def test_a_site_may_provide_its_packages_in_pythonpath(environment, tmp_path):
    place = str(other(tmp_path, "numpy"))
    assert shadowed_packages(place, str(environment), str(environment)) is None
    inside = str(next(environment.rglob("numpy")).parent)
    assert shadowed_packages(inside, str(environment), "/usr") is None
    assert shadowed_packages("", str(environment), "/usr") is None


# --- The script that makes the environment -------------------------------------------------------


def make(folder, code=""):
    """Run the script in a folder, after some code that changes its Python."""
    run = f"{code}\nimport runpy, sys\nsys.argv = ['x', '.venv']\nrunpy.run_path({str(MAKE)!r}, "
    run += "run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", run], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.modules['ensurepip'] = None", "sudo apt install python3."),
        ("import sys; sys.version_info = (3, 9, 1)", "needs Python 3.11 or newer, and this is 3.9"),
        ("import subprocess; subprocess.call = half", "could not be made"),
    ],
)
def test_without_its_requirements_the_script_leaves_no_files(tmp_path, code, said):
    half = "import pathlib\ndef half(command):\n    pathlib.Path('.venv/bin').mkdir(parents=True)\n"
    done = make(tmp_path, f"{half}    return 1\n{code}")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_space_is_refused_by_name(tmp_path):
    folder = tmp_path / "My Data"
    folder.mkdir()
    done = make(folder)
    assert done.returncode == 1
    assert f"the character ' ', and Snakemake cannot start jobs there: {folder}\n" in done.stderr
    assert list(folder.iterdir()) == []


def test_files_of_an_earlier_attempt_are_no_obstacle(tmp_path):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text("half")
    done = make(tmp_path, "import subprocess; subprocess.call = lambda command: 0")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / ".venv/bin/python").exists()
