# Helpers of the rules: where scripts and the package are, what makes a job stale, which files a
# source names. No rule stands here.
import functools
import json
import re
import sys
import time
from pathlib import Path

SCRIPTS = Path(workflow.basedir) / "scripts"
sys.path.insert(0, str(SCRIPTS))

import snakemake.common
import snakemake.rules
import snakemake.sourcecache
from snakemake.exceptions import WorkflowError
from snakemake.io import is_callable
from snakemake.iocontainers import Wildcards
from snakemake.logging import logger
from snakemake.settings.types import ExecMode
from snakemake.utils import validate

from skymill import digests, home, leftovers, lineage, parallel, paths
from skymill.errors import SkymillError
from skymill.magnetic.schema import PARTITIONS, SPLITS, TEST_PARTITION, TRAIN_PARTITIONS
from skymill.products import read_json
from skymill.raw import missing_local, outdated, put_by_hand
from skymill.retrieve.registry import (
    NIGHT,
    branch_of,
    fetchable_patterns,
    file_patterns,
    find_source,
    load_registry,
)
from skymill.settings import check_settings, source_of_branch
from skymill.ztf.nights import days_since_first_public, read_nights, spans


def validate_or_explain(document, schema):
    """Check a document, and say what is wrong and where rather than show all of it."""
    try:
        validate(document, f"../schemas/{schema}.schema.yaml")
    except WorkflowError as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        where = [line.strip() for line in said if line.startswith("On instance[")]
        raise WorkflowError("\n".join([*said[:2], *where])) from None


validate_or_explain(config, "config")
REGISTRY = load_registry()
validate_or_explain({"collections": REGISTRY}, "sources")

for problem in check_settings(config):
    raise WorkflowError(f"config: {problem}")

parallel.use_cluster(config["dask"]["scheduler_address"])


wildcard_constraints:
    partition="|".join(PARTITIONS),
    collection="train|test",
    split="|".join(SPLITS),
    sdo_set="train|test",
    night=NIGHT,
    label="[A-Za-z0-9][A-Za-z0-9-]*",


COLLECTIONS = {"train": TRAIN_PARTITIONS, "test": (TEST_PARTITION,)}

# Threads of a job that spreads its work over processes; Snakemake lowers it to the cores given.
PARALLEL = 8


def lift_limit_of_cores():
    """Let cluster jobs have the threads of their rules, whatever the submitting machine has.

    The default profile sets `cores: all`: those of the machine where Snakemake runs, and Snakemake
    would lower the threads of cluster jobs to them as well. `--max-threads` still limits. For
    `onstart`: while the Snakefile is read, Snakemake does not know its executor yet.
    """
    if not workflow.local_exec:
        workflow.resource_settings.cores = None
        workflow.register_resource("_cores", sys.maxsize)


# What a job may need. Only cluster profiles use it; an attempt after a failure gets more.


def memory(base, each=0, per_gb=0, of=None):
    """Return `mem_mb` of a job: a fixed part, one a thread, and one a GB of the input named `of`."""
    return lambda wildcards, input, threads, attempt: attempt * round(
        base + each * threads + (per_gb * gigabytes(input[of]) if of else 0)
    )


def minutes(base, per_gb=0, of=None):
    """Return `runtime` of a job: a fixed part, and one for each GB of the input named `of`."""
    return lambda wildcards, input, attempt: attempt * round(
        base + (per_gb * gigabytes(input[of]) if of else 0)
    )


def gigabytes(files):
    """Return the size of files, and of the files directly in folders, in GB (10^9 bytes).

    A night that was unpacked by hand has 100,000s of files: taken for the largest night there is.
    """
    size = 0
    for path in map(Path, [files] if isinstance(files, str) else files):
        if not path.is_dir():
            size += path.stat().st_size
        elif path.match("ztf_public_*"):
            size += 73e9
        else:
            size += sum(part.stat().st_size for part in path.iterdir())
    return size / 1e9


def code_digest(script):
    """Return the digest of a script in workflow/scripts and of the modules that it imports."""
    return digests.code_digest(SCRIPTS / script)


def settings(*keys):
    """Return just these keys of the configuration: what a rule reads is what makes it stale.

    A dot leads into a section: `limits.max_region_fraction`. Keys are sorted, because Snakemake
    compares parameters as text.
    """
    found = {}
    for key in sorted(keys):
        part = functools.reduce(lambda section, name: section[name], key.split("."), config)
        found[key] = json.loads(json.dumps(part, sort_keys=True))
    return found


