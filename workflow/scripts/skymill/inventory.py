"""The files in a results folder and its raw files, and the content that documents state for each.

Only documents, sidecars and lists are read here. skymill.verify compares the files.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from skymill import paths
from skymill.engine.digests import file_sha256
from skymill.engine.errors import SkymillError
from skymill.engine.listing import in_order, list_files
from skymill.engine.names import PRODUCT_AREAS, RAW, SHARED_RAW, Names
from skymill.engine.products import (
    MANIFEST,
    check_document,
    is_document,
    json_text,
    manifest_path,
    read_document,
    read_json,
)
from skymill.raw.fetch import CACHE
from skymill.raw.files import put_by_hand, read_sidecar
from skymill.watch import find_leftovers

SIDECAR = ".source.json"
"""How the names of sidecars end."""

PRODUCT, FETCHED, TREE, OWN = "product", "raw file", "unpacked tree", "own"
"""Kinds of files: an output of a rule with a document; a download or a simulated raw file; a file
of the tree that was unpacked from SDOBenchmark's zip; the user's own file, which is never deleted.
"""

GONE = "is missing now"
"""The damage of a missing file of the user. No run makes such a file again."""


@dataclass(frozen=True)
class Described:
    """A file, and the size and digest that it must have.

    Attributes
    ----------
    path
        The file's path.
    size
        The bytes that the file must have, or None if unknown.
    digest
        As `algorithm:hexadecimal`; `files:...` is the digest of a folder, see raw.files.HashedRaw.
    by
        The document or sidecar with the size and digest.
    kind
        PRODUCT, FETCHED, TREE or OWN.
    """

    path: Path
    size: int | None
    digest: str
    by: Path
    kind: str = PRODUCT


@dataclass(frozen=True)
class Damage:
    """A damaged file: its path, the damage, the kind, and the document that shows the damage.

    `path` is named to the user. To repair the file, delete the document `by`.
    """

    path: Path
    what: str
    kind: str
    by: Path


@dataclass
class Inventory:
    """All files to compare.

    Attributes
    ----------
    described
        Existing files that a document describes.
    damaged
        Damage that is known already: documents, sidecars and lists, and missing files of the user.
    missing
        Missing files and documents that a document names.
    absent
        Raw files that were deleted after they were read, which users may do.
    elsewhere
        Files with no checksum to compare with, and why.
    undescribed
        Files among the products that no document describes.
    """

    results: str
    described: list[Described] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)
    absent: list[Path] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    undescribed: list[Path] = field(default_factory=list)
    documents: dict[str, dict] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there are no files at all. The folder is probably not a results folder."""
        found = (self.documents, self.described, self.damaged, self.missing, self.undescribed)
        return not any((*found, self.absent, self.elsewhere))


def take_inventory(results: str) -> Inventory:
    """Return the files to compare: those of a results folder and of the raw files it was made from.

    Downloads in the shared raw folder are included if the results were made from them, or if this
    is the default results folder.
    """
    return _Collector(results).collect()


