"""Names of files in documents: the same on every machine and in every storage.

The name of a file in a results folder is its path below that folder. The name of a raw file that
all results folders share is `raw:` and its path below the folder of raw files. The name of a raw
file elsewhere is `file:` and the file's own name, because documents contain no path of a single
machine.
"""

from dataclasses import dataclass
from pathlib import Path

RAW = "raw:"
ELSEWHERE = "file:"

SHARED_RAW = "data/raw"
"""The folder of raw files that all results folders share."""

PRODUCT_AREAS = ("interim", "preprocessed", "processed")
AREAS = (*PRODUCT_AREAS, "sample")
"""The folders in a results folder: for products, and for simulated raw files."""


def raw_name(path: str | Path, results: str) -> str:
    """Return the name of a raw file in any folder."""
    if _place(path, results) is None:
        return f"{ELSEWHERE}{Path(path).name}"
    return Names.around(path, results).name(path)


def _place(path: str | Path, results: str) -> int | None:
    """Return where in a path the results folder or the raw folder begins, or None."""
    text = str(path)
    folders = [f"{SHARED_RAW}/", *(f"{results}/{area}/" for area in AREAS)]
    places = [text.find(folder) for folder in folders]
    found = [place for place in places if place == 0 or (place > 0 and text[place - 1] == "/")]
    return min(found, default=None)


@dataclass(frozen=True)
class Names:
    """Converts paths to names and back.

    Attributes
    ----------
    results
        The results folder.
    base
        The part of a path before the results folder, if a storage provider keeps local copies or
        the workflow is a module with a prefix.
    """

    results: str
    base: str = ""

    @classmethod
    def around(cls, path: str | Path, results: str) -> "Names":
        """Return the Names for the path of a raw file or of a file in the results folder."""
        place = _place(path, results)
        if place is None:
            raise ValueError(f"{path} is neither in the results folder {results} nor a raw file")
        return cls(results, str(path)[:place])

    def name(self, path: str | Path) -> str:
        """Return the name of a file."""
        below = str(path).removeprefix(self.base)
        if below.startswith(f"{SHARED_RAW}/"):
            return RAW + below.removeprefix(f"{SHARED_RAW}/")
        if not below.startswith(f"{self.results}/"):
            raise ValueError(f"{path} is neither a product nor a raw file")
        return below.removeprefix(f"{self.results}/")

    def path(self, name: str) -> Path:
        """Return the path of a file."""
        if name.startswith(RAW):
            return Path(f"{self.base}{SHARED_RAW}/{name.removeprefix(RAW)}")
        return Path(f"{self.base}{self.results}/{name}")
