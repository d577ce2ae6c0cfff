"""The registry of raw files: where each comes from, and what is known of it.

`config/sources.yaml` is written by hand. What it does not know, the size and checksum of a file, is
learnt with the first download (trust on first use), kept in `config/sources.lock.json` beside it,
and enforced from then on.
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.engine.gzipped import SUFFIX
from skymill.engine.products import read_json, write_json
from skymill.engine.secrets import without_password
from skymill.raw.file_types import TEXTS

REGISTRY = Path("config/sources.yaml")
OWN_REGISTRY = Path(__file__).parents[4] / REGISTRY
"""The registry of this checkout: for working folders without one of their own."""

LOCK = Path("config/sources.lock.json")

ARCHIVE_NIGHT = "[0-9]{8}(?:_programid[0-9]+)?"
"""The form of a night in the names of ZTF's tarballs."""

NIGHT = "[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"
"""The form of any night: users name their own as they like."""

_PLACEHOLDERS = {"night": ARCHIVE_NIGHT, "own_night": NIGHT}
"""What may stand for a part of a file's name, and its form."""


@dataclass(frozen=True)
class Source:
    """A raw file and where it comes from.

    `file` is its path below data/raw. `kaggle` (owner/data set) and `addresses` (HTTP, all of the
    same bytes) are its origins: a file without any is the user's own. `member` is the one file that
    is wanted out of a tarball or of a zip; size and checksum then describe what is downloaded.
    `checksum` is `algorithm:hexadecimal`, `checksums` the address of a list of md5 sums.
    `dataverse` says where a Dataverse tells of the file (`dataset`: the address of its data set,
    `file`: its persistent id). `min_size` and `min_lines` are what a file of unannounced length
    must reach. `disk_bytes` is about what has to be free, `disk_range` (`of`, `least`, `most`) its
    span in GB, where files differ much.
    """

    file: str
    kind: str
    page: str
    licence: str
    citation: str
    addresses: tuple[str, ...] = ()
    kaggle: str | None = None
    version: int | None = None
    member: str | None = None
    size: int | None = None
    checksum: str | None = None
    checksums: str | None = None
    dataverse: dict | None = None
    min_size: int | None = None
    min_lines: int | None = None
    disk_bytes: int = 0
    disk_range: dict | None = None

    @property
    def kaggle_page(self) -> str | None:
        """The address of the Kaggle data set, as people read it."""
        return self.kaggle and f"https://www.kaggle.com/datasets/{self.kaggle}"

    @property
    def web(self) -> str | None:
        """The first of `addresses`, which stands for all of them, without a password."""
        return without_password(self.addresses[0]) if self.addresses else None

    @property
    def origins(self) -> list[str]:
        """Where the file may come from: `kaggle_page` and `web`, as far as there are any."""
        return [origin for origin in (self.kaggle_page, self.web) if origin]


def load_registry(path: Path = REGISTRY) -> dict[str, dict]:
    """Return the registry's collections as written: the workflow's own where `path` is not there.

    Raises
    ------
    SkymillError
        When neither is there.
    """
    import yaml

    found = next((place for place in (path, OWN_REGISTRY) if place.is_file()), None)
    if found is None:
        raise SkymillError(
            f"{path} is not in {Path.cwd()}, and this copy of Skymill has none. Copy the folder "
            "config/ of the workflow there."
        )
    return yaml.safe_load(found.read_text(encoding="utf-8"))["collections"]


def file_patterns(registry: dict) -> dict[str, str]:
    """Return a regular expression for the path of each registered file, by the registry's name.

    A text may have been put there gzipped, with `.gz` behind its name.
    """
    return {
        name: _pattern(name) + (f"(?:{re.escape(SUFFIX)})?" if entry["kind"] in TEXTS else "")
        for collection in registry.values()
        for name, entry in collection["files"].items()
    }


def fetchable_patterns(registry: dict) -> list[str]:
    """Return patterns of the files that can be fetched: what has an address, as it has it."""
    return [
        _pattern(name)
        for collection in registry.values()
        for name, entry in collection["files"].items()
        if "url" in entry or "kaggle" in entry
    ]


def branch_of(registry: dict, file: str) -> str:
    """Return the branch that a registered file belongs to."""
    patterns = file_patterns(registry)
    return next(
        branch
        for branch, collection in registry.items()
        if any(re.fullmatch(patterns[name], file) for name in collection["files"])
    )


