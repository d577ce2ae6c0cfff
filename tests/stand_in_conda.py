#!/usr/bin/env python3
"""A stand-in for `conda`, as far as Snakemake calls it: environments are made with venv.

Snakemake finds `conda` on the PATH, asks it for its prefix, sources `bin/activate` there, and lets
`conda env create` make an environment from a file. `install` writes such a prefix. The packages of
an environment come from PyPI, in the versions of the file. With SKYMILL_CONDA_PACKAGES they are the
packages of that folder instead: this needs no time and no network.
"""

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = "SKYMILL_CONDA_PACKAGES"
ON_PYPI = {"dask-core": "dask", "python-isal": "isal"}
"""Packages that have another name on PyPI than on conda-forge."""


def install(prefix: Path) -> Path:
    """Write a prefix with `conda` and `activate`; return the folder for the PATH."""
    folder = prefix / "bin"
    folder.mkdir(parents=True)
    call = shlex.join([sys.executable, __file__, str(prefix)])
    (folder / "conda").write_text(f'#!/bin/sh\nexec {call} "$@"\n')
    (folder / "conda").chmod(0o755)
    (folder / "activate").write_text('. "$1/bin/activate"\n')
    return folder


def requirements(text: str) -> list[str]:
    """Return the packages of an environment file as pip names them, without Python."""
    found = []
    for package in re.findall(r"^  - (.+)$", text.partition("dependencies:")[2], re.MULTILINE):
        name, version = package.split()
        if name != "python":
            exact = re.sub(r"^=(.*)$", r"==\1.*", version)
            found.append(ON_PYPI.get(name, name) + exact)
    return found


def create(file: Path, prefix: Path) -> None:
    """Make an environment from a file."""
    folder = os.environ.get(PACKAGES)
    venv.create(prefix, symlinks=True, with_pip=folder is None)
    if folder is None:
        pip = [prefix / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run(
            [*pip, "--disable-pip-version-check", *requirements(file.read_text())], check=True
        )
    else:
        next(prefix.glob("lib/python*/site-packages")).joinpath("all.pth").write_text(folder)


def main(prefix: str, arguments: list[str]) -> None:
    """Answer one call of Snakemake."""
    options = dict(itertools.pairwise(arguments))
    match arguments:
        case ["info", "--json"]:
            answer = json.dumps({"conda_prefix": prefix, "platform": "linux-64"})
        case ["--version"]:
            answer = "conda 25.1.0"
        case ["config", "--get", "channel_priority", "--json"]:
            answer = json.dumps({"get": {"channel_priority": "strict"}})
        case ["env", "create", *_]:
            create(Path(options["--file"]), Path(options["--prefix"]))
            answer = ""
        case ["clean", *_]:
            answer = ""
        case _:
            sys.exit(f"the stand-in for conda cannot: {' '.join(arguments)}")
    sys.stdout.write(answer)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
