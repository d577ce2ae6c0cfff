"""Which raw files a configuration reads: simulated files, downloads, or files of the user."""

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
    """Return a regular expression that matches one whole pattern; without patterns, no text."""
    return "|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)"


def refuse_two(what: str, found: list[str]) -> None:
    """Raise SkymillError when several files could be an input; name all of them.

    `what` names the input, `found` are the paths of the files that are there.
    """
    if len(found) > 1:
        raise SkymillError(
            f"{what} could be {' or '.join(found)}: both are there. Keep the one that you mean, "
            "and move the other file to another folder."
        )


def deleted_raw(needed: set[str], deleted: dict[str, str], reasons: dict[str, str]) -> str | None:
    """Return a message about products that must be made again from deleted raw files, or None.

    Parameters
    ----------
    needed
        The products that the run would make.
    deleted
        The path of the raw file that its user deleted, by product.
    reasons
        Why a product is out of date, where this is known.
    """
    other = "forced, missing, or made from products that change"
    lost = [
        f"{name}: {reasons.get(name, other)}. Deleted: {deleted[name]}"
        for name in sorted({*needed} & {*deleted})
    ]
    if not lost:
        return None
    return (
        "These products must be made again from raw files that you deleted. Put the files back, or "
        f"undo the change that makes the products out of date.{listed(lost)}"
    )


SMALL = {"records": 10_000, "training_samples": 200, "alerts": 2_000, "rows": 10_000}
"""The largest sizes of simulated raw files, by setting, for which one process is enough."""


