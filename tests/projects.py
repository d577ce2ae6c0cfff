"""A project to run Snakemake in: this checkout's workflow, small simulated files, its own data."""

import compileall
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from snakemake.utils import update_config

from warm_snakemake import WarmSnakemake

WARM = WarmSnakemake()
REPOSITORY = Path(__file__).resolve().parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]

# Single records weigh more in small files. The aligned branch has tests and a project of its own.
SMALL = """
branches: [magnetic, sdo, stealth, ztf]
simulate:
  magnetic: {records: 300, test_records: 40, seed: 20}
  sdo: {training_samples: 20, test_samples: 10, copies: 1, seed: 20}
  swan_sf: {coverage: 0.3, seed: 20}
  stealth: {rows: 400, seed: 20}
ztf: {nights: [20180601, 20180602]}
limits: {max_rejected_fraction: 0.05, max_region_fraction: 0.5}
"""


COMPILED = (
    "skymill.magnetic.decimals",
    "skymill.alerts.walk",
    "skymill.alerts.members",
    "skymill.alerts.fits",
)
"""Modules that Numba compiles when they are imported first: once for all projects."""


def said(done: subprocess.CompletedProcess) -> str:
    """Return all that a run wrote: Snakemake sends its messages to stdout in dry runs."""
    return done.stdout + done.stderr


def _link_or_copy(source: str, target: str) -> None:
    """Copy a file, or link it if it is large or one of many and no test or job changes it.

    Jobs replace files, and the times of these mean nothing: they are in folders.
    """
    if source.endswith(".jpg") or ".zarr/images/c/" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


class Project:
    """A copy of the workflow and its configuration in a folder of its own.

    Tests may edit the copy. Its package comes first on the path of its jobs, so they import the
    copy, as an editable install of it would have them do.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.variables: dict[str, str] = {}

    @classmethod
    def new(cls, folder: Path) -> "Project":
        """Copy the workflow, the profiles and the configuration of this checkout."""
        scripts = str(REPOSITORY / "workflow" / "scripts")
        subprocess.run(
            [sys.executable, "-c", f"import {', '.join(COMPILED)}"],
            env={**os.environ, "PYTHONPATH": scripts},
            check=True,
        )
        # What Numba has compiled comes along: it belongs to files of the same time and size.
        ignore = shutil.ignore_patterns("*.pyc", "*.egg-info")
        for name in ("workflow", "config", "envs", "profiles"):
            shutil.copytree(REPOSITORY / name, folder / name, ignore=ignore)
        # Jobs write no bytecode, but they read it.
        compileall.compile_dir(folder / "workflow" / "scripts" / "skymill", quiet=1)
        (folder / "config" / "small.yaml").write_text(SMALL)
        return cls(folder)

    def copy(self, folder: Path) -> "Project":
        """Copy everything, finished products included, with its times."""
        shutil.copytree(self.folder, folder, symlinks=True, copy_function=_link_or_copy)
        copied = Project(folder)
        copied.variables = dict(self.variables)
        return copied

    def environment(self) -> dict[str, str]:
        """Return the environment of this project's Snakemake."""
        scripts = self.folder / "workflow" / "scripts"
        own = {"PYTHONPATH": str(scripts), "PYTHONDONTWRITEBYTECODE": "1"}
        return {**os.environ, **own, **self.variables}

    def command(self, *arguments: str) -> list[str]:
        """Return a command line of Snakemake; --configfile ends with `--` before targets.

        Snakemake prints every job: tests look at its words.
        """
        quiet = ["--quiet", "reason", "host"]
        return [*SNAKEMAKE, *arguments, *quiet, "--configfile", "config/small.yaml"]

    def run(self, *arguments: str, succeeds: bool | None = True) -> subprocess.CompletedProcess:
        """Run Snakemake; check its exit unless `succeeds` is None."""
        command = self.command(*arguments)[len(SNAKEMAKE) :]
        done = WARM.run(command, self.folder, self.environment())
        if succeeds is not None:
            assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return done

    def stale(self, *arguments: str) -> set[str]:
        """Return the rules that a run would execute, without `all`."""
        return self.look(*arguments)[0]

    def look(self, *arguments: str) -> tuple[set[str], str]:
        """Return the rules that a run would execute, without `all`, and all that a look says."""
        done = self.run("-n", *arguments)
        return self._planned(done.stdout), said(done)

    @staticmethod
    def _planned(output: str) -> set[str]:
        table = re.search(r"^job +count\n[- ]+\n(.*?)^total", output, re.MULTILINE | re.DOTALL)
        if table is None:
            assert "Nothing to be done" in output, output
            return set()
        return {line.split()[0] for line in table[1].splitlines()} - {"all"}

    def path(self, name: str) -> Path:
        """Return the path of a file of the project."""
        return self.folder / name

    def set(self, settings: str) -> None:
        """Add settings, in YAML, to those of the project."""
        path = self.folder / "config" / "small.yaml"
        merged = yaml.safe_load(path.read_text())
        update_config(merged, yaml.safe_load(settings))
        path.write_text(yaml.safe_dump(merged))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text in a file of the copy; the text must occur."""
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new))

    def products(self) -> dict[str, bytes]:
        """Return the content of every file under data/, without notes of Snakemake and of runs."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted((self.folder / "data").rglob("*"))
            if path.is_file() and path.name not in (".snakemake_timestamp", "products.json")
        }

    def portable_products(self) -> dict[str, bytes]:
        """Return those of `products` that may not depend on where the project stands.

        The index of SDOBenchmark holds absolute locations, and its card the index's checksums.
        """
        folder = "data/processed/sdo/"
        local = ("_metadata.csv", "croissant.json", "README.md.manifest.json")
        return {
            name: content
            for name, content in self.products().items()
            if not (name.startswith(folder) and any(part in name for part in local))
        }
