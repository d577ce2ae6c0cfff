"""Checks of the configuration that a schema cannot express."""

import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from skymill.engine.errors import SkymillError
from skymill.engine.names import AREAS, PRODUCT_AREAS, SHARED_RAW
from skymill.engine.yaml_files import MOST_DEPTH, read_yaml_nodes, require_plain, with_integers
from skymill.magnetic.columns import Columns
from skymill.magnetic.inputs import SWAN, Input, input_of
from skymill.magnetic.schema import LABELS, STEPS
from skymill.paths import DEFAULT_RESULTS, RAW_OF_BRANCH
from skymill.ztf.classes import one_class

MOST_VALUES = 100_000
"""The most values in a configuration; a value counts as often as aliases repeat it."""


def require_bounded(config: object, name: str) -> None:
    """Raise SkymillError when aliases make a configuration extremely large.

    In YAML a value with a name (`&name`) can be repeated (`*name`), also within another named
    value. So a few lines can expand to more values than fit into memory. This check must run before
    any code reads the values.

    Parameters
    ----------
    config
        The content of a configuration file, or its nodes from `yaml.compose`.
    name
        The name of the file or the option, for the message.

    Raises
    ------
    SkymillError
        When the configuration has more than MOST_VALUES values, or nests deeper than MOST_DEPTH.
    """
    if _expanded_values(config, {}, MOST_DEPTH) > MOST_VALUES:
        raise SkymillError(
            f"{name}: aliases (*name) or sections expand to more than {MOST_VALUES:,} values, or "
            f"nest more than {MOST_DEPTH} deep. Write the settings without aliases."
        )


def require_bounded_file(path: Path) -> None:
    """Apply `require_bounded` and `require_plain` to a configuration file, before it is read.

    A file that is not YAML passes: the code that reads the file reports the error.
    """
    import yaml

    try:
        nodes = read_yaml_nodes(path)
    except (yaml.YAMLError, UnicodeDecodeError):
        return
    require_bounded(nodes, str(path))
    require_plain(nodes, str(path))


def _expanded_values(value: object, known: dict[int, int], depth: int) -> int:
    """Return how many values a value contains, with all repetitions; too many if it is too deep.

    Each value is counted once: `known` has the counts of the values so far.
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
    # A value that contains itself has no end.
    known[id(value)] = MOST_VALUES + 1
    found = 1 + sum(_expanded_values(part, known, depth - 1) for part in parts)
    known[id(value)] = found
    return found


def source_of_branch(config: dict, branch: str) -> str:
    """Return `sample`, `archive` or `local` for a branch: its own entry, or else the common entry.

    A branch that reads SWAN-SF has the source of SWAN-SF.
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
"""Sections in which the user may add and remove entries."""


def in_force(config: dict) -> dict:
    """Return the effective configuration, without the entries that are null.

    Numbers without a fraction become integers: `seed: 7.0` is the setting `seed: 7`.

    Snakemake merges configuration files entry by entry, so a later file cannot delete an entry of
    `OPEN_SECTIONS`. Instead the file sets the entry, or the whole section, to null.
    """
    return functools.reduce(_without_nulls_in, OPEN_SECTIONS, with_integers(config))


def of_input(config: dict) -> dict:
    """Return the configuration with only the entries for the present `magnetic.input`.

    `features.columns` becomes the list for this input, and `split.partitions` has only its files.
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
    """Return a section without its null entries, at any depth; an empty section for null."""
    return {
        name: without_nulls(value) if isinstance(value, dict) else value
        for name, value in (section or {}).items()
        if value is not None
    }


def _without_nulls_in(config: dict, path: str) -> dict:
    """Return a configuration without nulls in one section; other values stay as they are."""
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
    """Return the settings that decide the content of a data set; its card lists them."""
    if name == "magnetic":
        return magnetic_keys(config)
    return {
        "sdo": ["seed", "sdo"],
        "aligned": ["seed", "aligned", "features", "sdo"],
        "ztf": [
            "seed",
            *(f"labels.{key}" for key in config["labels"] if key != "file"),
            *(f"ztf.{key}" for key in config["ztf"] if key not in NOT_ON_CARD),
        ],
    }[name]


NOT_ON_CARD = ("nights", "accept_truncated", "csv", "alert_files")
"""Settings of ZTF that do not change the stamps. The nights are on the card with their files."""


def check_settings(config: dict, root: Path = Path()) -> Iterator[str]:
    """Yield the errors in settings that fit the schema, as sentences.

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
    """Yield which columns cannot be computed, at all or from the input of the branch."""
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
    """Yield why `source.magnetic` does not set the source of SWAN-SF's windows."""
    source = config["source"]
    if input_of(config) is not SWAN or not isinstance(source, dict) or "magnetic" not in source:
        return
    if source["magnetic"] != source_of_branch(config, "magnetic"):
        yield (
            "source.magnetic is for the files of 2020, but magnetic.input is swan_sf. Set the "
            f"source of SWAN-SF: `source: {{swan_sf: {source['magnetic']}}}`."
        )


