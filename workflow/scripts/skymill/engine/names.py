"""Names of files in documents: the same on every machine and in every storage.

The name of a file in a results folder is its path below that folder. The name of a raw file that
all results folders share is `raw:` and its path below the folder of raw files. The name of a raw
file elsewhere, the user's own list of labels, is `file:` and its path as the user wrote it. So
another path is another file, and a project may be moved if this path is relative.
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


def raw_name(path: str | Path, results: str, base: str = "") -> str:
    """Return the name of a raw file in any folder.

    `base` is that of the Names of the job that reads the file. The user's own file may be in the
    folder of raw files of another project: this is a file elsewhere.
    """
    below = str(path).removeprefix(base)
    # The user may also write the path of a file in this project as an absolute path.
    own = below.removeprefix(f"{Path.cwd()}/")
    if ".." not in Path(own).parts:
        for one in (own, below):
            if one.startswith(_raw_folders(results)):
                return Names(results).name(one)
    return f"{ELSEWHERE}{below}"


def _raw_folders(results: str) -> tuple[str, ...]:
    """Return the beginnings of the paths of raw files that Skymill itself may write."""
    return (f"{SHARED_RAW}/", *_areas(results))


def _areas(results: str) -> tuple[str, ...]:
    return tuple(f"{results}/{area}/" for area in AREAS)


def _place(path: str | Path, results: str) -> int | None:
    """Return where in a path the results folder or the raw folder begins, or None.

    A storage provider may keep its copies in any folder, also below a folder `data/raw`. So the
    results folder counts first, and the last `data/raw`.
    """
    text = f"/{path}"
    found = [text.find(f"/{area}") for area in _areas(results)]
    found = [place for place in found if place >= 0] or [text.rfind(f"/{SHARED_RAW}/")]
    return min(found) if min(found) >= 0 else None


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
        if name.startswith(ELSEWHERE):
            return Path(self.base + name.removeprefix(ELSEWHERE))
        return Path(f"{self.base}{self.results}/{name}")