def one_of(patterns):
    """Return a regular expression that matches one of these whole; nothing if there are none."""
    return "|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)"


def fetchable_files():
    """Return a pattern of the raw files that may be fetched: all but those put there by hand."""
    folder = Path(paths.RAW_FOLDER["archive"])
    fetchable = one_of(fetchable_patterns(REGISTRY))
    files = {
        str(path.relative_to(folder)): path
        for parent in {Path(name).parent for name in file_patterns(REGISTRY)}
        for path in (folder / parent).glob("*")
    }
    by_hand = [
        re.escape(name)
        for name, path in files.items()
        if re.fullmatch(fetchable, name) and path.is_file() and put_by_hand(path)
    ]
    return f"(?!(?:{one_of(by_hand)})$)(?:{fetchable})"


@functools.cache
def branch_source(file):
    """Return the source of the branch that a raw file belongs to."""
    return source_of_branch(config, branch_of(REGISTRY, file))


def raw_path(file):
    """Return where a raw file stands, given its path below the folder of raw files."""
    return f"{paths.RAW_FOLDER[branch_source(file)]}/{file}"


def receipt_of(file):
    """Return the receipt of a raw file."""
    return paths.RAW_RECEIPT.format(file=file)


def raw_and_receipt(file):
    """Return where a raw file and its receipt stand."""
    return Path(raw_path(file)), Path(receipt_of(file))


def with_manifest(product):
    """Return a pattern and that of its manifest."""
    return [product, paths.manifest(product)]


def magnetic_files():
    """Return the raw files of the magnetic branch."""
    return expand(paths.MAGNETIC_FILE, partition=PARTITIONS)


def magnetic_products():
    """Return every product of the magnetic branch, stage by stage.

    All of them are targets, not only the last: Snakemake does not make a missing intermediate
    file again while what was made from it exists.
    """
    products = [receipt_of(file) for file in magnetic_files()]
    for pattern in (paths.CATALOGUE, paths.QUARANTINE, paths.ACCEPTED):
        products += expand(pattern, partition=PARTITIONS)
    products += expand(with_manifest(paths.VALUES), partition=PARTITIONS)
    for pattern in (*with_manifest(paths.IDS), *with_manifest(paths.CLEAN), paths.CONSERVATION):
        products += expand(pattern, collection=COLLECTIONS)
    for pattern in (paths.REGIONS, paths.PLAN, paths.AUGMENTED):
        products += with_manifest(pattern)
    products += [paths.REGIONS_ACCEPTED, paths.LEAKS, *with_manifest(paths.DIAGNOSTICS)]
    products += expand(with_manifest(paths.FEATURES), split=SPLITS)
    return products


def feature_inputs(wildcards):
    """Return the records of a split: where their values, ids and plan stand."""
    held_out = wildcards.split == "holdout_test"
    collection = "test" if held_out else "train"
    if wildcards.split == "train" or (config["split"]["augment"] == "all" and not held_out):
        store = paths.AUGMENTED
    else:
        store = paths.CLEAN.format(collection=collection)
    ids = paths.IDS.format(collection=collection)
    inputs = {
        "store": store,
        "store_manifest": paths.manifest(store),
        "ids": ids,
        "ids_manifest": paths.manifest(ids),
        "leaks": paths.LEAKS,
        "conservation": paths.CONSERVATION.format(collection=collection),
    }
    if not held_out:
        inputs |= {"plan": paths.PLAN, "plan_manifest": paths.manifest(paths.PLAN)}
    return inputs


def feature_settings(wildcards):
    """Return the settings that a split's features read; holdout_test knows no augmentation."""
    keys = ["features"] if wildcards.split == "holdout_test" else ["features", "split.augment"]
    return settings(*keys)


def stealth_files():
    """Return the raw file of the auxiliary table."""
    return [paths.STEALTH_FILE]


def stealth_products():
    """Return every product of the auxiliary table."""
    return [
        receipt_of(paths.STEALTH_FILE),
        paths.STEALTH_QUARANTINE,
        *with_manifest(paths.STEALTH_ROWS),
        *with_manifest(paths.STEALTH_TABLE),
    ]


SDO_FOLDER = paths.SDO_FOLDER[source_of_branch(config, "sdo")]


