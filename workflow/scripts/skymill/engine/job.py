"""The frame of every job: a check of the code, a log, helpful errors, and a manifest."""

import contextlib
import functools
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import skymill
from skymill.engine.digests import document_digest
from skymill.engine.errors import SkymillError
from skymill.engine.interrupt import EXIT, HOW_TO_CONTINUE
from skymill.engine.listing import listing_digest
from skymill.engine.names import Names, raw_name
from skymill.engine.products import (
    MANIFEST,
    RECEIPT,
    Product,
    describe_file,
    is_document,
    manifest_path,
    read_document,
    require_content,
    source_of,
    write_document,
)
from skymill.engine.secrets import RedactedFormatter, redacted
from skymill.engine.staleness import CHECKS, MANY
from skymill.engine.system_errors import OUT_OF_MEMORY, advice

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def job(snakemake, *, workers: str | None = None) -> Iterator["Run"]:
    """Run the `with` block of a script with a log, and turn errors into messages; yield the Run.

    Parameters
    ----------
    snakemake
        The object that Snakemake puts into a script.
    workers
        The module of the function that the job's workers run, if the job has workers. The workers
        start while the job itself imports.
    """
    with logged_job(sys.modules["__main__"].__file__, snakemake.log[0]) as warnings:
        if workers:
            from skymill.engine.parallel import start_workers

            start_workers(workers, snakemake.threads)
        yield Run(snakemake, warnings)


class Warnings(logging.Handler):
    """Collects the warnings of the package while a job runs: each text once, in order."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.addFilter(logging.Filter(skymill.__name__))
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a warning."""
        if (text := redacted(record.getMessage())) not in self.texts:
            self.texts.append(text)


class Paths:
    """Inputs or outputs of a rule by name: each a Path, or a list of Paths."""

    def __init__(self, named: Iterable[tuple[str, object]]):
        self._named = {
            name: Path(value) if isinstance(value, str) else [Path(path) for path in value]
            for name, value in named
        }

    def __getattr__(self, name: str) -> Path | list[Path]:
        try:
            return self._named[name]
        except KeyError:
            raise AttributeError(name) from None

    def get(self, name: str) -> Path | list[Path] | None:
        """Return the path or paths of a name, or None when the rule has no such name."""
        return self._named.get(name)

    def all(self) -> list[Path]:
        """Return all paths."""
        values = self._named.values()
        return [
            path for value in values for path in (value if isinstance(value, list) else [value])
        ]


