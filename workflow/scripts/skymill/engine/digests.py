"""Digests of files, settings and code. They show whether a product is stale or damaged."""

import functools
import hashlib
import json
import re
from collections.abc import Iterable
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
    code, strings = _code_and_strings(path.read_text(encoding="utf-8"))
    return _Source(
        _imported_modules(code, path, root),
        hashlib.sha256(_joined(code, strings).encode()).hexdigest(),
    )


_STRING_OR_COMMENT = re.compile(
    r"""
      \#[^\n]*
    | (?P<string>
        "  (?: "" (?: [^"\\]+ | \\. | "(?!"") )*+ "{3} | [^"\\\n]* (?: \\. [^"\\\n]* )* " )
      | '  (?: '' (?: [^'\\]+ | \\. | '(?!'') )*+ '{3} | [^'\\\n]* (?: \\. [^'\\\n]* )* ' ) )
    """,
    re.VERBOSE | re.DOTALL,
)
_STATEMENT_ENDS = re.compile(r"[ \t\f]*(?:[;#\n]|\Z)")
_STRING = "\0"
"""Replaces each string in code. Python source cannot contain this character."""


def bare_code(text: str) -> str:
    """Return Python source without comments, docstrings, blank lines and white space at line ends.

    A docstring is a string that is the first statement of a file or block and begins a line. The
    code does the same without it. No parser is used: a parser took a third of the time of a dry
    run. Texts are cut by their position in the source, so the result is the same in every version
    of Python. The output of `ast.dump` and `ast.unparse` changes between versions.
    """
    return _joined(*_code_and_strings(text))


def _joined(code: str, strings: list[str]) -> str:
    """Return code with its strings."""
    pieces = code.split(_STRING)
    return "".join(part for pair in zip(pieces, [*strings, ""], strict=True) for part in pair)


def _code_and_strings(text: str) -> tuple[str, list[str]]:
    """Return the bare code with _STRING in the place of each string, and the strings."""
    text = text.replace("\r\n", "\n")
    parts: list[str] = []
    strings: list[str] = []
    uncounted: list[str] = []
    at, brackets, before = 0, 0, ""
    for match in _STRING_OR_COMMENT.finditer(text):
        part = text[at : match.start()]
        begin, at = at, match.end()
        uncounted.append(part)
        if not match["string"]:
            parts.append(part)
            before = part.rstrip()[-1:] or before
            continue
        above, newline, own = part.rpartition("\n")
        # Strings with other prefixes are not docstrings.
        if (
            (newline or not begin)
            and own.strip() in ("", "r", "R", "u", "U")
            and (above.rstrip()[-1:] or before) in ("", ":")
            and _STATEMENT_ENDS.match(text, at)
        ):
            passed = "".join(uncounted)
            uncounted.clear()
            brackets += sum(map(passed.count, "([{")) - sum(map(passed.count, ")]}"))
            if not brackets:
                parts.append(above + newline)
                before = _STRING
                continue
        parts += part, _STRING
        strings.append(match["string"])
        before = _STRING
    parts.append(text[at:])
    # White space inside strings stays, because the lines are cleaned without them.
    lines = map(str.rstrip, "".join(parts).split("\n"))
    return "\n".join(filter(None, lines)), strings


_IMPORT = re.compile(r"import\b[ \t]*(\([^)]*\)|[^;\n]*)")
_FROM = re.compile(r"from[ \t]*(\.*)[ \t]*([\w.]*)[ \t]*\Z")


def _imported_modules(code: str, path: Path, root: Path) -> frozenset[str]:
    """Return the files of the package that bare code imports directly, anywhere in a file."""
    names = set()
    code = code.replace("\\\n", " ")
    for match in _IMPORT.finditer(code):
        start = code.rfind("\n", 0, match.start()) + 1
        imported = [name.split()[0] for name in match[1].strip("()").split(",") if name.strip()]
        source = _FROM.search(code, start, match.start())
        if source is None:
            names.update(imported)
            continue
        base = _absolute(len(source[1]), source[2], path, root)
        names.add(base)
        # `from package import module` imports a module, `from module import name` does not. Names
        # without a file are dropped below.
        names.update(f"{base}.{name}" for name in imported)
    return frozenset().union(*(_files_of(name, root) for name in names))


@functools.cache
def _files_of(module: str, root: Path) -> frozenset[str]:
    """Return the files that run when a module of the package is imported, those of packages too."""
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return frozenset()
    above = _files_of(module.rpartition(".")[0], root) if len(parts) > 1 else frozenset()
    place = "/".join(parts)
    return above.union({f"{place}/__init__.py", f"{place}.py"} & _files_below(root))


@functools.cache
def _files_below(root: Path) -> frozenset[str]:
    """Return all Python files of the package: one listing is faster than many questions."""
    return frozenset(path.relative_to(root).as_posix() for path in (root / PACKAGE).rglob("*.py"))


def _absolute(level: int, module: str, path: Path, root: Path) -> str:
    """Return the module of a `from ... import`, with its leading dots resolved."""
    package = path.relative_to(root).parts[:-level] if level else ()
    return ".".join((*package, *filter(None, (module,))))
