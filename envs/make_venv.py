"""Make an environment for this project, or say what is missing and leave nothing behind.

    python3 envs/make_venv.py .venv

`make` runs it with the Python that it is given. Old Pythons must understand this file as well.
"""

import os
import re
import shutil
import subprocess
import sys

NEEDED = (3, 11)

UNSAFE = re.compile(r"""[\s"'$&()*:;<>?\[\\\]^`{|}!#]""")
"""What a shell takes for something else: Snakemake starts jobs by the path of Python, unquoted."""


def problem(folder):
    """Return why there can be no environment, or None."""
    found = UNSAFE.search(folder)
    if found:
        return (
            "the path of this folder has the character %r, and Snakemake cannot start jobs there: "
            "%s\nMove the folder to a path without spaces, quotes and the like. Letters of any "
            "language are fine." % (found.group(), os.path.dirname(folder))
        )
    if sys.version_info < NEEDED:
        return (
            "Skymill needs Python 3.11 or newer, and this is %d.%d. Name another one: "
            "make PYTHON=python3.12 ..." % sys.version_info[:2]
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return (
            "this Python cannot make environments. On Debian and Ubuntu install the package "
            "python%d.%d-venv: sudo apt install python%d.%d-venv" % (2 * sys.version_info[:2])
        )
    return None


def main():
    """Make the environment; return the exit code."""
    folder = os.path.abspath(sys.argv[1])
    reason = problem(folder)
    if reason:
        sys.stderr.write("%s\n" % reason)
        return 1
    # What an interrupted try has left has no pip, and would look like an environment.
    shutil.rmtree(folder, ignore_errors=True)
    code = 1
    try:
        code = subprocess.call([sys.executable, "-m", "venv", folder])
    finally:
        if code:
            shutil.rmtree(folder, ignore_errors=True)
    if code:
        sys.stderr.write("The environment %s could not be made: see above.\n" % folder)
    return code


if __name__ == "__main__":
    sys.exit(main())