def sdo_comes_from_zip():
    """Return whether the SDOBenchmark tree is made from its zip, and not one put there by hand.

    A tree without a manifest is the user's own. One whose zip was deleted afterwards stays as it
    is.
    """
    if source_of_branch(config, "sdo") == "sample" or not Path(SDO_FOLDER).is_dir():
        return True
    zip_gone = (
        source_of_branch(config, "sdo") == "local" and not Path(raw_path(paths.SDO_FILE)).exists()
    )
    return Path(paths.manifest(SDO_FOLDER)).exists() and not zip_gone


SDO_FROM_ZIP = sdo_comes_from_zip()


def sdo_files():
    """Return the raw files of the SDOBenchmark branch: none when the user put a tree there."""
    return [paths.SDO_FILE] if SDO_FROM_ZIP else []


def sdo_products():
    """Return every product of the SDOBenchmark branch, stage by stage."""
    products = [receipt_of(file) for file in sdo_files()]
    products += with_manifest(SDO_FOLDER) if SDO_FROM_ZIP else []
    products += [paths.SDO_RECEIPT, *with_manifest(paths.SDO_SAMPLES), paths.SDO_IMAGES]
    products += [paths.SDO_PROBLEMS, paths.SDO_ACCEPTED, *with_manifest(paths.SDO_PLAN)]
    products += expand(with_manifest(paths.SDO_INDEX), sdo_set=["train", "test"])
    if config["sdo"]["tensors"]:
        products += expand(with_manifest(paths.SDO_TENSORS), sdo_set=["train", "test"])
    return products + with_manifest(paths.SDO_REPORT)


def unpacked_nights():
    """Return the folders that the user unpacked nights to, below that of raw files."""
    root = Path(paths.RAW_FOLDER[source_of_branch(config, "ztf")])
    beside = (root / paths.ZTF_NIGHT_FOLDER).parent.glob("*")
    return {str(path.relative_to(root)) for path in beside if path.is_dir()}


UNPACKED_NIGHTS = unpacked_nights()


def night_file(night):
    """Return the raw file of a night: its tarball, or the folder that the user unpacked it to."""
    folder = paths.ZTF_NIGHT_FOLDER.format(night=night)
    return folder if folder in UNPACKED_NIGHTS else paths.ZTF_NIGHT_FILE.format(night=night)


def choose_nights():
    """Return the nights that are read, and the days of ranges that are left out.

    With `source: local` a range means those of its days whose files are there, or were when they
    were read. Nights that are named one by one have to be there, see `require_local_files`.
    """
    try:
        asked = read_nights(config["ztf"]["nights"])
    except SkymillError as error:
        raise WorkflowError(f"config: {error}") from None
    absent = set()
    if source_of_branch(config, "ztf") == "local":
        absent = {
            night for night in asked.ranged if missing_local([raw_and_receipt(night_file(night))])
        }
    return sorted({*asked.named, *asked.ranged} - absent), sorted(absent)


def report_absent_nights():
    """Say which days of a range have no file; refuse to go on when there are no nights at all."""
    if "ztf" not in config["branches"] or not ABSENT_NIGHTS:
        return
    folder = (Path(paths.RAW_FOLDER["local"]) / paths.ZTF_NIGHT_FILE).parent
    if not NIGHTS:
        raise WorkflowError(
            f"source: local, but none of the nights {spans(ABSENT_NIGHTS)} of ztf.nights is in "
            f"{folder}. Put their tarballs there, named as in the archive "
            f"(ztf_public_{ABSENT_NIGHTS[0]}.tar.gz)."
        )
    if workflow.exec_mode == ExecMode.DEFAULT:
        logger.warning(
            f"Days of ztf.nights left out, as {folder} has no file of them: {spans(ABSENT_NIGHTS)}."
        )


NIGHTS, ABSENT_NIGHTS = choose_nights()
report_absent_nights()
ZTF_LABELS = sorted({*config["labels"]["map"].values(), config["labels"]["other"]})


def ztf_labels_file():
    """Return the raw file of the labels: the tarball as published, or the one file out of it.

    Only simulation makes the tarball; a download keeps what is needed of it.
    """
    source = source_of_branch(config, "ztf")
    tarball = Path(paths.RAW_FOLDER[source]) / paths.ZTF_LABELS_ARCHIVE
    if source == "sample" or tarball.exists():
        return paths.ZTF_LABELS_ARCHIVE
    return paths.ZTF_LABELS_FILES[config["labels"]["source"]]


