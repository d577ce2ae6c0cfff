"""What a schema cannot say about the configuration."""

import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from skymill.engine.errors import SkymillError
from skymill.engine.names import AREAS, PRODUCT_AREAS, SHARED_RAW
from skymill.magnetic.columns import Columns
from skymill.paths import DEFAULT_RESULTS
from skymill.ztf.classes import one_class


def source_of_branch(config: dict, branch: str) -> str:
    """Return `sample`, `archive` or `local` for a branch: its own entry, else the common one."""
    source = config["source"]
    if isinstance(source, str):
        return source
    return source.get(branch, source.get("default", "sample"))


OPEN_SECTIONS = ("augmentation", "labels.map", "ztf.sample")
"""Sections with as few or as many entries as the user wants."""


def in_force(config: dict) -> dict:
    """Return the configuration that counts: without the entries that were left out by null.

    Snakemake merges configuration files entry by entry, so that a later file cannot delete an entry
    of `OPEN_SECTIONS`: it sets the entry, or the whole section, to null.
    """
    return functools.reduce(_without_nulls_in, OPEN_SECTIONS, config)


def without_nulls(section: dict | None) -> dict:
    """Return a section without what is null in it, at any depth; an empty one for null."""
    return {
        name: without_nulls(value) if isinstance(value, dict) else value
        for name, value in (section or {}).items()
        if value is not None
    }


def _without_nulls_in(config: dict, path: str) -> dict:
    """Return a configuration in which one section has no nulls; what is no section stays."""
    name, _, rest = path.partition(".")
    found = config.get(name)
    if rest:
        inner = isinstance(found, dict)
        return {**config, name: _without_nulls_in(found, rest)} if inner else config
    if name in config and (found is None or isinstance(found, dict)):
        return {**config, name: without_nulls(found)}
    return config


def plan_keys(config: dict) -> list[str]:
    """Return the settings of `split` that the plan reads: folds, partitions or fractions."""
    split = config["split"]
    if split.get("folds"):
        cut = ["folds", *(["fold"] if "fold" in split else [])]
    else:
        cut = ["partitions" if split["unit"] == "partition" else "fractions"]
    return [f"split.{name}" for name in ("unit", "augment", *cut)]


def check_settings(config: dict, root: Path = Path()) -> Iterator[str]:
    """Yield what is wrong with settings that each fit the schema, as sentences.

    `root` is the folder that Snakemake runs in.
    """
    yield from _check_results(config["results"], root)
    yield from _check_split(config["split"])
    outside = sum(config["ztf"]["split"].values())
    if outside >= 1:
        yield f"ztf.split: validation and test take {outside:g} of the objects, so none is left."
    yield from one_class(config["labels"]["map"])
    own = config["labels"]["file"]
    products = [f"{config['results']}/{area}" for area in PRODUCT_AREAS]
    if own and any(map(_below(PurePosixPath(own), root).is_relative_to, products)):
        yield f"labels.file: {own} is in a folder of products. Copy the list to another folder."
    if "magnetic" in config["branches"]:
        try:
            Columns(config["features"])
        except SkymillError as error:
            yield str(error)


def _check_split(split: dict) -> Iterator[str]:
    """Yield what is wrong with fractions and folds."""
    folds, fold = split.get("folds"), split.get("fold")
    total = sum(split["fractions"].values())
    if folds is None and abs(total - 1) > 1e-9:
        yield f"split.fractions add up to {total:g}, not to 1."
    if folds is None and fold is not None:
        yield f"split.fold is {fold}, but there are no folds: set split.folds to their number."
    if folds is not None and fold is not None and fold >= folds:
        yield f"split.fold is {fold}, but {folds} folds have the numbers 0 to {folds - 1}."


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
