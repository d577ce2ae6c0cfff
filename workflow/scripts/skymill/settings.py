"""What a schema cannot say about the configuration."""

import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from skymill.engine.errors import SkymillError
from skymill.engine.names import AREAS, PRODUCT_AREAS, SHARED_RAW
from skymill.magnetic.columns import Columns
from skymill.magnetic.inputs import SWAN, Input, input_of
from skymill.magnetic.schema import LABELS, STEPS
from skymill.paths import DEFAULT_RESULTS, RAW_OF_BRANCH
from skymill.ztf.classes import one_class

MOST_VALUES = 100_000
"""Values of a configuration, each as often as an alias repeats it."""

MOST_DEPTH = 100
"""Sections within sections."""


def require_bounded(config: object, name: str) -> None:
    """Refuse a configuration whose aliases make it large without end.

    In YAML a value that has a name (`&name`) can be repeated (`*name`), also within another one: a
    few lines can stand for more values than any memory holds. So this comes before all that looks
    at them.

    Parameters
    ----------
    config
        What a configuration file says, or the nodes of its text as `yaml.compose` gives them.
    name
        Where it stands, for the message.

    Raises
    ------
    SkymillError
        When it has more than MOST_VALUES values, or nests deeper than MOST_DEPTH.
    """
    if _expanded_values(config, {}, MOST_DEPTH) > MOST_VALUES:
        raise SkymillError(
            f"{name}: its aliases (*name) or sections make it more than {MOST_VALUES:,} values, or "
            f"nest more than {MOST_DEPTH} deep. Write out what it should say without them."
        )


def require_bounded_file(path: Path) -> None:
    """Refuse a configuration file as `require_bounded` does, before its values are made.

    What is no YAML at all is left to whoever reads it.
    """
    import yaml

    try:
        nodes = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError):
        return
    except RecursionError:
        raise SkymillError(f"{path} nests too deeply. Write it with fewer sections.") from None
    require_bounded(nodes, str(path))


def _expanded_values(value: object, known: dict[int, int], depth: int) -> int:
    """Return how many values a value holds with all repetitions; too many where it is too deep.

    Each value is looked at once: `known` has the numbers of those that were met.
    """
    if id(value) in known:
        return known[id(value)]
    if depth == 0:
        return MOST_VALUES + 1
    inner = getattr(value, "value", value)
    if isinstance(inner, dict):
        parts = inner.values()
    elif isinstance(inner, list | tuple):
        parts = inner
    else:
        return 1
    # One that is within itself has no end.
    known[id(value)] = MOST_VALUES + 1
    found = 1 + sum(_expanded_values(part, known, depth - 1) for part in parts)
    known[id(value)] = found
    return found


def source_of_branch(config: dict, branch: str) -> str:
    """Return `sample`, `archive` or `local` for a branch: its own entry, else the common one.

    That of a branch that reads SWAN-SF is that of SWAN-SF.
    """
    source = config["source"]
    if isinstance(source, str):
        return source
    return source.get(collection_of_branch(config, branch), source.get("default", "sample"))


def collection_of_branch(config: dict, branch: str) -> str:
    """Return the collection of sources.yaml that a branch reads."""
    if branch == "magnetic" and input_of(config) is SWAN:
        return SWAN.name
    return RAW_OF_BRANCH.get(branch, branch)


OPEN_SECTIONS = ("augmentation", "labels.map", "split.partitions", "ztf.sample")
"""Sections with as few or as many entries as the user wants."""


def in_force(config: dict) -> dict:
    """Return the configuration that counts: without the entries that were left out by null.

    Snakemake merges configuration files entry by entry, so that a later file cannot delete an entry
    of `OPEN_SECTIONS`: it sets the entry, or the whole section, to null.
    """
    return functools.reduce(_without_nulls_in, OPEN_SECTIONS, config)


