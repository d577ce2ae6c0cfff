"""Find the products of a data set, and refuse products that changed after they were made."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skymill.engine.errors import SkymillError
from skymill.engine.products import manifest_path, own_entries, read_document
from skymill.paths import DATA_SETS, DEFAULT_RESULTS


class FoundProduct:
    """A product of a data set, in a results folder or in a folder that was downloaded.

    Parameters
    ----------
    data_set
        One of DATA_SETS.
    name
        The name of the product below the folder of its set.
    results
        The results folder, or a folder that contains the folder of the set, or the folder of the
        set.

    Raises
    ------
    SkymillError
        When the product or its manifest is missing, the manifest is damaged, the product is of
        another data set, or the results are in object storage.
    """

    def __init__(self, data_set: str, name: str, results: str | Path = DEFAULT_RESULTS):
        results = on_disk(results)
        places = self._places(data_set, name, results)
        self.path = next((place for place in places if place.exists()), places[0])
        self._manifest = manifest_path(self.path)
        if not self.path.exists():
            raise SkymillError(
                f"{self.path} is not there. To make it, run `{command(data_set, results)}`."
            )
        if not self._manifest.exists():
            raise SkymillError(
                f"{self._manifest} is not there, so {self.path} cannot be checked. Copy the "
                f"manifest as well, or run `{command(data_set, results)}`."
            )
        self.document = read_document(self._manifest)
        for other, folder in DATA_SETS.items():
            if other != data_set and self.document["product"].startswith(f"{folder}/"):
                raise SkymillError(
                    f"{self.path} is of the data set {other}, not of {data_set}. Give a results "
                    f"folder, or the folder {Path(DATA_SETS[data_set]).name}."
                )

    @staticmethod
    def _places(data_set: str, name: str, results: str | Path) -> list[Path]:
        folder = Path(DATA_SETS[data_set])
        return [Path(results, where, name) for where in (folder, folder.name, "")]

    @classmethod
    def is_there(cls, data_set: str, name: str, results: str | Path) -> bool:
        """Return whether a product exists, whole or damaged."""
        return any(place.exists() for place in cls._places(data_set, name, results))

    @property
    def identity(self) -> str:
        """The digest of the keys of its rows: equal digests mean equal rows in the same order."""
        return self.document["identity"]

    @property
    def source(self) -> str:
        """The source of its raw data: sample (simulated), local or archive."""
        return self.document["source"]

    def rows(self) -> int:
        """Return the total number of rows of its own files."""
        return sum(entry["rows"] for entry in own_entries(self.document))

    def files(self) -> Iterator[tuple[Path, dict]]:
        """Check the size of each of its own files; yield the file and its entry in the manifest.

        Raises
        ------
        SkymillError
            When a file is missing or has another size.
        """
        whole = self.document["product"]
        for entry in own_entries(self.document):
            inner = entry["name"].removeprefix(whole).removeprefix("/")
            path = self.path / inner if inner else self.path
            if not path.is_file() or path.stat().st_size != entry["bytes"]:
                raise self._changed(path)
            yield path, entry

    def contents(self) -> Iterator[bytes]:
        """Check the checksum of each of its own files, and yield the content.

        Raises
        ------
        SkymillError
            When a file is missing or has changed.
        """
        for path, entry in self.files():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != entry["sha256"]:
                raise self._changed(path)
            yield content

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield the table of each of its Parquet files, see contents."""
        for content in self.contents():
            yield pq.read_table(pa.BufferReader(content), columns=columns)

    def _changed(self, path: Path) -> SkymillError:
        return SkymillError(
            f"{path} is missing or is not the file that {self._manifest} describes: the file "
            "changed after it was made. Copy it again, or delete the manifest and run again."
        )


def on_disk(results: str | Path) -> Path:
    """Return the path of a results folder.

    Raises
    ------
    SkymillError
        When the folder is an address in object storage.
    """
    if "://" in str(results):
        raise SkymillError(
            f"{results} is in object storage, but this function reads only a folder on this "
            "machine. Copy the data set with its manifests to a folder, and give that folder."
        )
    return Path(results)


def command(data_set: str, results: Path) -> str:
    """Return the command that makes a data set."""
    config = "" if str(results) == DEFAULT_RESULTS else f"--config results={results} -- "
    return f"snakemake {config}{data_set}"


def choose(value: str, known: tuple[str, ...], what: str) -> str:
    """Return a value that must be one of the known values.

    Raises
    ------
    SkymillError
        When the value is unknown. The message lists the known values.
    """
    if value not in known:
        raise SkymillError(f"{value!r} is no {what}. Known are {', '.join(known)}.")
    return value