class Run:
    """A job: the inputs, outputs and settings of its rule, and the manifest or receipt it writes.

    Attributes
    ----------
    input, output
        Paths by the names of the rule.
    settings
        The settings that the rule reads, by their dotted names.
    config
        The whole configuration: for settings that make nothing stale, such as limits.
    wildcards, params, threads
        As in Snakemake.
    """

    def __init__(self, snakemake, warnings: Warnings | None = None):
        self._warnings = warnings.texts if warnings else []
        self.input = Paths(snakemake.input.items())
        self.output = Paths(snakemake.output.items())
        self.params = snakemake.params
        self.settings = snakemake.params.get("settings", {})
        self.config = snakemake.config
        self.wildcards = snakemake.wildcards
        self.threads = snakemake.threads

    def product(self, name: str) -> Product:
        """Return an input that is a product or a receipt."""
        return Product(getattr(self.input, name))

    def products(self, name: str) -> list[Product]:
        """Return an input that is a list of products."""
        return [Product(path) for path in getattr(self.input, name)]

    def intact(self, name: str) -> Path | list[Path]:
        """Return an input, a file or a list of files, after a comparison with the manifests.

        Each file is read once, as a whole. The manifest of each file must be an input as well.

        Raises
        ------
        SkymillError
            When a file has changed since it was made; the message names it.
        """
        found = getattr(self.input, name)
        for path in found if isinstance(found, list) else [found]:
            require_content(path, self.digest(path))
        return found

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of a file, from a manifest among the inputs."""
        return self._digests[str(path)]

    @functools.cached_property
    def _digests(self) -> dict[str, str]:
        """The SHA-256 of the files that the manifests among the inputs describe, by path."""
        found = {}
        for path in filter(is_document, self.input.all()):
            names = Names.around(path, self.config["results"])
            for entry in read_document(path).get("files", ()):
                found[str(names.path(entry["name"]))] = entry["sha256"]
        return found

    def finish(
        self,
        files: list[dict] = (),
        *,
        product: Path | None = None,
        raw: dict | None = None,
        source: str | None = None,
        **content,
    ) -> None:
        """Write the manifest or receipt: the last step of a job, or of each of its products.

        Code, settings, inputs and source follow from the rule. The document also lists the
        warnings of the package since the product before, so that the end of the run can repeat
        them.

        Parameters
        ----------
        files
            Entries (see products.describe_file) of the files whose digests were computed while the
            files were written. An entry has the name of its file, or for a file in an output folder
            the path below that folder. All other outputs of the rule are hashed here.
        product
            The output that the manifest describes, if the rule makes several products.
        raw
            Receipt of the raw file that was read: name, bytes, sha256, source.
        source
            Where the data came from, if no input says so.
        content
            Other keys of the document, such as `counts`.
        """
        outputs = [product] if product else self.output.all()
        manifest = manifest_path(product) if product else self.output.get("manifest")
        document = str(manifest or self.output.receipt)
        names = Names.around(document, self.config["results"])
        inputs, checks, sources = {}, [], [source] if source else []
        for path in self.input.all():
            if path in (self.input.get(CHECKS) or ()):
                checks.append(names.name(path))
            elif is_document(path):
                known = read_document(path)
                inputs[names.name(path)] = known["digest"]
                sources += known.get("sources", [known["source"]])
        if raw:
            raw = {**raw, "name": raw_name(self.input.raw, names.results, names.base)}
            if self.params.get("enforced"):
                raw["enforced"] = True
            sources.append(raw["source"])
            content["raw"] = raw
        entries = _describe(outputs, files, names)
        described = {
            **content,
            "product": names.name(document).removesuffix(MANIFEST),
            "files": entries,
            "code": self.params.code,
            "settings": {"keys": sorted(self.settings), "sha256": document_digest(self.settings)},
            "inputs": inputs,
            "checks": sorted(checks),
            "source": source_of(sources),
        }
        if len(set(sources)) > 1:
            # For instance simulated nights with the user's own list of labels.
            described["sources"] = sorted(set(sources))
        if self._warnings:
            described["warnings"] = [*self._warnings]
            self._warnings.clear()
        if document.endswith(RECEIPT):
            del described["files"]
        members = _members_path(document)
        members.unlink(missing_ok=True)
        if len(entries) > MANY or len(inputs) > MANY:
            described |= _in_a_file(members, entries, inputs)
        write_document(Path(document), described)


def _describe(outputs: Iterable[Path], files: Iterable[dict], names: Names) -> list[dict]:
    """Return the entries of outputs, with their names below the results folder."""
    given = {entry["name"]: entry for entry in files}
    entries = []
    for path in outputs:
        if is_document(path):
            continue
        name = names.name(path)
        if path.is_dir():
            entries += [
                {**entry, "name": f"{name}/{own}"}
                for own, entry in given.items()
                if (path / own).is_file()
            ]
            given = {own: e for own, e in given.items() if not (path / own).is_file()}
        elif path.name in given:
            entries.append({**given.pop(path.name), "name": name})
        else:
            entries.append({**describe_file(path, _rows(path)), "name": name})
    if given:
        raise AssertionError(f"{sorted(given)} are described, but are not outputs of the rule")
    return entries


def _rows(path: Path) -> int:
    """Return the number of rows of a Parquet file, or of lines of a text; 0 for other files."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_metadata(path).num_rows
    if path.suffix in (".md", ".jsonl", ".csv"):
        with open(path, "rb") as stream:
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(2**20), b""))
    return 0


def _members_path(document: str) -> Path:
    """Return the path of the file with the long lists of a manifest."""
    return Path(document.removesuffix(".json") + ".members.parquet")


