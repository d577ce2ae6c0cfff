"""What a schema cannot say about the configuration."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from skymill.engine.errors import SkymillError
from skymill.engine.names import AREAS, SHARED_RAW
from skymill.magnetic.columns import Columns
from skymill.paths import DEFAULT_RESULTS, RAW_OF_BRANCH


def source_of_branch(config: dict, branch: str) -> str:
    """Return `sample`, `archive` or `local` for a branch: its own entry, else the common one.

    That of the aligned branch is that of SWAN-SF.
    """
    source = config["source"]
    if isinstance(source, str):
        return source
    return source.get(RAW_OF_BRANCH.get(branch, branch), source.get("default", "sample"))


def plan_keys(config: dict) -> list[str]:
    """Return the settings of `split` that the plan reads: fractions and partitions exclude."""
    cut = "partitions" if config["split"]["unit"] == "partition" else "fractions"
    return ["split.unit", "split.augment", f"split.{cut}"]


def check_settings(config: dict, root: Path = Path()) -> Iterator[str]:
    """Yield what is wrong with settings that each fit the schema, as sentences.

    `root` is the folder that Snakemake runs in.
    """
    yield from _check_results(config["results"], root)
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
    if "aligned" in config["branches"]:
        yield from _check_aligned(config)
    if "magnetic" in config["branches"]:
        try:
            Columns(config["features"])
        except SkymillError as error:
            yield str(error)


def _check_aligned(config: dict) -> Iterator[str]:
    """Yield why the aligned branch cannot join what the configuration reads."""
    if "sdo" not in config["branches"]:
        yield "branches: aligned needs the samples of sdo. Add sdo, or leave aligned out."
        return
    joined = [name for name in ("magnetic", "sdo", "aligned") if name in config["branches"]]
    sources = {RAW_OF_BRANCH.get(name, name): source_of_branch(config, name) for name in joined}
    simulated = [name for name, source in sources.items() if source == "sample"]
    if simulated and len(simulated) < len(sources):
        real = [name for name in sources if name not in simulated]
        yield (
            f"source: {', '.join(simulated)} would be simulated and {', '.join(real)} real. The "
            "aligned branch joins them, and simulated data have no place in the real sky. Give all "
            "of them real files or none, or leave aligned out of `branches`."
        )


_TAKEN = ("workflow", "config", "envs", "profiles", "logs", "tests", "docs", ".snakemake")


def _check_results(results: str, root: Path) -> Iterator[str]:
    """Yield why a folder cannot be a results folder: it holds another one, or is in one."""
    path = PurePosixPath(results)
    if str(path) != results or ".." in path.parts or results in (".", "/"):
        yield f"results: {results} is no plain path of a folder, such as `trial` or `runs/trial`."
        return
    own = _below(path, root)
    if own.parts[:1] and own.parts[0] in _TAKEN:
        yield f"results: {results} is a folder of the workflow itself. Take another name."
        return
    above = [str(parent) for parent in path.parents if str(parent) not in (".", "/")]
    if own.is_relative_to(SHARED_RAW):
        yield f"results: {results} is in {SHARED_RAW}, the folder of raw files. Take another name."
        return
    for parent in above:
        if _below(PurePosixPath(parent), root) == PurePosixPath(
            DEFAULT_RESULTS
        ) or _is_results_folder(root / parent):
            yield (
                f"results: {results} is inside {parent}, which is a results folder as well: what "
                "one run cleans up, another one made. Take a folder beside it."
            )
            return
    inner = [
        str(PurePosixPath(results, child.relative_to(root / results).as_posix()))
        for depth in ("*", "*/*")
        for child in (root / results).glob(depth)
        if child.is_dir()
        and child.name not in (*AREAS, "raw", "logs")
        and _is_results_folder(child)
    ]
    if inner:
        yield f"results: {results} holds another results folder, {inner[0]}. Take one beside it."


def _below(path: PurePosixPath, root: Path) -> PurePosixPath:
    """Return a path as it is spelled below the folder that Snakemake runs in, if it is there."""
    here = PurePosixPath(root.absolute().as_posix())
    return path.relative_to(here) if path.is_relative_to(here) else path


def _is_results_folder(folder: Path) -> bool:
    return (folder / "products.json").is_file()
