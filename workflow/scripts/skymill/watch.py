"""What a run looks at before Snakemake decides what to make, and what it says at its end.

Snakemake itself is not imported here: the rules give paths, digests and settings.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator

from skymill import paths
from skymill.engine.digests import document_digest
from skymill.engine.errors import SkymillError
from skymill.engine.names import Names
from skymill.engine.products import DIGEST, MANIFEST, is_document, warnings_in
from skymill.engine.remote import RemoteFolder
from skymill.engine.staleness import CHECKS, Folder, Job, Reason, why
from skymill.engine.storage import StorageFolder
from skymill.engine.words import clock_text
from skymill.made import REPORT, made_lines

SHOWN = 20
"""Warnings that the end of a run repeats; the summary has all of them."""


class Watch:
    """Looks at the results folder while Snakemake builds its graph.

    Parameters
    ----------
    results
        The results folder.
    products
        What the configuration makes: the paths of each branch's products, and of the report.
    branches
        The branches that are switched on.
    objects
        Gives the storage object of an address, where a storage provider of Snakemake keeps all
        files; None where they are on a disk.
    prefix
        The address below which the provider keeps them.
    """

    def __init__(
        self,
        results: str,
        products: dict[str, list[str]],
        branches: list[str],
        *,
        objects: Callable | None = None,
        prefix: str | None = None,
    ):
        self.results = results
        self._objects, self._prefix = objects, prefix
        self.branches = branches
        self.documents = {
            branch: sorted(
                path.removeprefix(f"{results}/")
                for path in made
                if is_document(path) and path.startswith(f"{results}/")
            )
            for branch, made in products.items()
        }
        self._folders: dict[str, Folder] = {}
        self._started = time.time()

    def folder(self, path) -> Folder:
        """Return the results folder that a file is in, as Snakemake gives it to a function."""
        names = Names.around(path, self.results)
        if names.base not in self._folders:
            self._folders[names.base] = (
                StorageFolder(self._objects, self._prefix, self.results)
                if self._objects
                else Folder(names.path)
            )
        return self._folders[names.base]

    def why(
        self,
        output,
        input,
        *,
        code: str,
        settings: dict,
        also: Callable[[dict], str | None] | None = None,
    ) -> Reason | None:
        """Return why a job must run, None when its products are current.

        Parameters
        ----------
        output, input
            Those of the job, as Snakemake gives them to a function.
        code, settings
            Digest of the code, and the settings that the rule reads.
        also
            See staleness.why.
        """
        document = output.get("manifest") or output.receipt
        name = Names.around(document, self.results).name
        checks = {str(path) for path in input.get(CHECKS, [])}
        described = [path for path in map(str, input) if is_document(path)]
        job = Job(
            name(document),
            tuple(name(path) for path in output if path != document),
            tuple(name(path) for path in described if path not in checks),
            tuple(map(name, checks)),
            code,
            document_digest(settings),
        )
        return why(job, self.folder(document), also)

    def document(self, path) -> dict | SkymillError | None:
        """Return a document by its path, see Folder.document."""
        return self.folder(path).document(Names.around(path, self.results).name(path))

    def is_younger(self, output) -> Callable[[float], bool]:
        """Return whether a job's document was written after a moment, see Folder.is_younger."""
        document = output.get("manifest") or output.receipt
        name = Names.around(document, self.results).name(document)
        return lambda moment: self.folder(document).is_younger(name, moment)

    def damage(self, manifest) -> str | None:
        """Return why a manifest cannot be read, None when it can or is not there."""
        found = self.document(manifest)
        return str(found) if isinstance(found, SkymillError) else None

    def write_products(self, folder: Folder, settings: dict | None = None) -> None:
        """Write what the configuration makes, for the summary, `prune` and `diff`."""
        content = {
            "branches": sorted(self.branches),
            "products": self.documents,
            "settings": settings or {},
        }
        folder.write(paths.PRODUCTS, {**content, DIGEST: document_digest(content)})

    def leftovers(self, folder: Folder) -> list[str]:
        """Return the products that an earlier configuration left, see find_leftovers."""
        return find_leftovers(folder.documents(), self.documents, self.branches)

    def warnings(self) -> Iterator[tuple[int, str]]:
        """Yield again what jobs warned of, each line with its level: their own are far above."""
        warnings = warnings_in(self._made())
        if warnings:
            yield logging.WARNING, f"Warnings about the results in {self.results}/:"
        for text in warnings[:SHOWN]:
            yield logging.WARNING, f"  {text}"
        if len(warnings) > SHOWN:
            more = f"{len(warnings) - SHOWN:,} more"
            yield logging.WARNING, f"  and {more}: `{self._summary()}` lists them."

    def made_lines(self) -> list[str]:
        """Return what this run has made, in how long, where, and what was rejected; see made."""
        made = self._made()
        documents = {
            branch: {name: made[name] for name in names if name in made}
            for branch, names in self.documents.items()
        }
        folders = list(self._folders.values())
        new = [name for name in made if any(one.is_younger(name, self._started) for one in folders)]
        lines = made_lines(documents, new)
        took = clock_text(time.time() - self._started)
        return [f"Made in {self.results}/ in {took}:", *lines] if lines else []

    def closing_lines(self) -> Iterator[tuple[int, str]]:
        """Yield the last lines of a run, each with its level: where the results are and of what."""
        yield from self.warnings()
        yield logging.INFO, f"`{self._summary()}` lists what was made and where."
        made = self._made()
        cross_match = made.get(paths.ZTF_STAMPS + MANIFEST)
        if cross_match and not cross_match["counts"]["rows"]:
            yield (
                logging.WARNING,
                "NO STAMPS: no object of these nights is in the list of labels, so the ZTF "
                "products are empty. Take other nights (ztf.nights) or another list (labels, see "
                "docs/configuration.md).",
            )
        sources = {made[name].get("source") for name in made if name.endswith(MANIFEST)}
        if "sample" in sources:
            yield (
                logging.INFO,
                "SIMULATED DATA: these results come from `source: sample`, not from the sky. Set "
                "`source: local` or `source: archive` in config/config.yaml for real data.",
            )

    def _summary(self) -> str:
        """Return the command that lists the products."""
        place = next(
            (folder.address for folder in self._folders.values() if folder.address), self.results
        )
        return "skymill summary" + ("" if place == paths.DEFAULT_RESULTS else f" {place}")

    def _made(self) -> dict[str, dict]:
        """Return the manifests and receipts that are there, by name.

        The report is about all branches. Of branches that are switched off, those count that this
        run has made: a target may be theirs.
        """
        folders = [folder.again() for folder in self._folders.values()]
        made = {}
        for branch, documents in self.documents.items():
            for name in documents:
                for folder in folders:
                    document = folder.document(name)
                    if isinstance(document, dict) and (
                        branch in (*self.branches, REPORT) or folder.is_younger(name, self._started)
                    ):
                        made[name] = document
        return made


def find_leftovers(
    found: Iterable[str], documents: dict[str, list[str]], branches: list[str]
) -> list[str]:
    """Return the products of a results folder that its configuration no longer makes, sorted.

    Products of a branch that is switched off are no leftovers.

    Parameters
    ----------
    found
        The documents in the results folder.
    documents
        Those that the configuration makes, by branch.
    branches
        The branches that are switched on.
    """
    beginnings = tuple(folder for branch in branches for folder in paths.BRANCH_FOLDERS[branch])
    expected = {name for made in documents.values() for name in made}
    left = {name for name in {*found} - expected if name.startswith(beginnings)}
    return sorted(name.removesuffix(MANIFEST) for name in left)


def open_results(results: str) -> Folder:
    """Return a results folder, on a disk or at an address such as s3://bucket/project/data."""
    return RemoteFolder(results) if "://" in results else Folder(Names(results.rstrip("/")).path)


def leftovers_of(folder: Folder) -> list[str]:
    """Return the leftovers in a results folder, by what its latest run wrote; see find_leftovers.

    None are known where no run has written anything.
    """
    known = folder.read(paths.PRODUCTS)
    if known is None:
        return []
    return find_leftovers(folder.documents(), known["products"], known["branches"])