def labels_for_extraction(wildcards):
    """Return the labels, if only labelled alerts are wanted of a night."""
    if config["ztf"]["extract"] == "all":
        return {}
    return {"labels": paths.ZTF_LABELS, "labels_manifest": paths.manifest(paths.ZTF_LABELS)}


def ztf_files():
    """Return the raw files of the ZTF branch."""
    return [ztf_labels_file(), *map(night_file, NIGHTS)]


def ztf_products():
    """Return every product of the ZTF branch, stage by stage."""
    products = [receipt_of(file) for file in ztf_files()]
    products += [*with_manifest(paths.ZTF_LABELS), paths.ZTF_LABEL_PROBLEMS]
    for pattern in (*with_manifest(paths.ZTF_NIGHT), paths.ZTF_QUARANTINE, paths.ZTF_ACCEPTED):
        products += expand(pattern, night=NIGHTS)
    products += [*with_manifest(paths.ZTF_PLAN), *with_manifest(paths.ZTF_STAMPS)]
    products += [paths.ZTF_STAMPS_ARRAY, paths.ZTF_STAMPS_LABELS]
    for pattern in (paths.ZTF_TABLE, paths.ZTF_SHEET):
        products += expand(with_manifest(pattern), label=ZTF_LABELS)
    if config["ztf"]["alert_files"]:
        products += with_manifest(paths.ZTF_ALERTS)
    return products + with_manifest(paths.ZTF_REPORT)


BRANCHES = {
    "magnetic": (magnetic_files, magnetic_products),
    "sdo": (sdo_files, sdo_products),
    "stealth": (stealth_files, stealth_products),
    "ztf": (ztf_files, ztf_products),
}
"""Raw files and products of each branch."""


def products_of(branches):
    """Return the products of some branches."""
    return [product for branch in branches for product in BRANCHES[branch][1]()]


def all_products():
    """Return the products of the branches that the configuration switches on."""
    return products_of(config["branches"])


def raw_files(branch):
    """Return the raw files of a branch, each with its receipt."""
    return [raw_and_receipt(file) for file in BRANCHES[branch][0]()]


def require_local_files():
    """Refuse to go on without the raw files that the user has to put in place.

    Snakemake alone would take what was made from other files under these names for current.
    """
    missing = [
        f"{path} ({branch} branch)"
        for branch in config["branches"]
        if source_of_branch(config, branch) == "local"
        for path in missing_local(raw_files(branch))
    ]
    if missing:
        raise WorkflowError(
            f"source: local, but {', '.join(missing)} is not there. Put the file there (see the "
            "section on real data in README.md, also for ztf.nights, which names the nights that "
            "are read), use source: sample, or leave the branch out of `branches`."
        )


require_local_files()


def limit_downloads():
    """Limit how many downloads run at once, unless the command line does."""
    if "downloads" not in workflow.global_resources:
        workflow.register_resource("downloads", config["retrieve"]["downloads"])


limit_downloads()


def remember_what_never_changes():
    """Have Snakemake work out once, and not for each job, what is the same for all jobs of a rule.

    What an address consists of, and which parameters a function takes: the answers depend on
    nothing else, but take a quarter of the time in which 10,000 jobs are planned. A Snakemake
    without these functions is as fast as it is.
    """
    for module, name in (
        (snakemake.sourcecache, "parse_uri"),
        (snakemake.common, "get_function_params"),
        (snakemake.rules, "get_function_params"),
    ):
        function = getattr(module, name, None)
        if function and not hasattr(function, "cache_info"):
            setattr(module, name, functools.cache(function))


remember_what_never_changes()


def release_dead_lock():
    """Take away the lock of a run that was killed, so that the next one just works."""
    if workflow.exec_mode != ExecMode.DEFAULT:
        return
    try:
        if leftovers.release_dead_lock(Path.cwd()):
            logger.warning("An earlier run was killed; its lock is taken away, and it goes on.")
    except SkymillError as error:
        raise WorkflowError(str(error)) from None


release_dead_lock()


