"""Digests of files, settings and code: what makes a product stale, and what proves it whole."""

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


def document_digest(document: dict) -> str:
    """Return the SHA-256 of a document in canonical JSON: the order of its keys is no change."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def ordered_digest(keys: Iterable[str]) -> str:
    """Return the SHA-256 of texts in their order, each with a line feed behind it."""
    digest = hashlib.sha256()
    for key in keys:
        digest.update(f"{key}\n".encode())
    return digest.hexdigest()


def code_digest(script: Path, root: Path | None = None) -> str:
    """Return a digest over a script and every module of the package that it imports, transitively.

    Comments, docstrings and blank lines do not count. `root` is the folder that holds the package,
    by default that of the script.

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

    Imports inside functions count as well: heavy ones are there so that jobs start fast.
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
    """What the digest needs of a Python file: the package's files that it imports, and its code.

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
    """Yield a module and all statements in it: imports and docstrings are nowhere else."""
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

    What is cut is found by its position in the text, so that the answer is the same under every
    Python: what `ast.dump` and `ast.unparse` write changes from one to the next.
    """
    text = text.replace("\r\n", "\n")
    text = _without_docstrings(text, _statements(ast.parse(text)) if nodes is None else nodes)
    parts, at = [], 0
    for match in _STRING_OR_COMMENT.finditer(text):
        parts.append((text[at : match.start()], True))
        parts.append((match["string"] or "", False))
        at = match.end()
    parts.append((text[at:], True))
    # White space inside a string belongs to it: a mark stands for strings while lines are cleaned.
    strings = [part for part, is_code in parts if not is_code]
    code = "\0".join(part for part, is_code in parts if is_code)
    lines = [line.rstrip() for line in code.split("\n")]
    # A comment left an empty text behind: a line of nothing else is blank as well.
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
        # As many lines as before: what is still to be cut keeps its place.
        lines[first.lineno - 1] = head + (tail if first.end_lineno == first.lineno else "")
        for number in range(first.lineno, first.end_lineno):
            lines[number] = tail if number == first.end_lineno - 1 else ""
    return "\n".join(lines)


def _imported_modules(nodes: list[ast.AST], path: Path, root: Path) -> frozenset[str]:
    """Return the files of the package that a Python file imports itself, wherever it does so."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path, root)
            names.add(base)
            # `from package import module` imports a module, `from module import name` does not;
            # a name that is no file is dropped below.
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
    """Return the module that a `from ... import` names, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    package = path.relative_to(root).parts[: -node.level]
    return ".".join((*package, *((node.module,) if node.module else ())))
