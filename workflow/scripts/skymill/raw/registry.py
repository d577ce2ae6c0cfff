"""The registry of raw files: the origin, size and checksum of each.

`config/sources.yaml` is written by hand. If it has no checksum for a file, the first download sets
the size and the checksum (trust on first use). They are kept in `config/sources.lock.json`, in the
same folder, and all later downloads must match them.
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.engine.gzipped import SUFFIX
from skymill.engine.products import read_json, write_json
from skymill.engine.secrets import without_password
from skymill.engine.yaml_files import read_yaml
from skymill.raw.file_types import TEXTS

REGISTRY = Path("config/sources.yaml")
OWN_REGISTRY = Path(__file__).parents[4] / REGISTRY
"""The registry of this checkout, for working folders without their own registry."""

LOCK = Path("config/sources.lock.json")

ARCHIVE_NIGHT = "[0-9]{8}(?:_programid[0-9]+)?"
"""The form of a night in the names of ZTF's tarballs."""

NIGHT = "[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"
"""The form of any night: users name their own as they like."""

_PLACEHOLDERS = {"night": ARCHIVE_NIGHT, "own_night": NIGHT}
"""Placeholders in the names of files, and the form of their values."""


@dataclass(frozen=True)
class Source:
    """A raw file and where it comes from.

    `file` is the path below data/raw. The origins are `kaggle` (owner/data set) and `addresses`
    (HTTP, all with the same bytes); a file without an origin is the user's own. `member` is the one
    file that is extracted from a tarball or zip; then size and checksum are those of the archive.
    `checksum` is `algorithm:hexadecimal`, `checksums` the address of a list of md5 sums.
    `dataverse` says where a Dataverse describes the file (`dataset`: the address of the data set,
    `file`: the file's persistent id). `min_size` and `min_lines` are the least size of a file of
    unannounced length. `disk_bytes` is the approximate free space that the file needs. `disk_range`
    (`of`, `least`, `most`) is its range in GB, if sizes vary much.
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
        """The address of the Kaggle data set's web page."""
        return self.kaggle and f"https://www.kaggle.com/datasets/{self.kaggle}"

    @property
    def web(self) -> str | None:
        """The first of `addresses`, which represents all of them, without a password."""
        return without_password(self.addresses[0]) if self.addresses else None

    @property
    def origins(self) -> list[str]:
        """The possible origins of the file: `kaggle_page` and `web`, if any."""
        return [origin for origin in (self.kaggle_page, self.web) if origin]


def load_registry(path: Path = REGISTRY) -> dict[str, dict]:
    """Return the registry's collections as written, from `path` or else from this checkout.

    Raises
    ------
    SkymillError
        When both files are missing, or the file is no registry.
    """
    found = next((place for place in (path, OWN_REGISTRY) if place.is_file()), None)
    if found is None:
        raise SkymillError(
            f"{path} is not in {Path.cwd()}, and this copy of Skymill has no such file. Copy the "
            "folder config/ of the workflow there."
        )
    content = read_yaml(found)
    if not isinstance(content, dict) or not isinstance(content.get("collections"), dict):
        raise SkymillError(f"{found} has no section `collections`. Compare it with the original.")
    return content["collections"]


def file_patterns(registry: dict) -> dict[str, str]:
    """Return a regular expression for the path of each registered file, by its registered name.

    A text may also be gzipped, and then its name may end in `.gz`.
    """
    return {
        name: _pattern(name) + (f"(?:{re.escape(SUFFIX)})?" if entry["kind"] in TEXTS else "")
        for collection in registry.values()
        for name, entry in collection["files"].items()
    }


def fetchable_patterns(registry: dict) -> list[str]:
    """Return patterns of the files that can be fetched, under the names that they have there."""
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
    """Return the entry of a file, with its placeholders replaced.

    For a text that was gzipped by hand, only the kind is returned: sizes and checksums are those of
    the file that can be fetched.

    Raises
    ------
    SkymillError
        When the file is not in the registry.
    """
    for collection in registry.values():
        for name, entry in collection["files"].items():
            match = re.fullmatch(_pattern(name, named=True), file)
            if match:
                return _source(file, collection, entry, match.groupdict())
            if entry["kind"] in TEXTS and re.fullmatch(_pattern(f"{name}{SUFFIX}"), file):
                return _source(file, collection, {"kind": entry["kind"]}, {})
    raise SkymillError(f"{REGISTRY} does not list {file}. Add the file, or correct its name.")


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
    """Return a text with the size of the downloads, by the registry; no server is asked."""
    total = sum(source.disk_bytes for source in sources) / 1e9
    size = f"{total:,.0f}" if total >= 10 else f"{total:.2g}"
    files = "1 file" if len(sources) == 1 else f"{len(sources):,} files"
    text = f"To download: {files}, about {size} GB by the registry (no server was asked)."
    varying = [source for source in sources if source.disk_range]
    if varying:
        each, span = varying[0].disk_bytes / 1e9, varying[0].disk_range
        text += (
            f" This assumes {each:g} GB for each of {len(varying):,}, but {span['of']} varies from "
            f"{span['least']:g} to {span['most']:g} GB."
        )
    return text


def learnt(source: Source, origin: str | None, path: Path = LOCK) -> dict | None:
    """Return the lock's entry of this file and version: bytes and checksum of the first download.

    The entry is for one origin, because other origins may have other bytes. `origin` is one of
    `source.origins`, or None for a file of unknown origin, such as a file put there by hand.
    """
    known = read_json(path) if path.exists() else {}
    entry = known.get(source.file)
    if not entry or entry.get("version") != source.version:
        return None
    if origin is None:
        return entry if len(source.origins) == 1 else None
    return entry if entry.get("origin", source.origins[0]) == origin else None


def enforced_checksum(source: Source, origin: str | None, path: Path = LOCK) -> str | None:
    """Return the checksum that a raw file must have, or None if it is unknown; see learnt."""
    known = learnt(source, origin, path)
    if known:
        return known["checksum"]
    # With `member`, the checksum is of the archive, not of the file that was kept.
    return source.checksum if source.member is None else None


def kind_and_checksum(
    file: str, origin: str | None, *, is_enforced: bool
) -> tuple[str, str | None]:
    """Return the kind of a raw file, and the checksum that the file must have, or None.

    Parameters
    ----------
    file
        The name of the file in the registry.
    origin
        Where the file was fetched from, see files.fetched_from.
    is_enforced
        Whether the file must have the checksum of the registry or of the lock.
    """
    source = find_source(load_registry(), file)
    return source.kind, enforced_checksum(source, origin) if is_enforced else None


def learn(
    source: Source,
    origin: str,
    size: int,
    checksum: str,
    path: Path = LOCK,
    *,
    licence: str | None = None,
) -> None:
    """Write the size and checksum of a first download to the lock, safely for parallel jobs.

    A file has one entry. The entry of the first origin stays as long as the registry has this
    origin. The licence is kept if the archive states one.
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
