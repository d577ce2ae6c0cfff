"""Files and directories that are whole or absent, and the manifests that stand beside them.

A product is written under a temporary name beside its place, checked, then renamed. Its manifest
`X.manifest.json` tells what it holds and what it was made from: no times, hosts or absolute
paths, so that the same inputs give the same manifest.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from skymill.digests import file_sha256, settings_digest
from skymill.errors import SkymillError

SOURCES = ("sample", "local", "archive")
"""Where raw data came from, the least trustworthy first."""


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place when the block ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary directory beside `path`; rename it into place at the end.

    What stood at `path` goes only when the new directory is complete.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.[0-9]*.partial"):
        shutil.rmtree(left, ignore_errors=True)
    # Named after the process: a worker that outlived a killed run cannot write into this one.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    temporary.mkdir()
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, document: dict) -> None:
    """Write a document as readable JSON with sorted keys, atomically."""
    with new_file(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> dict:
    """Read a manifest or receipt."""
    return json.loads(Path(path).read_text())


def manifest_path(product: Path) -> Path:
    """Return where the manifest of a product stands: beside it, never inside."""
    return Path(f"{product}.manifest.json")


def source_of(manifests: list[dict]) -> str:
    """Return the source that a product made from these inputs must state.

    One simulated input makes the product simulated; one file put there by hand makes it local.
    """
    present = {manifest["source"] for manifest in manifests}
    return next(source for source in SOURCES if source in present)


def write_manifest(
    path: Path,
    content: dict,
    *,
    code: str,
    settings: dict,
    inputs: list[Path],
    gates: list[Path] = (),
) -> None:
    """Write a manifest or receipt.

    Parameters
    ----------
    content
        What the product holds: `files`, `counts` and whatever else is worth telling.
    code, settings
        Digest of the code, and the part of the configuration that made it.
    inputs
        Manifests and receipts of what it was made from, as the rule names them.
    gates
        Receipts of checks that had to pass first. What they say does not bear on the product, so
        only their names are written.
    """
    write_json(
        path,
        {
            **content,
            "code": code,
            "config": {"keys": sorted(settings), "sha256": settings_digest(settings)},
            "inputs": {str(name): file_sha256(Path(name)) for name in inputs},
            "gates": sorted(map(str, gates)),
            "source": source_of([read_json(name) for name in inputs]),
        },
    )


def describe_file(path: Path, rows: int) -> dict:
    """Return the entry of a file in its manifest: name, bytes, sha256 and rows (lines of text)."""
    return _entry(path.name, path.stat().st_size, file_sha256(path), rows)


def _entry(name: str, size: int, digest: str, rows: int) -> dict:
    return {"name": name, "bytes": size, "sha256": digest, "rows": rows}


class HashedFile(io.BufferedWriter):
    """A new file whose digest is taken while it is written: it may be too large to read again."""

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


def require_files(product: Path, manifest: dict) -> list[Path]:
    """Return the product's files in manifest order, after checking that their sizes hold.

    Raises
    ------
    SkymillError
        When a file is missing or has another size than its manifest says.
    """
    base = product if product.is_dir() else product.parent
    paths = []
    for entry in manifest["files"]:
        path = base / entry["name"]
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            raise SkymillError(
                f"{path} is not the file that {manifest_path(product)} describes; something "
                f"changed it after it was made. Delete {product} and run again."
            )
        paths.append(path)
    return paths