class RawFiles:
    """The raw files of a configuration. A file's name is its path below the raw folder.

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
        """Return whether a branch has so little simulated data that its jobs need no workers.

        Small jobs run at the same time instead: starting workers takes longer than the jobs' work.
        """
        if self.source(branch) != "sample":
            return False
        # Simulated SWAN-SF has the series of the magnetic files, so it is as large as they are.
        size = self.config["simulate"]["magnetic" if branch == "aligned" else branch]
        return all(size[name] <= limit for name, limit in SMALL.items() if name in size)

    def path(self, file: str) -> str:
        """Return the path of a file."""
        return f"{self.folder(self.branch(file))}/{file}"

    def sidecar(self, file: str) -> list[str]:
        """Return the path of a file's sidecar; none for a file put there by hand, see origin."""
        path = self.path(file)
        source = self.source(self.branch(file))
        if source == "local" or (source == "archive" and put_by_hand(self.root / path)):
            return []
        return [str(sidecar_path(Path(path)))]

    def is_gone(self, path: str) -> bool:
        """Return whether a raw file is missing and no rule makes it.

        Its user deleted it after it was read: without any record of it, `require` refuses it.
        """
        if (self.root / path).exists() or path.startswith(
            f"{paths.raw_folder('sample', self.results)}/"
        ):
            return False
        file = path.removeprefix(f"{paths.SHARED_RAW}/")
        return file == path or not re.fullmatch(self._fetchable, file)

    @functools.cached_property
    def _fetchable(self) -> str:
        """A regular expression of the files that can be fetched: of branches that are not local."""
        fetched = {
            branch: files
            for branch, files in self.registry.items()
            if self.source(branch) != "local"
        }
        return one_of(fetchable_patterns(fetched))

    def is_enforced(self, file: str) -> bool:
        """Return whether a file must have the checksum that is in the registry."""
        return self.source(self.branch(file)) == "archive"

    def patterns(self) -> str:
        """Return a regular expression of all raw files."""
        return one_of(file_patterns(self.registry).values())

    def fetchable(self) -> str:
        """Return a regular expression of the files that may be fetched, without the user's own."""
        folder = self.root / paths.SHARED_RAW
        files = {
            path.relative_to(folder).as_posix(): path
            for parent in {Path(name).parent for name in file_patterns(self.registry)}
            for path in (folder / parent).glob("*")
        }
        by_hand = [
            re.escape(name)
            for name, path in files.items()
            if re.fullmatch(self._fetchable, name) and path.is_file() and put_by_hand(path)
        ]
        return f"(?!(?:{one_of(by_hand)})$)(?:{self._fetchable})"

    # The magnetic branch and the auxiliary table

    @property
    def input(self) -> Input:
        """The input of the magnetic branch."""
        return input_of(self.config)

    def magnetic(self, partition: str) -> str:
        """Return the file of a partition: as published, or (files of 2020) gzipped by the user."""
        if self.input is SWAN:
            return self.swan(partition)
        return self._as_it_is(paths.MAGNETIC_FILE.format(partition=partition))

    @property
    def stealth(self) -> str:
        """The file of the auxiliary table: as published, or gzipped by the user."""
        return self._as_it_is(paths.STEALTH_FILE)

    def _as_it_is(self, file: str) -> str:
        """Return the present name of a text, plain or gzipped, or its name when it was read."""
        source = self.source(self.branch(file))
        if source == "sample":
            return file
        gzipped = f"{file}{SUFFIX}"
        found = [name for name in (file, gzipped) if (self.root / self.path(name)).exists()]
        if not found and source == "local":
            found = [name for name in (file, gzipped) if not self._is_missing(name)]
        return (found or [file])[0]

    def _texts(self) -> dict[str, list[str]]:
        """Return the files of each branch that may be plain or gzipped, by their plain names."""
        texts = {
            "magnetic": [
                paths.MAGNETIC_FILE.format(partition=name)
                for name in (CUP.files if self.input is CUP else ())
            ],
            "stealth": [paths.STEALTH_FILE],
        }
        return {name: own for name, own in texts.items() if self.source(name) != "sample"}

    def _plain_and_gzipped(self, file: str) -> list[str]:
        """Return the existing paths of a text, plain and gzipped."""
        both = [self.path(name) for name in (file, f"{file}{SUFFIX}")]
        return [path for path in both if (self.root / path).exists()]

    @functools.cached_property
    def partitions(self) -> tuple[str, ...]:
        """The files that the magnetic branch reads, in order, without the end of their names.

        With `source: local`, these are the files that are there, or were there when they were read.
        With `split.unit: partition`, these are the files that belong to a split.
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
        """The magnetic files that are missing with `source: local`.

        Empty if all training files are missing: then all files are required.
        """
        if self.source("magnetic") != "local":
            return ()
        absent = tuple(name for name in self.input.files if self._is_missing(self.magnetic(name)))
        # Nothing can be made without a training file.
        return () if {*self.input.train} <= {*absent} else absent

    def partition_absence(self) -> str:
        """Return a warning that names the missing magnetic files and the products without them."""
        folder = Path(self.folder("magnetic"), paths.MAGNETIC_FILE).parent
        names = ", ".join(f"{name}.json" for name in self.absent_partitions)
        end = ": no holdout_test." if TEST_PARTITION in self.absent_partitions else "."
        near = sorted(
            path.name
            for name in self.absent_partitions
            for path in (self.root / folder).glob(f"{name}*")
        )
        if near:
            end += f" Not read: {', '.join(near)} (use the published names, or `.json.gz`)."
        return f"The magnetic branch runs without {names}, not found in {folder}{end}"

    def _require_partitions_of_splits(self) -> None:
        """Raise SkymillError when `split.partitions` names a missing file."""
        if "split.partitions" not in plan_keys(self.config):
            return
        named = self.config["split"]["partitions"]
        for name in self.absent_partitions:
            if name in named:
                file = self.path(self.magnetic(name))
                raise SkymillError(
                    f"split.partitions names {name}, but there is no {file}. Put the file there, "
                    f"or leave it out of the splits: `split: {{partitions: {{{name}: null}}}}`."
                )

    # SDOBenchmark

    @functools.cached_property
    def sdo_folder(self) -> str:
        """The path of the unpacked SDOBenchmark tree."""
        return f"{self.folder('sdo')}/{paths.SDO_FOLDER}"

    @functools.cached_property
    def sdo_from_zip(self) -> bool:
        """Whether the SDOBenchmark tree is made from its zip, and was not put there by hand.

        A tree without a manifest is the user's own. So is a tree whose zip is neither there nor was
        read: it came from another place.
        """
        if self.source("sdo") == "sample" or not (self.root / self.sdo_folder).is_dir():
            return True
        if not (self.root / f"{self.sdo_folder}.manifest.json").exists():
            return False
        return self.source("sdo") == "archive" or not self._is_missing(paths.SDO_FILE)

    def sdo_location(self, storage: str | None) -> dict[str, str]:
        """Return the location of the tree for the index of SDOBenchmark.

        `storage` is the address of the object storage with all files, if there is one.
        """
        return {"root": storage or str(Path.cwd()), "tree": self.sdo_folder}

    # SWAN-SF

    def swan(self, partition: str) -> str:
        """Return the file of a partition of SWAN-SF."""
        return paths.SWAN_FILE.format(swan_partition=partition)

    @functools.cached_property
    def swan_partitions(self) -> list[str]:
        """The partitions of SWAN-SF that are read.

        With `source: local`, these are the partitions that are there, or were there when they were
        read.
        """
        return [name for name in SWAN_PARTITIONS if name not in self.absent_swan_partitions]

    @functools.cached_property
    def absent_swan_partitions(self) -> list[str]:
        """The partitions that are missing with `source: local`; empty if all are missing."""
        if self.source("aligned") != "local":
            return []
        files = {name: self.swan(name) for name in SWAN_PARTITIONS}
        absent = [name for name, file in files.items() if self._is_missing(file)]
        # Nothing can be joined without a partition. If all are missing, all are required.
        return [] if len(absent) == len(files) else absent

    def swan_absence(self) -> str:
        """Return a warning that names the missing partitions of SWAN-SF."""
        folder = Path(self.folder("aligned"), paths.SWAN_FILE).parent
        files = map(self.swan, self.absent_swan_partitions)
        names = [Path(file).name for file in files]
        readers = ["aligned"] if "aligned" in self.config["branches"] else []
        if "magnetic" in self.config["branches"] and self.input is SWAN:
            readers = ["magnetic", *readers]
        who = f"The {' and the '.join(readers)} branch {'run' if len(readers) > 1 else 'runs'}"
        return f"{who} without {', '.join(names)}, not found in {folder}."

    # ZTF

    @functools.cached_property
    def _ztf_files(self) -> frozenset[str]:
        """Possible nights in the folder of nights, by their paths below the raw folder."""
        folder = self.root / self.folder("ztf")
        return frozenset(
            path.relative_to(folder).as_posix()
            for path in (folder / paths.ZTF_NIGHT_FOLDER).parent.glob("*")
            if path.name.endswith(".tar.gz") or path.is_dir()
        )

    @functools.cache  # noqa: B019 (one object lives as long as the workflow)
    def night(self, night: str) -> str:
        """Return the file of a night: a tarball, or the folder that the user unpacked it to.

        Raises
        ------
        SkymillError
            When there are several: an interrupted unpacking may have left the folder.
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
        # The night was read, and the user deleted its file to free the space.
        known = self._record(names[0]) if self.source("ztf") == "local" else None
        read = known["raw"]["name"] if known else None
        # Without a readable record, the published name, or the user's own name.
        likely = names[0] if is_archive_night(night) else names[2]
        return next((n for n in names if raw_name(self.path(n), self.results) == read), likely)

    @functools.cached_property
    def nights(self) -> list[str]:
        """The nights that are read, sorted.

        With `source: local`, a range means the days whose files are there, or were there when they
        were read. Nights that are named one by one must be there, see require.

        Raises
        ------
        SkymillError
            When `ztf.nights` is wrong.
        """
        asked = read_nights(self.config["ztf"]["nights"])
        own = [night for night in asked.named if not is_archive_night(night)]
        if own and self.source("ztf") != "local":
            raise SkymillError(
                f"ztf.nights: {', '.join(own)} is not a night of the archive. To read nights under "
                "your own names, set `source: {ztf: local}`."
            )
        return sorted({*asked.named, *asked.ranged} - {*self.absent_nights})

    @functools.cached_property
    def absent_nights(self) -> list[str]:
        """The days of ranges that are left out: with `source: local`, their files are missing."""
        if self.source("ztf") != "local":
            return []
        ranged = read_nights(self.config["ztf"]["nights"]).ranged
        return [night for night in ranged if self._is_missing(self.night(night))]

    @functools.cached_property
    def labels(self) -> str | None:
        """The list of labels; None when `labels.file` names the user's own list, see labels_path.

        The list is the published tarball, or the file in it for this `labels.source`, or a list
        with this file's name, which may be gzipped. The tarball has the lists for every
        `labels.source`, so that another list needs no other download.

        Raises
        ------
        SkymillError
            When several lists are there and one was put there by the user.
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
            what = "The list of labels (labels.file can name the list)"
            refuse_two(what, [f"{base}/{file}" for file in there])
        if there:
            return there[0]
        if self.source("ztf") == "archive":
            return tarball
        # The list was read, and the user deleted its file.
        known = self._document(f"{paths.ZTF_LABELS}{MANIFEST}") or {}
        read = known.get("raw", {}).get("name")
        names = (member, f"{member}.gz", tarball)
        return next((n for n in names if raw_name(f"{base}/{n}", self.results) == read), member)

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
        """Return a warning that names the missing nights."""
        folder = (Path(paths.SHARED_RAW) / paths.ZTF_NIGHT_FILE).parent
        return (
            f"Days of ztf.nights left out, because {folder} has no file for them: "
            f"{spans(self.absent_nights)}."
        )

    # All branches

    def absences(self) -> list[str]:
        """Return a warning for each branch that runs without some of its files."""
        warnings = {
            "ztf": self.absent_nights and self.absence(),
            "magnetic": self.absent_partitions
            and (self.swan_absence() if self.input is SWAN else self.partition_absence()),
            "aligned": self.absent_swan_partitions and self.swan_absence(),
        }
        branches = self.config["branches"]
        texts = [warnings[name] for name in warnings if name in branches and warnings[name]]
        return list(dict.fromkeys(texts))

    def are_written(self) -> bool:
        """Return whether a run may write to the raw folder that all results folders share.

        Downloads and the unpacked SDOBenchmark tree are in this folder.
        """
        sources = {name: self.source(name) for name in self.config["branches"]}
        return "archive" in sources.values() or (
            sources.get("sdo") == "local" and self.sdo_from_zip
        )

    def files(self, branch: str) -> list[str]:
        """Return the files of a branch, without the zip if the SDOBenchmark tree is the user's."""
        if branch == "magnetic":
            return [self.magnetic(partition) for partition in self.partitions]
        if branch == "sdo":
            return [paths.SDO_FILE] if self.sdo_from_zip else []
        if branch == "stealth":
            return [self.stealth]
        if branch == "aligned":
            return [self.swan(name) for name in self.swan_partitions]
        return [*([self.labels] if self.labels else []), *map(self.night, self.nights)]

    def require(self) -> None:
        """Raise SkymillError when files that the user must put in place are missing.

        Without this check, Snakemake would regard products of earlier files with these names as
        current.

        Raises
        ------
        SkymillError
            With the paths of the missing files, or of two files that may be the same input.
        """
        branches = self.config["branches"]
        for branch, files in self._texts().items():
            if branch in branches:
                for file in files:
                    refuse_two(f"{file} ({branch} branch)", self._plain_and_gzipped(file))
        if "magnetic" in branches:
            self._require_partitions_of_splits()
        if "ztf" in branches:
            # Also if files are fetched: one of two candidates may have been put there by hand.
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
                "labels, relative to the folder in which you run Snakemake, or null for the "
                "published list."
            )
        if missing:
            absent = (
                f"{', '.join(missing)} is not there. Put the file there"
                if len(missing) <= FEW
                else f"these files are not there:{listed(missing)}\nPut them there"
            )
            raise SkymillError(
                f"source: local, but {absent} (see docs/real-data.md, also "
                "for ztf.nights, which lists the nights that are read), set source: sample, or "
                "leave the branch out of `branches`."
            )

    def _is_missing(self, file: str) -> bool:
        """Return whether the user must still put a file in place.

        A file that was read before may have been deleted, unless the earlier file was simulated.
        """
        if (self.root / self.path(file)).exists():
            return False
        known = self._record(file)
        if known is None:
            # The record may be damaged, or deleted to be made again. A later document names it.
            later = self._document(self.later(file))
            known = later if later and self.record(file) in later.get("inputs", {}) else None
        return known is None or known["source"] == SOURCES[0]

    def _record(self, file: str) -> dict | None:
        """Return the document of the job that read a file with this name, if any."""
        return self._document(self.record(file))

    def _document(self, name: str) -> dict | None:
        """Return a document of the results folder; None if it is missing or damaged."""
        try:
            return read_json(self.root / self.results / name)
        except (FileNotFoundError, SkymillError):
            return None

    def _lacks_labels(self) -> bool:
        """Return whether the list of labels is missing and was not read before."""
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
        """Return the name of the document of the job that read and hashed a file."""
        if night := _night_of(file):
            return paths.ZTF_NIGHT.format(night=night) + MANIFEST
        if partition := self._partition_of(file):
            return paths.SWAN_STEPS.format(swan_partition=partition) + MANIFEST
        return paths.RAW_RECEIPT.format(file=file)

    def later(self, file: str) -> str:
        """Return the name of a document whose job had the record of a file as an input."""
        if night := _night_of(file):
            return paths.ZTF_ACCEPTED.format(night=night)
        if partition := self._partition_of(file):
            return paths.SWAN_ACCEPTED.format(swan_partition=partition)
        if file == paths.SDO_FILE:
            return paths.SDO_RECEIPT
        name = file.removesuffix(SUFFIX)
        if name == paths.STEALTH_FILE:
            return paths.STEALTH_ROWS + MANIFEST
        return paths.VALUES.format(partition=Path(name).stem) + MANIFEST

    def _partition_of(self, file: str) -> str | None:
        """Return the partition of SWAN-SF that a file contains."""
        return next((name for name in SWAN_PARTITIONS if file == self.swan(name)), None)


def _night_of(file: str) -> str | None:
    """Return the night that a file or folder contains."""
    night = re.fullmatch(r"ztf/(?:ztf_public_)?([\w-]+?)(\.tar\.gz)?", file)
    return night and night[1]
