"""Why a job must run: its products are broken, or differ from what the job would make now.

Snakemake alone has three gaps. It does not make a missing intermediate file again while the
products of this file exist. It compares times. And it cannot judge products that were copied, or
that another checkout has written. The manifests say what each product contains and what it was made
from. So every run compares the manifests with the files, before Snakemake decides what to run. The
comparison writes nothing and keeps no state: a product that is put back is current again.
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
"""The name of a rule's input with the receipts that must exist before the job runs."""

CHANGED = -1

MANY = 1000
"""The most members that a document lists. A longer list is in a separate file, and the document has
a count and a digest."""


@dataclass(frozen=True)
class Job:
    """A job as Snakemake plans it. Names are those of documents, see names.Names.

    Attributes
    ----------
    document
        Name of the manifest or receipt that the job writes.
    outputs
        Names of all other outputs.
    inputs
        Names of the documents of all inputs.
    checks
        Names of the receipts that must exist before the job runs.
    code, settings
        Digests of the job's code and of the settings that the job reads.
    """

    document: str
    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    code: str | None = None
    settings: str | None = None


class Folder:
    """Documents and sizes of the files below a results folder; each is read once.

    Parameters
    ----------
    path_of
        Returns the path of a name.
    """

    address: str | None = None
    """The address of the folder, if it is not on a disk."""

    def __init__(self, path_of: Callable[[str], Path]):
        self._path_of = path_of
        self.document = functools.cache(self._document)
        self.size = functools.cache(self._size)
        # Cached, because Snakemake deletes the outputs of a job and then asks for the parameters
        # again.
        self.written = functools.cache(self._written)

    def read(self, name: str) -> dict | None:
        """Return a JSON object, or None when the file is missing."""
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
        """Return the same folder with empty caches."""
        return Folder(self._path_of)

    def _document(self, name: str) -> dict | SkymillError | None:
        """Return a document, None when it is missing, or an error when it is damaged."""
        try:
            return read_document(self._path_of(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except SkymillError as error:
            return error
        except OSError as error:  # for instance, this user may not read the file
            return SkymillError(f"{name} cannot be read: {error.strerror}")

    def _size(self, name: str) -> int | None:
        """Return the bytes of a file, 0 for a folder, or None when the file is missing."""
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

    If `damaged`, the products are broken. Else they differ from what the job would make now.
    `product` is the path of the product, as Snakemake passes it.
    """

    text: str
    damaged: bool = field(default=True)
    product: str = ""


def why(
    job: Job, folder: Folder, also: Callable[[dict], str | None] | None = None
) -> Reason | None:
    """Return why a job must run, or None when its products are current.

    Also returns None for a job whose products are all missing: Snakemake itself runs such a job.

    Parameters
    ----------
    also
        Checks the document for a reason that is in no other document: an exceeded limit, or a raw
        file that has changed since it was read.
    """
    document = folder.document(job.document)
    if document is None:
        there = [name for name in job.outputs if folder.size(name) is not None]
        return Reason("its manifest is missing") if there else None
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
    """Yield why products, or the inputs that they were made from, are missing or changed."""
    own = job.document.removesuffix(MANIFEST)
    if document.get("product", own) != own:
        yield f"its manifest is that of {document['product']}"
    for name, size in _files(document, folder):
        if folder.size(name) != size:
            yield f"{name} is not the file that its manifest describes"
    for name in job.outputs:
        if folder.size(name) is None:
            yield f"{name} is missing"
    for name in document.get("checks", ()):
        if folder.document(name) is None:
            yield f"the check that wrote {name} must pass again"
    recorded = document.get("inputs", {})
    if "count" in recorded:
        # A long list has one digest, so it is unknown which member changed.
        now = {name: _digest(folder, name) for name in job.inputs}
        gone = next((name for name, digest in now.items() if digest is None), None)
        if gone:
            yield f"{gone}, which it was made from, is missing or damaged"
        elif _has_names(job, recorded) and document_digest(now) != recorded["sha256"]:
            yield f"one of the {len(now):,} products that it was made from has changed"
        return
    for name, digest in recorded.items():
        # An input that the rule no longer has is a difference, and no damage.
        if name not in job.inputs:
            continue
        found = _digest(folder, name)
        if found is None:
            yield f"{name}, which it was made from, is missing or damaged"
        elif found != digest:
            yield f"{name} has changed since it was made"


def _files(document: dict, folder: Folder) -> Iterable[tuple[str, int]]:
    """Yield the name and size of each file that a document describes; CHANGED matches no size."""
    for entry in document.get("files", ()):
        yield entry["name"], entry["bytes"]
    members = document.get("members")
    if members:
        place = members["folder"]
        is_there = folder.size(place) is not None
        if is_there and listing_digest(folder.listing(place)) != members["listing_sha256"]:
            yield place, CHANGED


def _has_names(job: Job, recorded: dict) -> bool:
    """Return whether a long list of inputs has the names of the job's inputs."""
    return recorded["names_sha256"] == document_digest(dict.fromkeys(job.inputs))


def _digest(folder: Folder, name: str) -> str | None:
    """Return the present digest of a document, or None when it is missing or damaged."""
    document = folder.document(name)
    return document[DIGEST] if isinstance(document, dict) else None


def _differs(job: Job, document: dict):
    """Yield how the products differ from what the job would make now."""
    if job.code is not None and document.get("code") != job.code:
        yield "it was made by other code"
    if job.settings is not None and document.get("settings", {}).get("sha256") != job.settings:
        yield "it was made with other settings"
    recorded = document.get("inputs", {})
    same = _has_names(job, recorded) if "count" in recorded else {*recorded} == {*job.inputs}
    if not same or {*document.get("checks", ())} != {*job.checks}:
        yield "it was made from other products"