def of_input(config: dict) -> dict:
    """Return the configuration with those entries alone that bear on `magnetic.input`.

    `features.columns` is the list of this input, `split.partitions` has its files.
    """
    one = input_of(config)
    columns, partitions = config["features"]["columns"], config["split"]["partitions"]
    if isinstance(columns, dict):
        columns = columns[one.name]
    return {
        **config,
        "features": {**config["features"], "columns": columns},
        "split": {
            **config["split"],
            "partitions": {name: partitions[name] for name in one.train if name in partitions},
        },
    }


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


def magnetic_keys(config: dict) -> list[str]:
    """Return all settings that rules of the magnetic branch read from the configuration."""
    own = ["magnetic.input", "magnetic.quiet_per_flare"]
    return ["seed", "collisions", "augmentation", "features", *own, *plan_keys(config)]


def data_set_keys(config: dict, name: str) -> list[str]:
    """Return the settings that decide what a data set holds: those that its card tells."""
    if name == "magnetic":
        return magnetic_keys(config)
    return {
        "sdo": ["seed", "sdo"],
        "aligned": ["seed", "aligned", "features", "sdo"],
        "ztf": [
            "seed",
            *(f"labels.{key}" for key in config["labels"] if key != "file"),
            *(f"ztf.{key}" for key in config["ztf"] if key not in NOT_TOLD),
        ],
    }[name]


NOT_TOLD = ("nights", "accept_truncated", "csv", "alert_files")
"""Settings of ZTF that leave the stamps as they are; the nights are told with their files."""


def check_settings(config: dict, root: Path = Path()) -> Iterator[str]:
    """Yield what is wrong with settings that each fit the schema, as sentences.

    `root` is the folder that Snakemake runs in.
    """
    yield from _check_results(config["results"], root)
    yield from _check_split(of_input(config)["split"])
    outside = sum(config["ztf"]["split"].values())
    if outside >= 1:
        yield f"ztf.split: validation and test take {outside:g} of the objects, so none is left."
    yield from one_class(config["labels"]["map"])
    own = config["labels"]["file"]
    products = [f"{config['results']}/{area}" for area in PRODUCT_AREAS]
    if own and any(map(_below(PurePosixPath(own), root).is_relative_to, products)):
        yield f"labels.file: {own} is in a folder of products. Copy the list to another folder."
    if "aligned" in config["branches"]:
        yield from _check_aligned(config)
    if "magnetic" in config["branches"]:
        yield from _check_columns(of_input(config)["features"], input_of(config))
        yield from _two_ways_to_undersample(config)
        yield from _unread_source(config)
        yield from _useless_columns(config["features"]["derived"])
        yield from _useless_augmentation(config["augmentation"])


def _check_columns(features: dict, one: Input) -> Iterator[str]:
    """Yield which columns cannot be computed at all, or not from what the branch reads."""
    try:
        columns = Columns(features)
    except SkymillError as error:
        yield str(error)
        return
    wanted = {name: columns.parameter_of(name) for name in columns.names}
    missing = [
        name if name == parameter else f"{name} (from {parameter})"
        for name, parameter in wanted.items()
        if parameter not in one.parameters
    ]
    if missing:
        yield (
            f"features.columns names {', '.join(missing)}, but {one.title} (magnetic.input: "
            f"{one.name}) has no such parameter. Leave these columns out for this input: "
            f"`features: {{columns: {{{one.name}: [...]}}}}`."
        )


def _unread_source(config: dict) -> Iterator[str]:
    """Yield why an entry of `source` does not say where the windows of SWAN-SF are from."""
    source = config["source"]
    if input_of(config) is not SWAN or not isinstance(source, dict) or "magnetic" not in source:
        return
    if source["magnetic"] != source_of_branch(config, "magnetic"):
        yield (
            "source.magnetic is for the files of 2020, and magnetic.input is swan_sf. Say where "
            f"SWAN-SF comes from: `source: {{swan_sf: {source['magnetic']}}}`."
        )


