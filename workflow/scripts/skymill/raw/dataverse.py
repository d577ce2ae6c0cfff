"""The metadata of files in a Dataverse: size, checksum, licence.

Source: Dataverse's API guide, "Get JSON Representation of a Dataset".
"""

from dataclasses import dataclass

from skymill.raw.http import NotFetchedError

_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}


@dataclass(frozen=True)
class Listed:
    """A file of a data set: bytes, `algorithm:hexadecimal`, and the licence; None is unknown."""

    size: int | None = None
    checksum: str | None = None
    licence: str | None = None


def find_file(document: dict, persistent_id: str, address: str) -> Listed:
    """Return the metadata of a file from the JSON of its data set.

    Parameters
    ----------
    document
        The response of `api/datasets/:persistentId`.
    persistent_id
        The file's persistent id, such as `doi:10.7910/DVN/EBCFKM/BMXYCB`.
    address
        The address of the response, for messages.

    Raises
    ------
    NotFetchedError
        When the response is not from a Dataverse, or does not list the file.
    """
    try:
        version = document["data"]["latestVersion"]
        files = [entry["dataFile"] for entry in version["files"]]
    except (KeyError, TypeError):
        raise NotFetchedError(
            f"{address} does not describe a data set: {str(document)[:200]}"
        ) from None
    found = next((file for file in files if file.get("persistentId") == persistent_id), None)
    if found is None:
        names = ", ".join(str(file.get("filename")) for file in files[:10])
        raise NotFetchedError(
            f"{address} has no file {persistent_id}, but {names or 'none'}. Correct the id of the "
            "file in config/sources.yaml."
        )
    licence = version.get("license")
    return Listed(
        size=found.get("filesize"),
        checksum=_checksum(found),
        licence=licence.get("name") if isinstance(licence, dict) else licence,
    )


def _checksum(file: dict) -> str | None:
    known = file.get("checksum") or {"type": "MD5", "value": file.get("md5")}
    algorithm = _ALGORITHMS.get(known.get("type"))
    return f"{algorithm}:{known['value'].lower()}" if algorithm and known.get("value") else None