def number_repairs():
    """Return the repair numbers of products, after giving new ones where something is missing.

    Only a run that a user started looks; its jobs take the numbers as they find them, and so does
    a dry run beside it, for what is missing then is about to be made. Branches that are switched
    off are looked at as well: a target may be one of their products.
    """
    if workflow.exec_mode != ExecMode.DEFAULT or leftovers.is_locked(Path.cwd()):
        return lineage.read_numbers(REPAIRS_STATE)
    described = [path for path in products_of(BRANCHES) if path.endswith(".json")]
    products = [path.removesuffix(".manifest.json") for path in described]
    found = lineage.orphans(products, Path.cwd())
    for branch in BRANCHES:
        for raw, receipt in raw_files(branch):
            if why := outdated(raw, receipt):
                found[str(receipt)] = why
    return repair_numbers(found)


def repair_numbers(found):
    """Return the repair numbers of products, after new ones for these: {product: why}.

    Nobody is told of products that only a target of a branch that is switched off would need.
    """
    told = all_products() if found else []
    switched_on = {path.removesuffix(".manifest.json") for path in told}
    for product, why in found.items():
        if product in switched_on:
            logger.warning(f"{product} is out of date: {why}.")
    return lineage.renumber(REPAIRS_STATE, found)


REPAIRS_STATE = Path(".snakemake/skymill_repairs.json")
REPAIRS = number_repairs()


def is_adopted():
    """Return whether there are products that Snakemake's records here do not belong to."""
    return (
        workflow.exec_mode == ExecMode.DEFAULT
        and not leftovers.is_locked(Path.cwd())
        and Path("data").exists()
        and not home.is_home(Path.cwd())
    )


ADOPTED = is_adopted()


def repair(product):
    """Return the repair number of a product, or a function that gives it, see skymill.lineage.

    Functions are called for each job: where no product of the kind was repaired, 0 does.
    """
    kind = product.partition("{")[0]
    if not ADOPTED and not any(name.startswith(kind) for name in REPAIRS):
        return 0
    return lambda wildcards: REPAIRS.get(product.format(**wildcards), 0)


def doubt_adopted_products():
    """Have products made again that were made elsewhere, and not as they would be made here.

    For the end of the Snakefile. Where Snakemake has a record of a product, the repair number makes
    it stale; where it has none, it goes by times, so the manifest gets a very old one.
    """
    if not ADOPTED:
        return
    found = {}
    for path in filter(is_described, products_of(BRANCHES)):
        if Path(path).exists() and (why := made_otherwise(path)):
            lineage.age(Path(path))
            found[path.removesuffix(".manifest.json")] = why
    REPAIRS.update(repair_numbers(found))


def made_otherwise(path):
    """Return in what a product differs from what its rule would make now, given its manifest."""
    maker, wildcards = producer(path)
    settings = maker.params.get("config", {})
    if callable(settings):
        settings = settings(Wildcards(fromdict=wildcards))
    fixed = not wildcards and not any(map(is_callable, maker.input))
    return lineage.made_otherwise(
        read_json(path),
        code=maker.params.get("code"),
        settings=settings,
        inputs=filter(is_described, map(str, maker.input)) if fixed else None,
    )


def producer(path):
    """Return the rule that makes a file, and the values of its wildcards."""
    return next(
        (maker, match.groupdict())
        for maker in workflow.rules
        for output in maker.output
        if (match := output.match(path))
    )


def is_described(path):
    """Return whether a path is that of a manifest or receipt."""
    return path.endswith((".manifest.json", ".receipt.json"))


STARTED = time.time()


def announce_result():
    """Say in a run's last lines where the results are, and whether they are simulated."""
    if workflow.exec_mode != ExecMode.DEFAULT:
        return
    switched_on = {*all_products()}
    made = [
        path
        for path in products_of(BRANCHES)
        if path.endswith(".manifest.json") and Path(path).exists()
        # A target may be of a branch that is switched off.
        if path in switched_on or Path(path).stat().st_mtime >= STARTED
    ]
    simulated = sorted(path for path in made if read_json(path).get("source") == "sample")
    logger.info("`python -m skymill.summary` lists what was made and where.")
    cross_match = paths.manifest(paths.ZTF_STAMPS)
    if cross_match in made and not any(file["rows"] for file in read_json(cross_match)["files"]):
        logger.warning(
            "NO STAMPS: no object of these nights is in the list of labels, so the ZTF products "
            "are empty. Take other nights (ztf.nights) or another list (labels, see README.md)."
        )
    if simulated:
        logger.info(
            "SIMULATED DATA: these results come from `source: sample`, not from the sky. Set "
            "`source: local` or `source: archive` in config/config.yaml for real data."
        )
