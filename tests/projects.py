"""A project to run Snakemake in: this checkout's workflow, small simulated files, its own data."""

import compileall
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from snakemake.utils import update_config

from warm_snakemake import WarmSnakemake

WARM = WarmSnakemake()
REPOSITORY = Path(__file__).resolve().parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]

# Single records have more weight in small files. The aligned branch has its own tests and project.
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

ONE_THREAD = ("--max-threads", "1")
"""For small files that are not simulated: worker processes start longer than they would work."""

COMPILED = (
    "skymill.magnetic.decimals",
    "skymill.alerts.walk",
    "skymill.alerts.members",
    "skymill.alerts.fits",
)
"""Modules that Numba compiles when they are imported first: once for all projects."""


def said(done: subprocess.CompletedProcess) -> str:
    """Return all output of a run: in dry runs Snakemake writes its messages to stdout."""
    return done.stdout + done.stderr


def _is_linked(name: str) -> bool:
    """Return whether copies share a file: one of many, which tests and jobs replace and never edit.

    The times of these mean nothing: they are in folders. Other linked files are bytecode.
    """
    return name.endswith((".jpg", ".pyc", ".nbi", ".nbc")) or ".zarr/images/c/" in name


def _link_or_copy(source: str, target: str) -> None:
    """Copy a file with its times, or link it, see _is_linked."""
    if _is_linked(source):
        os.link(source, target)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def without_report(products: dict[str, bytes]) -> dict[str, bytes]:
    """Return products without the report, which shows all branches that are switched on."""
    return {
        name: content
        for name, content in products.items()
        if not name.startswith("data/processed/report.html")
    }


class Project:
    """A copy of the workflow and its configuration in a separate folder.

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
        """Return the rules that a run would execute, without `all` and `write_report`.

        The report is written again whenever any document changes, see test_report_page.
        """
        return self.look(*arguments)[0]

    def look(self, *arguments: str) -> tuple[set[str], str]:
        """Return the rules that a run would execute, see `stale`, and all that a look says."""
        done = self.run("-n", *arguments)
        return self.planned(done), said(done)

    @staticmethod
    def planned(done: subprocess.CompletedProcess) -> set[str]:
        """Return the rules that a run executes, or a look would execute, see `stale`."""
        output = said(done)
        table = re.search(r"^job +count\n[- ]+\n(.*?)^total", output, re.MULTILINE | re.DOTALL)
        if table is None:
            assert "Nothing to be done" in output, output
            return set()
        return {line.split()[0] for line in table[1].splitlines()} - {"all", "write_report"}

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
        """Return the products that do not depend on the folder of the project.

        The index of SDOBenchmark holds absolute locations; its card and the documents that are
        made from it have the index's checksums.
        """
        folder = "data/processed/sdo/"
        local = ("_metadata.csv", "croissant.json", "README.md.manifest.json")
        report = "data/processed/report.html.manifest.json"
        return {
            name: content
            for name, content in self.products().items()
            if name != report
            and not (name.startswith(folder) and any(part in name for part in local))
        }


class Kept:
    """A project that tests change as they like, and that is put back as it was before the next one.

    It stays where it was made: a project that was moved has an index to write anew.
    """

    def __init__(self, project: Project):
        self._project = project
        self._variables = dict(project.variables)
        self._copy = project.copy(project.folder.with_name("kept"))
        self._known: dict[str, tuple] = {}

    def put_back(self) -> Project:
        """Bring back what was changed or deleted, delete what was added, and return the project."""
        folder, copy = self._project.folder, self._copy.folder
        folder.mkdir(exist_ok=True)
        for name, entry in _entries(folder):
            twin = copy / name
            if entry.is_dir(follow_symlinks=False):
                if not twin.is_dir() or twin.is_symlink():
                    shutil.rmtree(entry.path)
            elif self._known.get(name) != _state(name, entry):
                Path(entry.path).unlink()
        folders = [folder]
        for name, entry in _entries(copy):
            target = folder / name
            if entry.is_dir(follow_symlinks=False):
                target.mkdir(exist_ok=True)
                folders.append(target)
            elif not os.path.lexists(target):
                _link_or_copy(entry.path, target)
        for target in reversed(folders):
            shutil.copystat(copy / target.relative_to(folder), target)
        self._known = {
            name: _state(name, entry)
            for name, entry in _entries(folder)
            if not entry.is_dir(follow_symlinks=False)
        }
        made = Project(folder)
        made.variables = dict(self._variables)
        return made


def _entries(folder: Path, above: str = "") -> Iterator[tuple[str, os.DirEntry]]:
    """Yield what is below a folder, with its path there: each folder before what is in it."""
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        yield above + entry.name, entry
        # Meanwhile the folder may have been deleted.
        if entry.is_dir(follow_symlinks=False) and os.path.lexists(entry.path):
            yield from _entries(Path(entry.path), f"{above}{entry.name}/")


def _state(name: str, entry: os.DirEntry) -> tuple:
    """Return what no edit of a file leaves as it is, whatever it does with size and time."""
    now = entry.stat(follow_symlinks=False)
    # Links that come and go elsewhere change the time of a linked file, and nothing edits one.
    return (now.st_ino, None if _is_linked(name) else now.st_ctime_ns)
