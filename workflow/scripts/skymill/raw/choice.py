"""Which raw files a configuration reads: simulated, downloaded, or put there by the user."""

import functools
import re
from pathlib import Path

from skymill import paths
from skymill.engine.errors import SkymillError
from skymill.engine.gzipped import SUFFIX
from skymill.engine.names import raw_name
from skymill.engine.products import MANIFEST, SOURCES, read_json
from skymill.engine.words import FEW, listed
from skymill.magnetic.inputs import CUP, SWAN, Input, input_of
from skymill.magnetic.schema import TEST_PARTITION
from skymill.raw.files import put_by_hand, sidecar_path
from skymill.raw.registry import branch_of, fetchable_patterns, file_patterns
from skymill.settings import plan_keys, source_of_branch
from skymill.swan_sf.schema import PARTITIONS as SWAN_PARTITIONS
from skymill.ztf.nights import is_archive_night, read_nights, spans


def one_of(patterns) -> str:
    """Return a regular expression that matches one of these whole; nothing if there are none."""
    return "|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)"


def refuse_two(what: str, found: list[str]) -> None:
    """Raise SkymillError when there is more than one file that an input could be; name them all.

    `what` says what they are to be, `found` are the paths of those that are there.
    """
    if len(found) > 1:
        raise SkymillError(
            f"{what} could be {' or '.join(found)}: both are there. Keep the one that you mean, "
            "and move the other one to another folder."
        )


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

    # The magnetic branch and the auxiliary table

    @property
    def input(self) -> Input:
        """What the magnetic branch reads."""
        return input_of(self.config)

    def magnetic(self, partition: str) -> str:
        """Return the file of a partition: as published, or (of 2020) gzipped by the user."""
        if self.input is SWAN:
            return paths.SWAN_FILE.format(swan_partition=partition)
        return self._as_it_is(paths.MAGNETIC_FILE.format(partition=partition))

    @property
    def stealth(self) -> str:
        """The file of the auxiliary table: as published, or gzipped by the user."""
        return self._as_it_is(paths.STEALTH_FILE)

    def _as_it_is(self, file: str) -> str:
        """Return the name under which a text is there, or was when it was read."""
        source = self.source(self.branch(file))
        if source == "sample":
            return file
        gzipped = f"{file}{SUFFIX}"
        found = [name for name in (file, gzipped) if (self.root / self.path(name)).exists()]
        if not found and source == "local":
            found = [name for name in (file, gzipped) if not self._is_missing(name)]
        return (found or [file])[0]

    def _texts(self) -> dict[str, list[str]]:
        """Return the files of each branch that may be there plain or gzipped: plain names."""
        texts = {
            "magnetic": [
                paths.MAGNETIC_FILE.format(partition=name)
                for name in (CUP.files if self.input is CUP else ())
            ],
            "stealth": [paths.STEALTH_FILE],
        }
        return {name: own for name, own in texts.items() if self.source(name) != "sample"}

    def _plain_and_gzipped(self, file: str) -> list[str]:
        """Return the paths of a text that are there, plain and gzipped."""
        both = [self.path(name) for name in (file, f"{file}{SUFFIX}")]
        return [path for path in both if (self.root / path).exists()]

    @functools.cached_property
    def partitions(self) -> tuple[str, ...]:
        """The files that the magnetic branch reads, in order, without the end of their names.

        With `source: local` they are those that are there, or were when they were read. With
        `split.unit: partition` they are those that a split consists of.
        """
        without = {*self.absent_partitions, *self._left_out()}
        return tuple(name for name in self.input.files if name not in without)

    def _left_out(self) -> list[str]:
        """Return the training files that `split.partitions` leaves out of the splits."""
        if "split.partitions" not in plan_keys(self.config):
            return []
        named = self.config["split"]["partitions"]
        return [name for name in self.input.train if name not in named]

    @functools.cached_property
    def absent_partitions(self) -> tuple[str, ...]:
        """The magnetic files that `source: local` does without."""
        if self.source("magnetic") != "local":
            return ()
        absent = tuple(name for name in self.input.files if self._is_missing(self.magnetic(name)))
        # Without any training file nothing can be made: then all of them are asked for.
        return () if {*self.input.train} <= {*absent} else absent

    def partition_absence(self) -> str:
        """Return a warning that names the absent magnetic files, and what is not made of them."""
        folder = Path(self.folder("magnetic"), paths.MAGNETIC_FILE).parent
        names = ", ".join(f"{name}.json" for name in self.absent_partitions)
        end = ": no holdout_test." if TEST_PARTITION in self.absent_partitions else "."
        near = sorted(
            path.name
            for name in self.absent_partitions
            for path in (self.root / folder).glob(f"{name}*")
        )
        if near:
            end += f" Not read: {', '.join(near)} (files are named as published, or `.json.gz`)."
        return f"The magnetic branch does without {names}, not found in {folder}{end}"

    def _require_partitions_of_splits(self) -> None:
        """Refuse `split.unit: partition` that deals out a file that is not there."""
        if "split.partitions" not in plan_keys(self.config):
            return
        named = self.config["split"]["partitions"]
        for name in self.absent_partitions:
            if name in named:
                file = self.path(self.magnetic(name))
                raise SkymillError(
                    f"split.partitions names {name}, but there is no {file}. Put it there, or "
                    f"leave it out of the splits: `split: {{partitions: {{{name}: null}}}}`."
                )

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
        readers = ["aligned"] if "aligned" in self.config["branches"] else []
        if "magnetic" in self.config["branches"] and self.input is SWAN:
            readers = ["magnetic", *readers]
        who = f"The {' and the '.join(readers)} branch {'do' if len(readers) > 1 else 'does'}"
        return f"{who} without {', '.join(names)}, not found in {folder}."

    # ZTF

    @functools.cached_property
    def _ztf_files(self) -> frozenset[str]:
        """What may be a night in the folder of nights, by its path below that of raw files."""
        folder = self.root / self.folder("ztf")
        return frozenset(
            path.relative_to(folder).as_posix()
            for path in (folder / paths.ZTF_NIGHT_FOLDER).parent.glob("*")
            if path.name.endswith(".tar.gz") or path.is_dir()
        )

    @functools.cache  # noqa: B019 (one object lives as long as the workflow)
    def night(self, night: str) -> str:
        """Return the file of a night: its tarball, or the folder that the user unpacked it to.

        Raises
        ------
        SkymillError
            When several are there: a folder may be what an interrupted unpacking left.
        """
        patterns = [paths.ZTF_NIGHT_FILE, paths.ZTF_NIGHT_FOLDER]
        if not is_archive_night(night):
            patterns += [paths.ZTF_OWN_NIGHT_FILE, paths.ZTF_OWN_NIGHT_FOLDER]
        names = [pattern.format(night=night) for pattern in patterns]
        found = [name for name in names if name in self._ztf_files]
        if len(found) > 1:
            raise SkymillError(
                f"{' and '.join(map(self.path, found))} may each be night {night}. Delete or move "
                "all but one of them."
            )
        if found:
            return found[0]
        # A night that was read, and whose file was then deleted to have the room.
        known = self._record(names[0]) if self.source("ztf") == "local" else None
        read = known["raw"]["name"] if known else None
        return next((n for n in names if raw_name(self.path(n), self.results) == read), names[0])

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
        own = [night for night in asked.named if not is_archive_night(night)]
        if own and self.source("ztf") != "local":
            raise SkymillError(
                f"ztf.nights: {', '.join(own)} is no night of the archive. Nights under names of "
                "your own are read with `source: {ztf: local}`."
            )
        return sorted({*asked.named, *asked.ranged} - {*self.absent_nights})

    @functools.cached_property
    def absent_nights(self) -> list[str]:
        """The days of ranges that are left out, as `source: local` has no file of them."""
        if self.source("ztf") != "local":
            return []
        ranged = read_nights(self.config["ztf"]["nights"]).ranged
        return [night for night in ranged if self._is_missing(self.night(night))]

    @functools.cached_property
    def labels(self) -> str | None:
        """The list of labels; None when the user names another one, see labels_path.

        The tarball as published, which has the lists for each `labels.source`, so that another one
        is not downloaded again; or the one file out of it, or a list under its name, also gzipped.

        Raises
        ------
        SkymillError
            When several of them are there, of which the user put one there.
        """
        if self.config["labels"]["file"]:
            return None
        tarball = paths.ZTF_LABELS_ARCHIVE
        if self.source("ztf") == "sample":
            return tarball
        member = paths.ZTF_LABELS_FILES[self.config["labels"]["source"]]
        base = self.folder("ztf")
        folder = self.root / base
        there = [file for file in (tarball, member, f"{member}.gz") if (folder / file).exists()]
        if len(there) > 1 and any(put_by_hand(folder / file) for file in there):
            what = "The list of labels (labels.file can name it)"
            refuse_two(what, [f"{base}/{file}" for file in there])
        if there:
            return there[0]
        return tarball if self.source("ztf") == "archive" else member

    @property
    def labels_path(self) -> str:
        """The path of the list of labels."""
        own = self.config["labels"]["file"]
        return str(Path(own).expanduser()) if own else f"{self.folder('ztf')}/{self.labels}"

    @property
    def labels_sidecar(self) -> list[str]:
        """The sidecar of the list of labels, see sidecar."""
        if self.labels is None or self.labels.endswith(".csv.gz"):
            return []
        return self.sidecar(self.labels)

    @property
    def enforces_labels(self) -> bool:
        """Whether the list of labels must have a checksum, see is_enforced."""
        file = self.labels
        return file is not None and not file.endswith(".csv.gz") and self.is_enforced(file)

    def absence(self) -> str:
        """Return a warning that names the absent nights."""
        folder = (Path(paths.SHARED_RAW) / paths.ZTF_NIGHT_FILE).parent
        return (
            f"Days of ztf.nights left out, as {folder} has no file of them: "
            f"{spans(self.absent_nights)}."
        )

    # All branches

    def absences(self) -> list[str]:
        """Return a warning for each branch that does without some of its files."""
        said = {
            "ztf": self.absent_nights and self.absence(),
            "magnetic": self.absent_partitions
            and (self.swan_absence() if self.input is SWAN else self.partition_absence()),
            "aligned": self.absent_swan_partitions and self.swan_absence(),
        }
        told = [said[name] for name in said if name in self.config["branches"] and said[name]]
        return list(dict.fromkeys(told))

    def are_written(self) -> bool:
        """Return whether a run may write to the folder that all results folders share.

        Downloads and the unpacked SDOBenchmark tree are there.
        """
        sources = {name: self.source(name) for name in self.config["branches"]}
        return "archive" in sources.values() or (
            sources.get("sdo") == "local" and self.sdo_from_zip
        )

    def files(self, branch: str) -> list[str]:
        """Return the files of a branch: no zip when the user put a tree of SDOBenchmark there."""
        if branch == "magnetic":
            return [self.magnetic(partition) for partition in self.partitions]
        if branch == "sdo":
            return [paths.SDO_FILE] if self.sdo_from_zip else []
        if branch == "stealth":
            return [self.stealth]
        if branch == "aligned":
            return [paths.SWAN_FILE.format(swan_partition=name) for name in self.swan_partitions]
        return [*([self.labels] if self.labels else []), *map(self.night, self.nights)]

    def require(self) -> None:
        """Refuse to go on without the files that the user has to put in place.

        Snakemake alone would take what was made from other files under these names for current.

        Raises
        ------
        SkymillError
            With the paths of the files that are not there, or of two that may be one night.
        """
        branches = self.config["branches"]
        for branch, files in self._texts().items():
            if branch in branches:
                for file in files:
                    refuse_two(f"{file} ({branch} branch)", self._plain_and_gzipped(file))
        if "magnetic" in branches:
            self._require_partitions_of_splits()
        if "ztf" in branches:
            # Also where files are fetched: one of two candidates may be put there by hand.
            self.files("ztf")
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
            if (self._lacks_labels() if file == self.labels else self._is_missing(file))
        ]
        if "ztf" in branches and self.labels is None and self._lacks_labels():
            raise SkymillError(
                f"labels.file: there is no file {self.labels_path}. Give the path of a list of "
                "labels, from the folder that Snakemake runs in, or null for the published list."
            )
        if missing:
            absent = (
                f"{', '.join(missing)} is not there. Put the file there"
                if len(missing) <= FEW
                else f"these files are not there:{listed(missing)}\nPut them there"
            )
            raise SkymillError(
                f"source: local, but {absent} (see docs/real-data.md, also "
                "for ztf.nights, which names the nights that are read), use source: sample, or "
                "leave the branch out of `branches`."
            )

    def _is_missing(self, file: str) -> bool:
        """Return whether the user still has to put a file in place.

        A file that was read before may be gone, unless what was read under its name was simulated.
        """
        if (self.root / self.path(file)).exists():
            return False
        known = self._record(file)
        return known is None or known["source"] == SOURCES[0]

    def _record(self, file: str) -> dict | None:
        """Return the document that says what was read under the name of a file, if there is one."""
        try:
            return read_json(self.root / self.results / self.record(file))
        except (FileNotFoundError, SkymillError):
            return None

    def _lacks_labels(self) -> bool:
        """Return whether the list of labels is not there and was not read before."""
        path = self.labels_path
        if (self.root / path).is_file():
            return False
        try:
            known = read_json(self.root / self.results / f"{paths.ZTF_LABELS}{MANIFEST}")
        except (FileNotFoundError, SkymillError):
            return True
        name = known.get("raw", {}).get("name")
        return known["source"] == SOURCES[0] or name != raw_name(path, self.results)

    def record(self, file: str) -> str:
        """Return the name of the document that says what was read under the name of a file."""
        night = re.fullmatch(r"ztf/(?:ztf_public_)?([\w-]+?)(\.tar\.gz)?", file)
        if night:
            return paths.ZTF_NIGHT.format(night=night[1]) + ".manifest.json"
        return paths.RAW_RECEIPT.format(file=file)
