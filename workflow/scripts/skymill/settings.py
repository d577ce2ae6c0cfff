"""What a schema cannot say about the configuration."""

from collections.abc import Iterator

from skymill.errors import SkymillError
from skymill.magnetic.columns import Columns


def source_of_branch(config: dict, branch: str) -> str:
    """Return `sample`, `archive` or `local` for a branch: its own entry, else the common one."""
    source = config["source"]
    if isinstance(source, str):
        return source
    return source.get(branch, source.get("default", "sample"))


def check_settings(config: dict) -> Iterator[str]:
    """Yield what is wrong with settings that each fit the schema, as sentences."""
    fractions = config["split"]["fractions"]
    total = sum(fractions.values())
    if abs(total - 1) > 1e-9:
        yield f"split.fractions add up to {total:g}, not to 1."
    if config["split"]["unit"] == "partition":
        empty = {"train", "dev", "test"} - set(config["split"]["partitions"].values())
        if empty:
            yield f"split.partitions gives no file to {', '.join(sorted(empty))}."
    outside = sum(config["ztf"]["split"].values())
    if outside >= 1:
        yield f"ztf.split: validation and test take {outside:g} of the objects, so none is left."
    if "magnetic" in config["branches"]:
        try:
            Columns(config["features"])
        except SkymillError as error:
            yield str(error)
