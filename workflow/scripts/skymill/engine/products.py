"""Products: files and folders that are complete or absent, each with a manifest in its folder.

A product is written under a temporary name in its folder, checked, then renamed. The manifest
`X.manifest.json` says what product `X` contains and what it was made from. The manifest has no
times, hosts or absolute paths, so the same inputs make the same manifest. A check makes no product,
but writes a receipt. Manifests and receipts are documents: each contains a digest of its own
content.
"""

import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from skymill.engine.digests import document_digest, file_sha256
from skymill.engine.durable import flush, flush_names, flush_tree, partial_path
from skymill.engine.errors import SkymillError

SOURCES = ("sample", "local", "archive")
"""Where raw data came from, the least trustworthy first."""

MANIFEST, RECEIPT = ".manifest.json", ".receipt.json"
"""How the names of documents end: a manifest describes a product, and a check writes a receipt."""

REPAIR = "skymill verify --repair"
"""The command to delete damaged files, so that the next run makes them again."""

DIGEST = "digest"
"""The key of the digest that a document has of its own content."""


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename the file if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial_path(path)
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary directory in the folder of `path`; rename it at the end.

    An old directory at `path` is deleted only when the new directory is complete.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial_path(path)
    temporary.mkdir()
    try:
        yield temporary
        flush_tree(temporary)
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def scratch_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory for parts of the product at `path`; delete it at the end."""
    temporary = partial_path(Path(path))
    temporary.mkdir(parents=True)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_page(path: Path, text: str) -> None:
    """Write a page of text, atomically."""
    with new_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: dict) -> None:
    """Write readable JSON with sorted keys, atomically; return when the file is on the disk."""
    with new_file(path) as temporary:
        temporary.write_text(json_text(content))
    flush_names(Path(path).parent)


def json_text(content: dict) -> str:
    """Return the text of a JSON file as write_json writes it."""
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"


def read_json(path: Path) -> dict:
    """Read a JSON object.

    Raises
    ------
    SkymillError
        When the file is empty, cut short, or contains no JSON object; the message names the file.
    """
    try:
        content = Path(path).read_bytes()
    except IsADirectoryError:
        raise SkymillError(f"{path} is a folder, not a file. Delete it and run again.") from None
    return parse_json(content, str(path))


def parse_json(content: bytes, name: str) -> dict:
    """Return the JSON object in the content of a file; see read_json."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        what = "is empty" if not content.strip(b"\0 \n") else "contains no JSON object"
        raise SkymillError(f"{name} {what}: something damaged it. Delete it and run again.")
    return found


def write_document(path: Path, content: dict) -> None:
    """Write a manifest or receipt, with the digest of its own content."""
    write_json(path, {**content, DIGEST: document_digest(content)})


def read_document(path: Path) -> dict:
    """Read a manifest or receipt, and check that its content has not changed.

    Raises
    ------
    SkymillError
        When the file is damaged; the message names the file.
    """
    return check_document(read_json(path), str(path))


def check_document(document: dict, name: str) -> dict:
    """Return a manifest or receipt after a check of its digest."""
    content = {key: value for key, value in document.items() if key != DIGEST}
    try:
        found = document_digest(content)
    except (ValueError, RecursionError):  # NaN or an infinity, which no document contains
        found = None
    if found is None or document.get(DIGEST) != found:
        raise SkymillError(
            f"{name} does not have the content that was written: something changed it, or another "
            "version of Skymill wrote it. Delete it and run again."
        )
    return document


def manifest_path(product: Path) -> Path:
    """Return the path of a product's manifest: next to the product, never inside it."""
    return Path(f"{product}{MANIFEST}")


def document_path(product: Path) -> Path:
    """Return the path of a product's manifest, or of the receipt itself."""
    return Path(product) if str(product).endswith(RECEIPT) else manifest_path(product)


def is_document(path: object) -> bool:
    """Return whether a path is the path of a manifest or receipt."""
    return str(path).endswith((MANIFEST, RECEIPT))