def _two_ways_to_undersample(config: dict) -> Iterator[str]:
    """Yield why classes cannot be undersampled both singly and by their ratio."""
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
    """Yield which derived columns are always 0, or copies of another column."""
    for column in derived:
        operation, window = column["operation"], column["window"]
        where = f"features.derived: {operation} of {column['parameter']} with window {window}"
        if operation in ("diff", "lag") and window >= STEPS:
            yield (
                f"{where} is 0 at every step: no two of the {STEPS} steps of a record are so far "
                f"apart. Set a window below {STEPS}."
            )
        if operation == "rolling_std" and window < 2:
            yield f"{where} is 0 at every step: one step has no deviation. Set 2 or more."
        if operation == "rolling_mean" and window < 2:
            yield f"{where} is {column['parameter']} itself. Set 2 or more."


def _useless_augmentation(augmentation: dict) -> Iterator[str]:
    """Yield which entries of `augmentation` change nothing, or remove everything."""
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
        yield (
            "augmentation: undersample 1 for every class removes all records. Set less for a class."
        )
    for label in gone:
        made = [name for name in augmentation[label] if name != "undersample"]
        if made:
            yield (
                f"augmentation.{label}: undersample 1 removes every record, but {made[0]} copies "
                "these records. Leave out one of the two."
            )


def _check_split(split: dict) -> Iterator[str]:
    """Yield the errors in fractions and folds."""
    folds, fold = split.get("folds"), split.get("fold")
    total = sum(split["fractions"].values())
    if folds is None and abs(total - 1) > 1e-9:
        yield f"split.fractions add up to {total:g}, not to 1."
    if folds is None and fold is not None:
        yield f"split.fold is {fold}, but there are no folds. Set split.folds to their number."
    if split["unit"] == "partition" and not folds and not split["partitions"]:
        yield (
            "split.partitions leaves out every file that the magnetic branch reads. Assign some "
            "files to splits."
        )
    if folds is not None and fold is not None and fold >= folds:
        yield f"split.fold is {fold}, but the numbers of {folds} folds are 0 to {folds - 1}."


def _check_aligned(config: dict) -> Iterator[str]:
    """Yield why the aligned branch cannot join the inputs of the configuration."""
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
            "aligned branch joins them, but simulated data do not fit the real sky. Set real files "
            "for all of them or for none, or leave aligned out of `branches`."
        )


_TAKEN = ("workflow", "config", "envs", "profiles", "logs", "tests", "docs", ".snakemake")


def _check_results(results: str, root: Path) -> Iterator[str]:
    """Yield why a folder cannot be a results folder, such as another results folder inside it."""
    path = PurePosixPath(results)
    if str(path) != results or ".." in path.parts or results in (".", "/"):
        yield f"results: {results} is not a plain path such as `trial` or `runs/trial`."
        return
    own = _below(path, root)
    if own.parts[:1] and own.parts[0] in _TAKEN:
        yield f"results: {results} is a folder of the workflow itself. Choose another name."
        return
    above = [str(parent) for parent in path.parents if str(parent) not in (".", "/")]
    if own.is_relative_to(SHARED_RAW):
        yield (
            f"results: {results} is in {SHARED_RAW}, the folder of raw files. Choose another name."
        )
        return
    for parent in above:
        if _below(PurePosixPath(parent), root) == PurePosixPath(
            DEFAULT_RESULTS
        ) or _is_results_folder(root / parent):
            yield (
                f"results: {results} is inside {parent}, another results folder: a run in one "
                f"could delete files of the other. Choose a folder outside {parent}."
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
        yield (
            f"results: {results} contains another results folder, {inner[0]}. Choose another name."
        )


def _below(path: PurePosixPath, root: Path) -> PurePosixPath:
    """Return a path relative to the folder that Snakemake runs in, if it is in this folder."""
    here = PurePosixPath(root.absolute().as_posix())
    return path.relative_to(here) if path.is_relative_to(here) else path


def _is_results_folder(folder: Path) -> bool:
    return (folder / "products.json").is_file()
