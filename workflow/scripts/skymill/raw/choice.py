"""Which raw files a configuration reads: simulated, downloaded, or put there by the user."""

import functools
import re
from pathlib import Path

from skymill import paths
from skymill.engine.errors import SkymillError
from skymill.engine.products import SOURCES, read_json
from skymill.magnetic.schema import PARTITIONS
from skymill.raw.files import put_by_hand, sidecar_path
from skymill.raw.registry import branch_of, fetchable_patterns, file_patterns
from skymill.settings import source_of_branch
from skymill.swan_sf.schema import PARTITIONS as SWAN_PARTITIONS
from skymill.ztf.nights import read_nights, spans


def one_of(patterns) -> str:
    """Return a regular expression that matches one of these whole; nothing if there are none."""
    return "|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)"


SMALL = {"records": 10_000, "training_samples": 200, "alerts": 2_000, "rows": 10_000}
"""Sizes of simulated raw files, by the setting, up to which one process is enough."""


class RawFiles:
    """The raw files of a configuration. Files are named by their path below the raw folder.

    Parameters
    ----------
    config
        The configuration.
    registry
        The collections of sources.yaml.
    root
        The folder that Snakemake runs in.
    """

    def __init__(self, config: dict, registry: dict, root: Path = Path()):
        self.config = config
        self.registry = registry
        self.root = Path(root)
        self.results = config["results"]

    def source(self, branch: str) -> str:
        """Return `sample`, `archive` or `local`."""
        return source_of_branch(self.config, branch)

    def folder(self, branch: str) -> str:
        """Return the folder of the raw files of a branch."""
        return paths.raw_folder(self.source(branch), self.results)

    @functools.cache  # noqa: B019 (one object lives as long as the workflow)
    def branch(self, file: str) -> str:
        """Return the branch that reads a file."""
        return branch_of(self.registry, file)

    def is_small(self, branch: str) -> bool:
        """Return whether a branch is simulated so small that its jobs need no workers.

        Such jobs run side by side instead: starting workers takes longer than their work.
        """
        if self.source(branch) != "sample":
            return False
        # SWAN-SF is as large as the magnetic files, whose series it has.
        size = self.config["simulate"]["magnetic" if branch == "aligned" else branch]
        return all(size[name] <= limit for name, limit in SMALL.items() if name in size)

    def path(self, file: str) -> str:
        """Return where a file is."""
        return f"{self.folder(self.branch(file))}/{file}"

    def sidecar(self, file: str) -> list[str]:
        """Return where the sidecar of a file is: nowhere for one put there by hand, see origin."""
        path = self.path(file)
        source = self.source(self.branch(file))
        if source == "local" or (source == "archive" and put_by_hand(self.root / path)):
            return []
        return [str(sidecar_path(Path(path)))]

    def is_enforced(self, file: str) -> bool:
        """Return whether a file must have the checksum that the registry knows."""
        return self.source(self.branch(file)) == "archive"

    def patterns(self) -> str:
        """Return a regular expression of all raw files."""
        return one_of(file_patterns(self.registry).values())

    def fetchable(self) -> str:
        """Return a regular expression of the files that may be fetched: none put there by hand."""
        folder = self.root / paths.SHARED_RAW
        fetchable = one_of(fetchable_patterns(self.registry))
        files = {
            path.relative_to(folder).as_posix(): path
            for parent in {Path(name).parent for name in file_patterns(self.registry)}
            for path in (folder / parent).glob("*")
        }
        by_hand = [
            re.escape(name)
            for name, path in files.items()
            if re.fullmatch(fetchable, name) and path.is_file() and put_by_hand(path)
        ]
        return f"(?!(?:{one_of(by_hand)})$)(?:{fetchable})"

    # SDOBenchmark

    @functools.cached_property
    def sdo_folder(self) -> str:
        """Where the unpacked SDOBenchmark tree is."""
        return f"{self.folder('sdo')}/{paths.SDO_FOLDER}"

    @functools.cached_property
    def sdo_from_zip(self) -> bool:
        """Whether the SDOBenchmark tree is made from its zip, and not one put there by hand.

        A tree without a manifest is the user's own. One whose zip was deleted afterwards stays as
        it is.
        """
        if self.source("sdo") == "sample" or not (self.root / self.sdo_folder).is_dir():
            return True
        zip_gone = (
            self.source("sdo") == "local" and not (self.root / self.path(paths.SDO_FILE)).exists()
        )
        return (self.root / f"{self.sdo_folder}.manifest.json").exists() and not zip_gone

    def sdo_location(self, storage: str | None) -> dict[str, str]:
        """Return where the index of SDOBenchmark says that the tree is.

        `storage` is the address of the object storage that holds all files, if one does.
        """
        return {"root": storage or str(Path.cwd()), "tree": self.sdo_folder}

    # SWAN-SF

    @functools.cached_property
    def swan_partitions(self) -> list[str]:
        """The partitions of SWAN-SF that are read.

        With `source: local` they are those that are there, or were when they were read.
        """
        return [name for name in SWAN_PARTITIONS if name not in self.absent_swan_partitions]

    @functools.cached_property
    def absent_swan_partitions(self) -> list[str]:
        """The partitions that `source: local` does without; none if none is there."""
        if self.source("aligned") != "local":
            return []
        files = {name: paths.SWAN_FILE.format(swan_partition=name) for name in SWAN_PARTITIONS}
        absent = [name for name, file in files.items() if self._is_missing(file)]
        # Without any of them nothing can be joined: then all are asked for.
        return [] if len(absent) == len(files) else absent

    def swan_absence(self) -> str:
        """Return a warning that names the absent partitions of SWAN-SF."""
        folder = Path(self.folder("aligned"), paths.SWAN_FILE).parent
        files = [paths.SWAN_FILE.format(swan_partition=p) for p in self.absent_swan_partitions]
        names = [Path(file).name for file in files]
        return f"The aligned branch does without {', '.join(names)}, not found in {folder}."

    # ZTF

    @functools.cached_property
    def unpacked_nights(self) -> frozenset[str]:
        """The folders that the user unpacked nights to, below that of raw files."""
        folder = self.root / self.folder("ztf")
        beside = (folder / paths.ZTF_NIGHT_FOLDER).parent.glob("*")
        return frozenset(p.relative_to(folder).as_posix() for p in beside if p.is_dir())

    def night(self, night: str) -> str:
        """Return the file of a night: its tarball, or the folder that the user unpacked it to."""
        folder = paths.ZTF_NIGHT_FOLDER.format(night=night)
        return (
            folder if folder in self.unpacked_nights else paths.ZTF_NIGHT_FILE.format(night=night)
        )

    @functools.cached_property
    def nights(self) -> list[str]:
        """The nights that are read, sorted.

        With `source: local` a range means those of its days whose files are there, or were when
        they were read. Nights that are named one by one have to be there, see missing.

        Raises
        ------
        SkymillError
            When `ztf.nights` is wrong.
        """
        asked = read_nights(self.config["ztf"]["nights"])
        return sorted({*asked.named, *asked.ranged} - {*self.absent_nights})

    @functools.cached_property
    def absent_nights(self) -> list[str]:
        """The days of ranges that are left out, as `source: local` has no file of them."""
        if self.source("ztf") != "local":
            return []
        ranged = read_nights(self.config["ztf"]["nights"]).ranged
        return [night for night in ranged if self._is_missing(self.night(night))]

    @functools.cached_property
    def labels(self) -> str:
        """The file of the labels: the tarball as published, or the one file out of it.

        Only simulation makes the tarball; a download keeps what is needed of it.
        """
        tarball = self.root / self.folder("ztf") / paths.ZTF_LABELS_ARCHIVE
        if self.source("ztf") == "sample" or tarball.exists():
            return paths.ZTF_LABELS_ARCHIVE
        return paths.ZTF_LABELS_FILES[self.config["labels"]["source"]]

    def absence(self) -> str:
        """Return a warning that names the absent nights."""
        folder = (Path(paths.SHARED_RAW) / paths.ZTF_NIGHT_FILE).parent
        return (
            f"Days of ztf.nights left out, as {folder} has no file of them: "
            f"{spans(self.absent_nights)}."
        )

    # All branches

    def files(self, branch: str) -> list[str]:
        """Return the files of a branch: no zip when the user put a tree of SDOBenchmark there."""
        if branch == "magnetic":
            return [paths.MAGNETIC_FILE.format(partition=partition) for partition in PARTITIONS]
        if branch == "sdo":
            return [paths.SDO_FILE] if self.sdo_from_zip else []
        if branch == "stealth":
            return [paths.STEALTH_FILE]
        if branch == "aligned":
            return [paths.SWAN_FILE.format(swan_partition=name) for name in self.swan_partitions]
        return [self.labels, *map(self.night, self.nights)]

    def require(self) -> None:
        """Refuse to go on without the files that the user has to put in place.

        Snakemake alone would take what was made from other files under these names for current.

        Raises
        ------
        SkymillError
            With the paths of the files that are not there.
        """
        branches = self.config["branches"]
        if "ztf" in branches and self.absent_nights and not self.nights:
            folder = (Path(paths.SHARED_RAW) / paths.ZTF_NIGHT_FILE).parent
            raise SkymillError(
                f"source: local, but none of the nights {spans(self.absent_nights)} of ztf.nights "
                f"is in {folder}. Put their tarballs there, named as in the archive "
                f"(ztf_public_{self.absent_nights[0]}.tar.gz)."
            )
        missing = [
            f"{self.path(file)} ({branch} branch)"
            for branch in branches
            if self.source(branch) == "local"
            for file in self.files(branch)
            if self._is_missing(file)
        ]
        if missing:
            raise SkymillError(
                f"source: local, but {', '.join(missing)} is not there. Put the file there (see "
                "the section on real data in README.md, also for ztf.nights, which names the "
                "nights that are read), use source: sample, or leave the branch out of `branches`."
            )

    def _is_missing(self, file: str) -> bool:
        """Return whether the user still has to put a file in place.

        A file that was read before may be gone, unless what was read under its name was simulated.
        """
        if (self.root / self.path(file)).exists():
            return False
        try:
            known = read_json(self.root / self.results / self.record(file))
        except (FileNotFoundError, SkymillError):
            return True
        return known["source"] == SOURCES[0]

    def record(self, file: str) -> str:
        """Return the name of the document that says what was read under the name of a file."""
        night = re.fullmatch(r"ztf/ztf_public_(\w+?)(\.tar\.gz)?", file)
        if night:
            return paths.ZTF_NIGHT.format(night=night[1]) + ".manifest.json"
        return paths.RAW_RECEIPT.format(file=file)
