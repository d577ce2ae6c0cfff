"""Why a job must run: what is wrong with its products, or differs from what it would make now.

Snakemake does not make a missing intermediate file again while what was made from it exists, goes
by times, and knows nothing of products that were copied or that another checkout has written. The
manifests say what each product holds and was made from. So every run compares them with what is
there, before Snakemake decides what to run. Nothing is written and no state is kept: what is put
back in its place is current again.
"""

import functools
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from skymill.engine.digests import document_digest
from skymill.engine.errors import SkymillError
from skymill.engine.listing import listing_digest
from skymill.engine.names import PRODUCT_AREAS
from skymill.engine.products import (
    DIGEST,
    MANIFEST,
    is_document,
    read_document,
    read_json,
    write_json,
)

CHECKS = "checks"
"""The input of a rule with the receipts that have to be there before its job runs."""

CHANGED = -1

MANY = 1000
"""Members that a document lists itself; of more it holds a count and a digest."""


@dataclass(frozen=True)
class Job:
    """A job as Snakemake plans it. Names are those of documents, see names.Names.

    Attributes
    ----------
    document
        Name of the manifest or receipt that it writes.
    outputs
        Names of everything else that it writes.
    inputs
        Names of the documents that its products are made from.
    checks
        Names of the receipts that have to be there before it runs.
    code, settings
        Digests of its code and of the settings that it reads.
    """

    document: str
    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    code: str | None = None
    settings: str | None = None


class Folder:
    """Documents and sizes of the files below a results folder; each is looked at once.

    Parameters
    ----------
    path_of
        Gives the path of a name.
    """

    address: str | None = None
    """Where the folder is, if it is not on a disk."""

    def __init__(self, path_of: Callable[[str], Path]):
        self._path_of = path_of
        self.document = functools.cache(self._document)
        self.size = functools.cache(self._size)
        # Snakemake deletes the outputs of a job, and then asks for its parameters again.
        self.written = functools.cache(self._written)

    def read(self, name: str) -> dict | None:
        """Return a JSON object, None when it is not there."""
        path = self._path_of(name)
        return read_json(path) if path.exists() else None

    def write(self, name: str, content: dict) -> None:
        """Write a JSON file."""
        write_json(self._path_of(name), content)

    def documents(self) -> set[str]:
        """Return the names of all documents of products in the folder."""
        root = self._path_of("")
        return {
            path.relative_to(root).as_posix()
            for area in PRODUCT_AREAS
            for path in (root / area).rglob("*.json")
            if is_document(path)
        }

    def is_younger(self, name: str, moment: float) -> bool:
        """Return whether a file was written after a moment, in seconds since 1970."""
        return self.written(name) >= moment

    def _written(self, name: str) -> float:
        return self._path_of(name).stat().st_mtime

    def again(self) -> "Folder":
        """Return the same folder, to be looked at anew."""
        return Folder(self._path_of)

    def _document(self, name: str) -> dict | SkymillError | None:
        """Return a document, None when it is not there, or what is wrong with it."""
        try:
            return read_document(self._path_of(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except SkymillError as error:
            return error
        except OSError as error:  # such as a file that this user may not read
            return SkymillError(f"{name} cannot be read: {error.strerror}")

    def _size(self, name: str) -> int | None:
        """Return the bytes of a file, 0 for a folder, None when it is not there."""
        try:
            status = self._path_of(name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return 0 if stat.S_ISDIR(status.st_mode) else status.st_size

    def listing(self, name: str) -> dict[str, int]:
        """Return the files directly in a folder and their sizes."""
        try:
            with os.scandir(self._path_of(name)) as entries:
                return {
                    entry.name: entry.stat().st_size
                    for entry in entries
                    if entry.is_file() and not entry.name.startswith(".")
                }
        except (FileNotFoundError, NotADirectoryError):
            return {}


@dataclass
class Reason:
    """Why a job must run.

    `damaged` is whether its products are broken; else they differ from what it would make now.
    """

    text: str
    damaged: bool = field(default=True)


def why(
    job: Job, folder: Folder, also: Callable[[dict], str | None] | None = None
) -> Reason | None:
    """Return why a job must run, None when its products are current.

    Nothing is said of a job whose products are all missing: Snakemake itself sees to that.

    Parameters
    ----------
    also
        Looks at the document for what no other document tells: whether a limit still holds, or
        whether a raw file is still the one that was read.
    """
    document = folder.document(job.document)
    if document is None:
        there = [name for name in job.outputs if folder.size(name) is not None]
        return Reason("its manifest is gone") if there else None
    if isinstance(document, SkymillError):
        return Reason(str(document).partition(" Delete ")[0].rstrip("."))
    broken = next(_broken(job, document, folder), None)
    if broken:
        return Reason(broken)
    differs = next(_differs(job, document), None)
    if differs:
        return Reason(differs, damaged=False)
    found = also(document) if also else None
    return Reason(found) if found else None


def _broken(job: Job, document: dict, folder: Folder):
    """Yield what is missing or changed of the products, and of what they were made from."""
    own = job.document.removesuffix(MANIFEST)
    if document.get("product", own) != own:
        yield f"its manifest is that of {document['product']}"
    for name, size in _files(document, folder):
        if folder.size(name) != size:
            yield f"{name} is not the file that its manifest describes"
    for name in job.outputs:
        if folder.size(name) is None:
            yield f"{name} is gone"
    for name in document.get("checks", ()):
        if folder.document(name) is None:
            yield f"the check that wrote {name} has to pass again"
    recorded = document.get("inputs", {})
    if "count" in recorded:
        # A long list has one digest: which of its members changed is not known.
        now = {name: _digest(folder, name) for name in job.inputs}
        gone = next((name for name, digest in now.items() if digest is None), None)
        if gone:
            yield f"{gone}, which it was made from, is gone or damaged"
        elif _has_names(job, recorded) and document_digest(now) != recorded["sha256"]:
            yield f"one of the {len(now):,} products that it was made from has changed"
        return
    for name, digest in recorded.items():
        found = _digest(folder, name)
        if found is None:
            yield f"{name}, which it was made from, is gone or damaged"
        elif found != digest:
            yield f"{name} has changed since it was made"


def _files(document: dict, folder: Folder) -> Iterable[tuple[str, int]]:
    """Yield name and size of the files that a document describes; CHANGED is no file's size."""
    for entry in document.get("files", ()):
        yield entry["name"], entry["bytes"]
    members = document.get("members")
    if members:
        place = members["folder"]
        is_there = folder.size(place) is not None
        if is_there and listing_digest(folder.listing(place)) != members["listing_sha256"]:
            yield place, CHANGED


def _has_names(job: Job, recorded: dict) -> bool:
    """Return whether a long list of inputs has the names that the job's inputs have."""
    return recorded["names_sha256"] == document_digest(dict.fromkeys(job.inputs))


def _digest(folder: Folder, name: str) -> str | None:
    """Return the digest of a document as it is now; None when it is not there or damaged."""
    document = folder.document(name)
    return document[DIGEST] if isinstance(document, dict) else None


def _differs(job: Job, document: dict):
    """Yield in what the products differ from what the job would make now."""
    if job.code is not None and document.get("code") != job.code:
        yield "it was made by other code"
    if job.settings is not None and document.get("settings", {}).get("sha256") != job.settings:
        yield "it was made with other settings"
    recorded = document.get("inputs", {})
    same = _has_names(job, recorded) if "count" in recorded else {*recorded} == {*job.inputs}
    if not same or {*document.get("checks", ())} != {*job.checks}:
        yield "it was made from other products"