def source_of(sources: Iterable[str]) -> str:
    """Return the source of a product that was made from inputs with these sources.

    One simulated input makes the product simulated. Else one local input makes the product local.
    """
    present = set(sources)
    return next(source for source in SOURCES if source in present)


def own_entries(document: dict) -> list[dict]:
    """Return the entries of a product's own files, without the other outputs of its rule."""
    name = document["product"]
    return [
        entry
        for entry in document["files"]
        if entry["name"] == name or entry["name"].startswith(f"{name}/")
    ]


def warnings_in(documents: dict[str, dict]) -> list[str]:
    """Return the warnings of jobs from their documents by name: each text once, in order."""
    texts = (text for _, made in sorted(documents.items()) for text in made.get("warnings", ()))
    return list(dict.fromkeys(texts))


class Product:
    """A product or a receipt, and its document.

    Parameters
    ----------
    path
        The product (a file or a folder) or its manifest, or a receipt.

    Raises
    ------
    SkymillError
        When the document is missing or damaged.
    """

    def __init__(self, path: Path | str):
        self.path = Path(str(path).removesuffix(MANIFEST))
        place = document_path(self.path)
        if not place.exists():
            raise SkymillError(f"{place} is missing. Run again to make {self.path} again.")
        self.document = read_document(place)

    @property
    def name(self) -> str:
        """The path below the results folder."""
        return self.document["product"]

    @property
    def results(self) -> Path:
        """The results folder."""
        return Path(*self.path.absolute().parts[: -len(Path(self.name).parts)])

    @property
    def counts(self) -> dict:
        """The counts of the job that made the product."""
        return self.document["counts"]

    @property
    def source(self) -> str:
        """One of SOURCES."""
        return self.document["source"]

    @property
    def entries(self) -> list[dict]:
        """The entries of the product's own files, see describe_file and own_entries."""
        return own_entries(self.document)

    @property
    def rows(self) -> int:
        """The number of rows in all own files together."""
        return sum(entry["rows"] for entry in self.entries)

    def files(self) -> list[Path]:
        """Return the product's own files in the order of the manifest, after a check of the sizes.

        Raises
        ------
        SkymillError
            When a file is missing, or its size is not that in the manifest.
        """
        results, paths = self.results, []
        for entry in self.entries:
            path = results / entry["name"]
            if not path.is_file() or path.stat().st_size != entry["bytes"]:
                raise SkymillError(
                    f"{path} is not the file that {document_path(self.path)} describes: something "
                    f"changed the file after it was made. Delete {self.path} and run again."
                )
            paths.append(path)
        return paths


def changed_at_rest(path: Path, what: str) -> SkymillError:
    """Return the error for a file whose content is no longer what was written."""
    what = what.rstrip(". \n")
    return SkymillError(
        f"{path} is damaged or was changed after it was made ({what}). Run `{REPAIR}`, with the "
        "name of the results folder unless the folder is data/, then run again."
    )


def require_content(path: Path, sha256: str) -> None:
    """Compare a file with the digest in its manifest; the file is read once.

    Raises
    ------
    SkymillError
        When the file has other content; the message names it.
    """
    if file_sha256(path) != sha256:
        raise changed_at_rest(path, "its content is not what its manifest says")


def describe_file(path: Path, rows: int) -> dict:
    """Return the entry of a file for its manifest: name, bytes, sha256 and rows (lines of text)."""
    return _entry(path.name, path.stat().st_size, file_sha256(path), rows)


def _entry(name: str, size: int, digest: str, rows: int) -> dict:
    return {"name": name, "bytes": size, "sha256": digest, "rows": rows}


class HashedFile(io.BufferedWriter):
    """A new file that is hashed while it is written, because reading it again may take too long."""

    def __init__(self, path: Path):
        super().__init__(io.FileIO(path, "w"))
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write bytes at the end."""
        self._digest.update(data)
        return super().write(data)

    def describe(self, rows: int) -> dict:
        """Close the file and return its entry in a manifest, see describe_file."""
        size = self.tell()
        self.close()
        return _entry(Path(self.name).name, size, self._digest.hexdigest(), rows)
