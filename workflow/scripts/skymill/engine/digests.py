"""Digests of files, settings and code. They show whether a product is stale or damaged."""

import ast
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "skymill"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, reading it once as a stream."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def large_file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return a file's digest in hexadecimal, with a progress bar on a terminal."""
    from tqdm import tqdm

    digest = hashlib.new(algorithm)
    size = path.stat().st_size
    bar = tqdm(total=size, desc=f"hash {path.name}", unit="B", unit_scale=True, disable=None)
    with bar, open(path, "rb") as stream:
        while part := stream.read(2**20):
            digest.update(part)
            bar.update(len(part))
    return digest.hexdigest()


def document_digest(document: dict) -> str:
    """Return the SHA-256 of a document in canonical JSON; the order of keys does not matter."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def ordered_digest(keys: Iterable[str]) -> str:
    """Return the SHA-256 of texts in their order, each followed by a line feed."""
    digest = hashlib.sha256()
    for key in keys:
        digest.update(f"{key}\n".encode())
    return digest.hexdigest()


def code_digest(script: Path, root: Path | None = None) -> str:
    """Return a digest over a script and every module of the package that it imports, transitively.

    Comments, docstrings and blank lines do not count. `root` is the folder that contains the
    package, by default the folder of the script.

    Raises
    ------
    FileNotFoundError
        When the script does not exist.
    """
    root = root or script.parent
    found = sources(script, root)
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name}\0{_read_source(found[name], root).code_sha256}\n".encode())
    return digest.hexdigest()


def sources(script: Path, root: Path) -> dict[str, Path]:
    """Return a script and every module of the package that it imports, transitively, by name.

    Imports inside functions count: heavy imports are inside functions so that jobs start fast.
    """
    found = {script.name: script}
    waiting = [script]
    while waiting:
        for name in _read_source(waiting.pop(), root).imports:
            if name not in found:
                found[name] = root / name
                waiting.append(found[name])
    return found


@dataclass(frozen=True)
class _Source:
    """The code of a Python file, and the files of the package that it imports.

    Files are named by their paths below the folder that holds the package.
    """

    imports: frozenset[str]
    code_sha256: str


@functools.cache
def _read_source(path: Path, root: Path) -> _Source:
    text = path.read_text(encoding="utf-8")
    nodes = list(_statements(ast.parse(text)))
    return _Source(
        _imported_modules(nodes, path, root),
        hashlib.sha256(bare_code(text, nodes).encode()).hexdigest(),
    )


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield a module and all its statements; only these can be imports or have docstrings."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting.extend(getattr(node, field, ()))


_WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

_STRING_OR_COMMENT = re.compile(
    r"""
    (?P<string> (?:[rbufRBUF]{1,2})? (?: \"{3} (?:\\.|[^\\])*? \"{3} | '{3} (?:\\.|[^\\])*? '{3}
      | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' ) )
    | (?P<comment> \#[^\n]* )
    """,
    re.VERBOSE | re.DOTALL,
)


def bare_code(text: str, nodes: Iterable[ast.AST] | None = None) -> str:
    """Return Python source without comments, docstrings, blank lines and white space at line ends.

    Texts are cut by their position in the source, so the result is the same in every version of
    Python. The output of `ast.dump` and `ast.unparse` changes between versions.
    """
    text = text.replace("\r\n", "\n")
    text = _without_docstrings(text, _statements(ast.parse(text)) if nodes is None else nodes)
    parts, at = [], 0
    for match in _STRING_OR_COMMENT.finditer(text):
        parts.append((text[at : match.start()], True))
        parts.append((match["string"] or "", False))
        at = match.end()
    parts.append((text[at:], True))
    # White space inside strings must stay, so "\0" replaces each string while lines are cleaned.
    strings = [part for part, is_code in parts if not is_code]
    code = "\0".join(part for part, is_code in parts if is_code)
    lines = [line.rstrip() for line in code.split("\n")]
    # A comment was replaced by an empty string; a line with nothing else is blank.
    marks = iter(strings)
    kept = []
    for line in lines:
        own = [next(marks) for _ in range(line.count("\0"))]
        if line.replace("\0", "").strip() or any(own):
            for string in own:
                line = line.replace("\0", string, 1)
            kept.append(line.rstrip())
    return "\n".join(kept)


def _without_docstrings(text: str, nodes: Iterable[ast.AST]) -> str:
    """Return source with each docstring cut out."""
    lines = text.split("\n")
    for node in nodes:
        if not isinstance(node, _WITH_DOCSTRING) or ast.get_docstring(node, clean=False) is None:
            continue
        first = node.body[0]
        head = lines[first.lineno - 1].encode()[: first.col_offset].decode()
        tail = lines[first.end_lineno - 1].encode()[first.end_col_offset :].decode()
        # The number of lines must not change: the next docstrings are found by line number.
        lines[first.lineno - 1] = head + (tail if first.end_lineno == first.lineno else "")
        for number in range(first.lineno, first.end_lineno):
            lines[number] = tail if number == first.end_lineno - 1 else ""
    return "\n".join(lines)


def _imported_modules(nodes: list[ast.AST], path: Path, root: Path) -> frozenset[str]:
    """Return the files of the package that a Python file imports directly, anywhere in the file."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path, root)
            names.add(base)
            # `from package import module` imports a module, `from module import name` does not.
            # Names without a file are dropped below.
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset().union(*(_files_of(name, root) for name in names))


@functools.cache
def _files_of(module: str, root: Path) -> frozenset[str]:
    """Return the files that run when a module of the package is imported, those of packages too."""
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return frozenset()
    above = _files_of(module.rpartition(".")[0], root) if len(parts) > 1 else frozenset()
    place = "/".join(parts)
    own = (f"{place}/__init__.py", f"{place}.py")
    return above.union(name for name in own if (root / name).is_file())


def _absolute(node: ast.ImportFrom, path: Path, root: Path) -> str:
    """Return the module of a `from ... import`, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    package = path.relative_to(root).parts[: -node.level]
    return ".".join((*package, *((node.module,) if node.module else ())))
