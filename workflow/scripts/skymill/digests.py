"""Digests of files, settings and code: what makes a product stale, and what proves it whole."""

import ast
import functools
import hashlib
import json
from pathlib import Path

PACKAGE = "skymill"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, reading it once as a stream."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def large_file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return a file's digest in hexadecimal, with a progress bar when a person is watching."""
    from tqdm import tqdm

    digest = hashlib.new(algorithm)
    size = path.stat().st_size
    bar = tqdm(total=size, desc=f"hash {path.name}", unit="B", unit_scale=True, disable=None)
    with bar, open(path, "rb") as stream:
        while part := stream.read(2**20):
            digest.update(part)
            bar.update(len(part))
    return digest.hexdigest()


def settings_digest(settings: dict) -> str:
    """Return the SHA-256 of settings in canonical JSON, so that the order of keys is no change."""
    canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def code_digest(script: Path) -> str:
    """Return a digest over a script and every module of the package that it imports, transitively.

    Imports inside functions count as well: heavy ones stand there so that jobs start fast. The
    package is looked for beside the script, which is where the job imports it from.

    Raises
    ------
    FileNotFoundError
        When the script does not exist.
    """
    root = script.parent
    sources = {script.name: script}
    waiting = [script]
    while waiting:
        for module in _imported_modules(waiting.pop(), root):
            name = str(module.relative_to(root))
            if name not in sources:
                sources[name] = module
                waiting.append(module)
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{file_sha256(sources[name])}\n".encode())
    return digest.hexdigest()


@functools.cache
def _imported_modules(path: Path, root: Path) -> frozenset[Path]:
    """Return the files of the package that a Python file imports itself, wherever it does so."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path, root)
            names.add(base)
            # `from package import module` imports a module, `from module import name` does not;
            # a name that is no file is dropped below.
            names.update(f"{base}.{alias.name}" for alias in node.names)
    files = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != PACKAGE:
            continue
        for length in range(1, len(parts) + 1):
            place = root.joinpath(*parts[:length])
            for candidate in (place / "__init__.py", place.with_suffix(".py")):
                if candidate.is_file():
                    files.add(candidate)
    return frozenset(files)


def _absolute(node: ast.ImportFrom, path: Path, root: Path) -> str:
    """Return the module that a `from ... import` names, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    package = path.relative_to(root).parts[: -node.level]
    return ".".join((*package, *((node.module,) if node.module else ())))