class _Collector:
    def __init__(self, results: str):
        self.names = Names(results)
        self.root = Path(results)
        self.found = Inventory(results)

    def collect(self) -> Inventory:
        found = self.found
        all_documents = self._read_documents()
        for name, document in found.documents.items():
            self._add_product(name, document)
        self._add_missing_documents(all_documents)
        folders = [Path(paths.raw_folder("sample", found.results))]
        if self._uses_shared_raw():
            folders.append(Path(SHARED_RAW))
        for name, document in found.documents.items():
            self._add_raw(name, document)
        for folder in folders:
            self._add_sidecars(folder)
            self._add_tree(folder)
        self._add_undescribed()
        for listed in (found.damaged, found.described):
            listed.sort(key=lambda one: (str(one.path), str(one.by)))
        found.missing = sorted(set(found.missing))
        found.absent = sorted(set(found.absent))
        found.elsewhere = sorted(set(found.elsewhere))
        return found

    def _read_documents(self) -> set[str]:
        """Read all documents; return their names."""
        names = set()
        for path in sorted(self._product_files()):
            if not is_document(path):
                continue
            name = path.relative_to(self.root).as_posix()
            names.add(name)
            document = self._read(path, PRODUCT)
            if document is not None:
                self.found.documents[name] = document
        known = self.root / paths.PRODUCTS
        if known.exists():
            try:
                content = read_json(known)
                if {*content} != {"branches", "products"}:  # an earlier version wrote no digest
                    check_document(content, str(known))
                _require_text(known, content)
            except SkymillError as error:
                self._damaged(known, error, PRODUCT, known)
        return names

    def _product_files(self) -> Iterator[Path]:
        for area in PRODUCT_AREAS:
            for path in (self.root / area).rglob("*"):
                # Names that begin with a dot are notes of Snakemake or a killed run's files.
                inside = path.relative_to(self.root).parts
                if not any(part.startswith(".") for part in inside) and path.is_file():
                    yield path

    def _read(self, path: Path, kind: str) -> dict | None:
        """Return a document, or None when it is damaged."""
        try:
            document = read_document(path)
            _require_text(path, document)
        except (SkymillError, OSError) as error:
            self._damaged(path, error, kind, path)
            return None
        return document

    def _damaged(self, path: Path, error: object, kind: str, by: Path) -> None:
        what = str(error).partition(". ")[0].removeprefix(f"{path} ").partition(" Delete ")[0]
        self.found.damaged.append(Damage(path, what.partition(": something ")[0], kind, by))

    def _add_product(self, name: str, document: dict) -> None:
        """Add the files that a document describes."""
        by = self.root / name
        if (product := document.get("product")) not in (None, name.removesuffix(MANIFEST)):
            self._damaged(by, f"is the document of {product}", PRODUCT, by)
            return
        for entry in document.get("files", ()):
            self._add(self.names.path(entry["name"]), entry["bytes"], entry["sha256"], by)
        for row in self._members(by, document, PRODUCT):
            if row["role"] == "file":
                self._add(self.names.path(row["name"]), row["bytes"], row["sha256"], by)

    def _add(self, path: Path, size: int, sha256: str, by: Path) -> None:
        if path.is_file():
            self.found.described.append(Described(path, size, f"sha256:{sha256}", by))
        else:
            self.found.missing.append(path)

    def _members(self, by: Path, document: dict, kind: str) -> list[dict]:
        """Return the rows of a document's list of members, or an empty list."""
        from skymill.engine.tables import read_table

        entry = document.get("members_list")
        if entry is None:
            return []
        path = by.with_name(entry["name"])
        if not path.is_file():
            self.found.missing.append(path)
            return []
        if file_sha256(path) != entry["sha256"]:
            self._damaged(path, "is not the list as it was written", kind, by)
            return []
        return read_table(path).to_pylist()

    def _add_missing_documents(self, there: set[str]) -> None:
        """Add missing documents: those that a document names, and those of existing products."""
        known = self._products_known()
        left = set(find_leftovers(there, known["products"], known["branches"]))
        for name, document in self.found.documents.items():
            if name.removesuffix(MANIFEST) in left:
                continue
            inputs = document.get("inputs", {})
            named = [*document.get("checks", ()), *(() if "count" in inputs else inputs)]
            if "count" in inputs:
                rows = self._members(self.root / name, document, PRODUCT)
                named += [row["name"] for row in rows if row["role"] == "input"]
            paths_named = map(self.names.path, named)
            self.found.missing += [path for path in paths_named if not path.exists()]
        for documents in known["products"].values():
            for name in documents:
                product = self.root / name.removesuffix(MANIFEST)
                is_there = name in there or (self.root / name).exists()
                if not is_there and name.endswith(MANIFEST) and product.exists():
                    self.found.missing.append(self.root / name)

    def _products_known(self) -> dict:
        """Return the latest run's list of products, or an empty list if it cannot be read."""
        nothing = {"products": {}, "branches": []}
        try:
            return {**nothing, **read_json(self.root / paths.PRODUCTS)}
        except (FileNotFoundError, SkymillError):
            return nothing

    def _uses_shared_raw(self) -> bool:
        if self.found.results == paths.DEFAULT_RESULTS:
            return True
        documents = self.found.documents.values()
        named = [document["raw"]["name"] for document in documents if "raw" in document]
        named += [name for document in documents for name in document.get("inputs", {})]
        return any(name.startswith(RAW) for name in named)

    def _add_raw(self, name: str, document: dict) -> None:
        """Add the raw file that a document names."""
        raw = document.get("raw")
        if raw is None:
            return
        path, by = self.names.path(raw["name"]), self.root / name
        if not path.exists():
            self.found.absent.append(path)
            return
        own = path.is_dir() or put_by_hand(path)
        digest = f"{'files' if path.is_dir() else 'sha256'}:{raw['sha256']}"
        kind = OWN if own else FETCHED
        self.found.described.append(Described(path, raw["bytes"], digest, by, kind))

    def _add_sidecars(self, folder: Path) -> None:
        """Add raw files with sidecars, also those in the cache."""
        listing = list_files(folder)[0] if folder.is_dir() else {}
        names = (name for name, size in listing.items() if name.endswith(SIDECAR) and size >= 0)
        for sidecar in map(folder.joinpath, in_order(names)):
            if sidecar.name.startswith("."):
                continue
            raw = Path(str(sidecar).removesuffix(SIDECAR))
            if not raw.is_file():
                continue
            try:
                note = read_sidecar(raw)
                _require_text(sidecar, read_json(sidecar))
            except SkymillError as error:
                self._damaged(sidecar, error, FETCHED, sidecar)
                continue
            if note.get("checksum"):
                own = note.get("bytes") is not None and raw.stat().st_size != note["bytes"]
                self.found.described.append(
                    Described(
                        raw, note.get("bytes"), note["checksum"], sidecar, OWN if own else FETCHED
                    )
                )

    def _add_tree(self, folder: Path) -> None:
        """Add the images of the SDOBenchmark tree, which was unpacked or put there by hand."""
        tree = folder / paths.SDO_FOLDER
        manifest = manifest_path(tree)
        if not tree.is_dir():
            return
        if not manifest.exists():
            self._add_own_tree(tree)
            return
        document = self._read(manifest, TREE)
        if document is None:
            return
        if "members_list" not in document:
            self.found.elsewhere.append(f"{tree}/, which an earlier version unpacked")
        for row in self._members(manifest, document, TREE):
            path = tree / row["name"]
            if path.is_file():
                digest = f"crc32:{row['crc32']:08x}"
                self.found.described.append(Described(path, row["bytes"], digest, manifest, TREE))
            else:
                self.found.missing.append(path)

    def _add_own_tree(self, tree: Path) -> None:
        """Add the images of a tree that was put there by hand, from the catalogue."""
        from skymill.engine.tables import read_table

        receipt = self.root / paths.SDO_RECEIPT
        known = self.found.documents.get(paths.SDO_RECEIPT)
        tables = [self.root / paths.SDO_SAMPLES, self.root / paths.SDO_IMAGES]
        if known is None or known["source"] != "local" or not all(map(Path.is_file, tables)):
            return
        for name, sha256 in known["tables"].items():
            path = tree / known["root"] / name
            if path.is_file():
                self.found.described.append(Described(path, None, f"sha256:{sha256}", receipt, OWN))
            else:
                self.found.damaged.append(Damage(path, GONE, OWN, receipt))
        try:
            samples, images = map(read_table, tables)
        except SkymillError:  # damaged; they are listed among the products
            return
        keys = zip(samples["set"].to_pylist(), samples["row"].to_pylist(), strict=True)
        homes = dict(zip(keys, samples["folder"].to_pylist(), strict=True))
        catalogue = manifest_path(tables[0])
        for image in images.select(["set", "row", "name", "bytes", "content"]).to_pylist():
            path = tree / homes[image["set"], image["row"]] / image["name"]
            if not path.is_file() and (image["bytes"] or not os.path.lexists(path)):
                self.found.damaged.append(Damage(path, GONE, OWN, catalogue))
            elif image["bytes"]:
                digest = f"blake2b64:{image['content'].to_bytes(8, 'little').hex()}"
                self.found.described.append(Described(path, image["bytes"], digest, catalogue, OWN))

    def _add_undescribed(self) -> None:
        """Add the files among the products that no document describes."""
        known = {one.path for one in self.found.described}
        known |= {
            (self.root / name).with_name(document["members_list"]["name"])
            for name, document in self.found.documents.items()
            if "members_list" in document
        }
        # The files of a damaged document are unknown. They are in its folder, or in its product.
        damaged = [one for one in self.found.damaged if one.kind != OWN]
        doubtful = [Path(str(one.by).removesuffix(MANIFEST)) for one in damaged]
        self.found.undescribed = [
            path
            for path in sorted(self._product_files())
            if path not in known
            and not is_document(path)
            and not any(self._belongs(path, product) for product in doubtful)
        ]

    @staticmethod
    def _belongs(path: Path, product: Path) -> bool:
        return path == product or product in path.parents or path.parent == product.parent


def _require_text(path: Path, content: dict) -> None:
    """Raise SkymillError when the text of a JSON file differs from the text as it was written."""
    if path.read_bytes() != json_text(content).encode():
        raise SkymillError(f"{path} is not the text as it was written")


def documents_of(raw: Path, inventory: Inventory) -> list[str]:
    """Return the documents that name a raw file: its receipt, or the manifest of its reader."""
    names = Names(inventory.results)
    return sorted(
        name
        for name, document in inventory.documents.items()
        if "raw" in document and names.path(document["raw"]["name"]) == raw
    )


def in_cache(raw: Path) -> Path | None:
    """Return the path of a download in the cache, or None for another raw file."""
    shared = Path(SHARED_RAW)
    if shared not in raw.parents or CACHE in raw.parents:
        return None
    return CACHE / raw.relative_to(shared)


def with_lists(documents: Iterable[Path]) -> list[Path]:
    """Return documents, each after its list of members, if any."""
    found = []
    for path in documents:
        members = Path(str(path).removesuffix(".json") + ".members.parquet")
        found += [members, path] if members.exists() else [path]
    return found