def _in_a_file(place: Path, entries: list[dict], inputs: dict[str, str]) -> dict:
    """Write long lists of a manifest to a Parquet file in its folder; return shorter entries.

    Manifests must be small: Snakemake compares the content of files up to 1 MB, but only the times
    of larger files.
    """
    import pyarrow as pa

    from skymill.engine.tables import write_table

    rows = [{"role": "file", **entry} for entry in entries]
    rows += [{"role": "input", "name": name, "sha256": digest} for name, digest in inputs.items()]
    schema = pa.schema(
        [
            ("role", pa.string()),
            ("name", pa.string()),
            ("bytes", pa.int64()),
            ("rows", pa.int64()),
            ("sha256", pa.string()),
        ]
    )
    list_entry = write_table(place, pa.Table.from_pylist(rows, schema=schema))
    shorter = {"members_list": list_entry}
    if len(entries) > MANY:
        folder = os.path.commonpath([entry["name"].rpartition("/")[0] for entry in entries])
        if any(entry["name"].rpartition("/")[0] != folder for entry in entries):
            raise AssertionError(f"the many files of {folder} are in several folders")
        listing = {entry["name"].rpartition("/")[2]: entry["bytes"] for entry in entries}
        shorter |= {
            "files": [],
            "members": {
                "folder": folder,
                "count": len(entries),
                "bytes": sum(listing.values()),
                "rows": sum(entry["rows"] for entry in entries),
                "listing_sha256": listing_digest(listing),
            },
        }
    if len(inputs) > MANY:
        shorter["inputs"] = {
            "count": len(inputs),
            "names_sha256": document_digest(dict.fromkeys(inputs)),
            "sha256": document_digest(inputs),
        }
    return shorter


def require_own_package(script: Path) -> None:
    """Raise SkymillError when `skymill` is not the copy in the script's folder.

    The digests that decide what is stale describe that copy, so the manifests of another copy's
    results would be wrong. A workflow that was loaded from a git address has no own copy.
    """
    imported = Path(skymill.__file__).resolve().parent
    expected = Path(script).resolve().parent / "skymill"
    if expected.is_dir() and imported != expected:
        raise SkymillError(
            f"this workflow's code is {expected}, but Python imports {imported}. "
            "Install this checkout (`make setup`, or `pip install --editable .`) in the "
            "environment that runs Snakemake, or uninstall the other copy."
        )


@contextlib.contextmanager
def logged_job(script: str, log: str) -> Iterator[Warnings]:
    """Run a script's work with its log file; turn an error into a message and a failed job.

    Yields the warnings so far.

    Everything goes to the log, with tracebacks. The message for the user also goes to stderr. The
    last line of the log and of stderr says what to do. Known secrets are removed from both.
    """
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(RedactedFormatter("%(levelname)s %(name)s: %(message)s"))
    warnings = Warnings()
    # SIGTERM raises an exception in the job, so that the job removes its unfinished files.
    before = signal.signal(signal.SIGTERM, _raise_interrupt)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.addHandler(warnings)
    root.setLevel(logging.INFO)
    try:
        require_own_package(Path(script))
        yield warnings
    except KeyboardInterrupt:
        handler.stream.write(f"{HOW_TO_CONTINUE}\n")
        raise SystemExit(EXIT) from None
    except Exception as error:  # noqa: BLE001 (every failure ends in a message and a log)
        _fail(handler, log, traceback.format_exc(), _what_to_do(error, log))
    finally:
        signal.signal(signal.SIGTERM, before)
        root.setLevel(level)
        root.removeHandler(warnings)
        root.removeHandler(handler)
        handler.close()


def _raise_interrupt(*_) -> None:
    raise KeyboardInterrupt


NO_MEMORY = ("Cannot allocate memory", "failed to map segment", "can't start new thread")
"""Texts of errors that mean too little memory but are not a MemoryError."""


def _what_to_do(error: Exception, log: str) -> str:
    """Return what to do about an error."""
    if isinstance(error, SkymillError):
        return str(error)
    if isinstance(error, MemoryError) or any(said in str(error) for said in NO_MEMORY):
        return OUT_OF_MEMORY
    if isinstance(error, ImportError):
        return (
            f"{error}. The environment is not the one that envs/ describes. Run `make setup`, or "
            "install envs/requirements.txt."
        )
    if isinstance(error, OSError):
        return advice(error, log)
    return (
        f"{type(error).__name__}: {error}. This is a bug in Skymill, not a problem with your data. "
        f"Please report the bug with {log}."
    )


def _fail(handler: logging.FileHandler, log: str, trace: str, message: str) -> None:
    """Write the traceback to the log, the message to the log and to stderr, and end the job."""
    handler.stream.write(redacted(f"{trace}\nERROR: {message}\n"))
    handler.flush()
    sys.stderr.write(redacted(f"{Path(log).stem}: {message}\n"))
    sys.stderr.flush()
    # os._exit would skip the cleaning up. SystemExit ends the script without a second traceback.
    raise SystemExit(os.EX_SOFTWARE)