def _two_ways_to_undersample(config: dict) -> Iterator[str]:
    """Yield why classes cannot be thinned one by one and in their ratios."""
    if config["magnetic"]["quiet_per_flare"] is None:
        return
    for label, methods in config["augmentation"].items():
        if "undersample" in methods:
            yield (
                f"augmentation.{label}.undersample changes the ratios that "
                "magnetic.quiet_per_flare keeps. Leave one of the two out: `augmentation: "
                f"{{{label}: {{undersample: null}}}}`, or `magnetic: {{quiet_per_flare: null}}`."
            )


def _useless_columns(derived: list[dict]) -> Iterator[str]:
    """Yield which derived columns hold nothing, or a copy of another column."""
    for column in derived:
        operation, window = column["operation"], column["window"]
        where = f"features.derived: {operation} of {column['parameter']} with window {window}"
        if operation in ("diff", "lag") and window >= STEPS:
            yield (
                f"{where} is 0 at every step: no two of the {STEPS} steps of a record are as far "
                f"apart. Take a window below {STEPS}."
            )
        if operation == "rolling_std" and window < 2:
            yield f"{where} is 0 at every step: one step does not deviate. Take 2 or more."
        if operation == "rolling_mean" and window < 2:
            yield f"{where} is {column['parameter']} itself. Take 2 or more."


def _useless_augmentation(augmentation: dict) -> Iterator[str]:
    """Yield which entries of `augmentation` make and remove nothing, or leave nothing."""
    for label, methods in augmentation.items():
        entries = dict(methods)
        duplicate = entries.pop("duplicate", None)
        if duplicate:
            entries |= {f"duplicate.{name}": value for name, value in duplicate.items()}
        for name, value in entries.items():
            if not value:
                entry = name.partition(".")[0]
                yield (
                    f"augmentation.{label}.{name}: 0 changes nothing. Leave it out: "
                    f"`augmentation: {{{label}: {{{entry}: null}}}}`."
                )
    gone = [name for name, methods in augmentation.items() if methods.get("undersample") == 1]
    if {*gone} == {*LABELS}:
        yield "augmentation: undersample 1 for every class removes all records. Take less of one."
    for label in gone:
        made = [name for name in augmentation[label] if name != "undersample"]
        if made:
            yield (
                f"augmentation.{label}: undersample 1 removes every record, and {made[0]} makes "
                "copies of them. Leave one of the two out."
            )


def _check_split(split: dict) -> Iterator[str]:
    """Yield what is wrong with fractions and folds."""
    folds, fold = split.get("folds"), split.get("fold")
    total = sum(split["fractions"].values())
    if folds is None and abs(total - 1) > 1e-9:
        yield f"split.fractions add up to {total:g}, not to 1."
    if folds is None and fold is not None:
        yield f"split.fold is {fold}, but there are no folds: set split.folds to their number."
    if split["unit"] == "partition" and not folds and not split["partitions"]:
        yield (
            "split.partitions leaves out every file that the magnetic branch reads. Name the split "
            "of some of them."
        )
    if folds is not None and fold is not None and fold >= folds:
        yield f"split.fold is {fold}, but {folds} folds have the numbers 0 to {folds - 1}."


def _check_aligned(config: dict) -> Iterator[str]:
    """Yield why the aligned branch cannot join what the configuration reads."""
    if "sdo" not in config["branches"]:
        yield "branches: aligned needs the samples of sdo. Add sdo, or leave aligned out."
        return
    outside = sum(config["aligned"]["split"].values())
    if not config["aligned"]["follow_official"] and outside >= 1:
        yield f"aligned.split: validation and test take {outside:g} of the pairs, so none is left."
    joined = [name for name in ("magnetic", "sdo", "aligned") if name in config["branches"]]
    sources = {
        collection_of_branch(config, name): source_of_branch(config, name) for name in joined
    }
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
