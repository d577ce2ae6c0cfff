"""Make an environment for this project. If something is missing, say so and leave no files.

    python3 envs/make_venv.py .venv

`make` runs this file with the user's Python, so old Pythons must be able to read it too.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

NEEDED = (3, 11)

UNSAFE = re.compile(r"""[\s"'$&()*:;<>?\[\\\]^`{|}!#]""")
"""Characters with a meaning in shells. Snakemake starts jobs by the unquoted path of Python."""


def problem(folder):
    """Return why the environment cannot be made, or None."""
    found = UNSAFE.search(folder)
    if found:
        return (
            f"the path of this folder has the character {found.group()!r}, and Snakemake cannot "
            f"start jobs there: {Path(folder).parent}\nMove the folder to a path without spaces, "
            "quotes and the like. Letters of any language are fine."
        )
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info < NEEDED:
        return (
            f"Skymill needs Python 3.11 or newer, and this is {version}. Name another one: "
            "make PYTHON=python3.12 ..."
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return (
            "this Python cannot make environments. On Debian and Ubuntu install the package "
            f"python{version}-venv (sudo apt install python{version}-venv), then run make again."
        )
    return None


def main():
    """Make the environment; return the exit code."""
    folder = str(Path.cwd() / sys.argv[1])
    reason = problem(folder)
    if reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    # An interrupted attempt leaves a folder without pip that looks like an environment.
    shutil.rmtree(folder, ignore_errors=True)
    code = 1
    try:
        code = subprocess.call([sys.executable, "-m", "venv", folder])
    finally:
        if code:
            shutil.rmtree(folder, ignore_errors=True)
    if code:
        sys.stderr.write(f"The environment {folder} could not be made: see above.\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
