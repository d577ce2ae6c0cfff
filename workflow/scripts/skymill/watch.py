"""The check of a results folder before Snakemake decides what to run, and the last lines of a run.

Snakemake itself is not imported here: the rules pass paths, digests and settings.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

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
"""The most warnings that the end of a run repeats; the summary lists all warnings."""


class Watch:
    """Checks the results folder while Snakemake builds its graph.

    Parameters
    ----------
    results
        The results folder.
    products
        The paths of the products that the configuration makes, by branch, and of the report.
    branches
        The branches that are switched on.
    objects
        Returns the storage object of an address, if a storage provider of Snakemake keeps all
        files; None if the files are on a disk.
    prefix
        The address below which the provider keeps the files.
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
        """Return the results folder of a file, by the path that Snakemake passes."""
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
        """Return why a job must run, or None when its products are current.

        The reason names the first product that is not current.

        Parameters
        ----------
        output, input
            Outputs and inputs of the job, as Snakemake passes them to a function.
        code, settings
            Digest of the code, and the settings that the rule reads.
        also
            See staleness.why.
        """
        products = _products(output)
        name = Names.around(products[0][0], self.results).name
        checks = {str(path) for path in input.get(CHECKS, [])}
        described = [path for path in map(str, input) if is_document(path)]
        # If all products are missing, Snakemake runs the job by itself, see staleness.why.
        is_made = any(self.document(document) is not None for document, _ in products)
        for document, outputs in products:
            job = Job(
                name(document),
                tuple(map(name, outputs)),
                tuple(name(path) for path in described if path not in checks),
                tuple(map(name, checks)),
                code,
                document_digest(settings),
            )
            reason = why(job, self.folder(document), also)
            if reason is None and is_made and self.document(document) is None:
                reason = Reason("it is missing", damaged=False)
            if reason:
                return replace(reason, product=document.removesuffix(MANIFEST))
        return None

    def document(self, path) -> dict | SkymillError | None:
        """Return a document by its path, see Folder.document."""
        return self.folder(path).document(Names.around(path, self.results).name(path))

    def is_younger(self, output) -> Callable[[float], bool]:
        """Return a function for a job's document, see Folder.is_younger."""
        document, _ = _products(output)[0]
        name = Names.around(document, self.results).name(document)
        return lambda moment: self.folder(document).is_younger(name, moment)

    def damage(self, manifest) -> str | None:
        """Return why a manifest cannot be read; None when it can be read or is missing."""
        found = self.document(manifest)
        return str(found) if isinstance(found, SkymillError) else None

    def write_products(self, folder: Folder, settings: dict | None = None) -> None:
        """Write the list of the configuration's products, for the summary, `prune` and `diff`."""
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
        """Yield the warnings of all jobs again, each line with its level.

        The jobs' own output is far above the end of a run.
        """
        warnings = warnings_in(self._made())
        if warnings:
            yield logging.WARNING, f"Warnings about the results in {self.results}/:"
        for text in warnings[:SHOWN]:
            yield logging.WARNING, f"  {text}"
        if len(warnings) > SHOWN:
            more = f"{len(warnings) - SHOWN:,} more"
            yield logging.WARNING, f"  and {more}: `{self._summary()}` lists them."

    def made_lines(self) -> list[str]:
        """Return lines that say what this run made, where and in what time; see made."""
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
        """Yield the last lines of a run, each with its level: warnings, and hints for the user."""
        yield from self.warnings()
        yield logging.INFO, f"`{self._summary()}` lists all products."
        made = self._made()
        cross_match = made.get(paths.ZTF_STAMPS + MANIFEST)
        if cross_match and not cross_match["counts"]["rows"]:
            yield (
                logging.WARNING,
                "NO STAMPS: no object of these nights is in the list of labels, so the ZTF "
                "products are empty. Choose other nights (ztf.nights) or another list (labels, see "
                "docs/configuration.md).",
            )
        sources = {made[name].get("source") for name in made if name.endswith(MANIFEST)}
        if "sample" in sources:
            yield (
                logging.INFO,
                "SIMULATED DATA: these results come from `source: sample`, not from the sky. For "
                "real data, set `source: local` or `source: archive` in config/config.yaml.",
            )

    def _summary(self) -> str:
        """Return the command that lists the products."""
        place = next(
            (folder.address for folder in self._folders.values() if folder.address), self.results
        )
        return "skymill summary" + ("" if place == paths.DEFAULT_RESULTS else f" {place}")

    def _made(self) -> dict[str, dict]:
        """Return the existing manifests and receipts, by name.

        The report belongs to all branches. For branches that are switched off, only documents of
        this run count: a target may be a product of these branches.
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


def _products(output) -> list[tuple[str, list[str]]]:
    """Return each manifest or receipt among the outputs of a job, with the files of its product.

    A job with several products has a list of manifests. Each of these products is a file or a
    folder.
    """
    document = output.get("manifest") or output.receipt
    if isinstance(document, str):
        return [(document, [path for path in output if path != document])]
    return [(one, [one.removesuffix(MANIFEST)]) for one in document]


def find_leftovers(
    found: Iterable[str], documents: dict[str, list[str]], branches: list[str]
) -> list[str]:
    """Return the products of a results folder that its configuration no longer makes, sorted.

    Products of a branch that is switched off are not leftovers.

    Parameters
    ----------
    found
        The documents in the results folder.
    documents
        The documents that the configuration makes, by branch.
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
    """Return the leftovers in a results folder, from its products.json; see find_leftovers.

    Without products.json, the result is an empty list.

    Raises
    ------
    SkymillError
        When products.json is damaged.
    """
    known = folder.read(paths.PRODUCTS)
    if known is None:
        return []
    if not isinstance(known.get("products"), dict) or not isinstance(known.get("branches"), list):
        raise SkymillError(
            f"{paths.PRODUCTS} has no list of products: something damaged it. Delete it and run "
            "again."
        )
    return find_leftovers(folder.documents(), known["products"], known["branches"])