def find_source(registry: dict, file: str) -> Source:
    """Return the entry of a file, its placeholders filled in.

    Of a text that was gzipped by hand it is the kind that counts: sizes and checksums are those of
    what can be fetched.

    Raises
    ------
    SkymillError
        When the registry does not know the file.
    """
    for collection in registry.values():
        for name, entry in collection["files"].items():
            match = re.fullmatch(_pattern(name, named=True), file)
            if match:
                return _source(file, collection, entry, match.groupdict())
            if entry["kind"] in TEXTS and re.fullmatch(_pattern(f"{name}{SUFFIX}"), file):
                return _source(file, collection, {"kind": entry["kind"]}, {})
    raise SkymillError(f"{REGISTRY} does not know {file}; add it there, or correct its name.")


@functools.cache
def _pattern(name: str, *, named: bool = False) -> str:
    pattern = re.escape(name)
    for placeholder, form in _PLACEHOLDERS.items():
        group = f"(?P<{placeholder}>{form})" if named else f"(?:{form})"
        pattern = pattern.replace(re.escape(f"{{{placeholder}}}"), group)
    return pattern


def _source(file: str, collection: dict, entry: dict, values: dict[str, str]) -> Source:
    def fill(text: str) -> str:
        for placeholder, value in values.items():
            text = text.replace(f"{{{placeholder}}}", value)
        return text

    addresses = [entry["url"], *entry.get("mirrors", [])] if "url" in entry else []
    return Source(
        file=file,
        kind=entry["kind"],
        page=collection["page"],
        licence=collection["licence"],
        citation=collection["citation"],
        addresses=tuple(map(fill, addresses)),
        kaggle=entry.get("kaggle"),
        version=entry.get("version"),
        member=entry.get("member"),
        size=entry.get("size"),
        checksum=entry.get("checksum"),
        checksums=entry.get("checksums"),
        dataverse=entry.get("dataverse"),
        min_size=entry.get("min_size"),
        min_lines=entry.get("min_lines"),
        disk_bytes=int(entry.get("disk_gb", 0) * 1e9),
        disk_range=entry.get("disk_gb_range"),
    )


def about_downloads(sources: list[Source]) -> str:
    """Return how much is to be downloaded, as far as the registry knows: no server is asked."""
    total = sum(source.disk_bytes for source in sources) / 1e9
    size = f"{total:,.0f}" if total >= 10 else f"{total:.2g}"
    files = "1 file" if len(sources) == 1 else f"{len(sources):,} files"
    text = f"To download: {files}, about {size} GB by the registry (no server was asked)."
    varying = [source for source in sources if source.disk_range]
    if varying:
        each, span = varying[0].disk_bytes / 1e9, varying[0].disk_range
        text += (
            f" For each of {len(varying):,} it takes {each:g} GB, but {span['of']} varies from "
            f"{span['least']:g} to {span['most']:g} GB."
        )
    return text


def learnt(source: Source, origin: str | None, path: Path = LOCK) -> dict | None:
    """Return what the first download of this file and version taught: bytes and checksum.

    It belongs to the origin that it was fetched from: other origins may have other bytes. `origin`
    is one of `source.origins`; None for a file of unknown origin, such as one put there by hand.
    """
    known = read_json(path) if path.exists() else {}
    entry = known.get(source.file)
    if not entry or entry.get("version") != source.version:
        return None
    if origin is None:
        return entry if len(source.origins) == 1 else None
    return entry if entry.get("origin", source.origins[0]) == origin else None


def enforced_checksum(source: Source, origin: str | None, path: Path = LOCK) -> str | None:
    """Return the checksum that a raw file must have, as far as it is known; see learnt."""
    known = learnt(source, origin, path)
    if known:
        return known["checksum"]
    # That of a tarball says nothing of the one member that was kept.
    return source.checksum if source.member is None else None


def learn(
    source: Source,
    origin: str,
    size: int,
    checksum: str,
    path: Path = LOCK,
    *,
    licence: str | None = None,
) -> None:
    """Keep what a first download taught; several jobs may do so at once.

    A file has one entry: that of the first origin stays as long as the registry has that origin.
    The licence is kept where the archive tells it.
    """
    from filelock import FileLock

    with FileLock(path.with_name(path.name + ".lock")):
        if any(learnt(source, other, path) for other in source.origins):
            return
        known = read_json(path) if path.exists() else {}
        entry = {
            "bytes": size,
            "checksum": checksum,
            "origin": origin,
            "version": source.version,
        }
        known[source.file] = entry | ({"licence": licence} if licence else {})
        write_json(path, known)
