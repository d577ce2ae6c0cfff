# What all rules share: the package, the configuration, raw files, names. Nothing is written here.
import functools
import json
import re

from snakemake.exceptions import WorkflowError
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake.utils import available_cpu_count, validate

try:
    import skymill.paths
    from skymill import limits
    from skymill.engine import digests, parallel
    from skymill.engine.durable import delete_partial
    from skymill.engine.errors import SkymillError
    from skymill.engine.names import raw_name
    from skymill.engine.run_lock import RunLock
    from skymill.magnetic.schema import (
        SPLITS,
        TEST_PARTITION,
        TRAIN_PARTITIONS,
        TRAIN_SPLITS,
    )
    from skymill.paths import manifest
    from skymill.raw.choice import RawFiles
    from skymill.raw.fetch import is_cached
    from skymill.raw.files import changed_since, damaged_sidecar
    from skymill.raw.registry import NIGHT, about_downloads, find_source, load_registry
    from skymill.resources import memory, minutes
    from skymill.settings import check_settings, in_force, magnetic_keys, plan_keys
    from skymill.swan_sf.schema import PARTITIONS as SWAN_PARTITIONS
    from skymill.watch import Watch
    from skymill.ztf.nights import days_since_first_public
except ModuleNotFoundError as error:
    without_package(error)


def check_schema(document, schema):
    """Refuse a document that does not fit its schema: say what is wrong, and where."""
    try:
        validate(document, f"../schemas/{schema}.schema.yaml")
    except WorkflowError as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        where = [line.strip() for line in said if line.startswith("On instance[")]
        stop("\n".join([*said[:2], *where]))


# Rules and jobs see the configuration that counts: no entry that a later file has left out.
config.update(in_force(config))
try:
    REGISTRY = load_registry()
    if IS_MAIN:
        check_schema(config, "config")
        check_schema({"collections": REGISTRY}, "sources")
        for problem in check_settings(config):
            stop(f"config: {problem}")
    RAW = RawFiles(config, REGISTRY)
    if IS_MAIN:
        RAW.require()
    NIGHTS = RAW.nights
except SkymillError as error:
    stop(str(error))

RESULTS = config["results"]
# Where a storage provider keeps all files, such as s3://bucket/project.
STORAGE = workflow.storage_settings and workflow.storage_settings.default_storage_prefix
LOGS = skymill.paths.logs(RESULTS)
paths = skymill.paths.below(RESULTS)
BRANCHES = tuple(skymill.paths.BRANCH_FOLDERS)
# Users have some of the training files, and often not the test file: see RAW.partitions.
COLLECTIONS = {
    collection: [name for name in names if name in RAW.partitions]
    for collection, names in {"train": TRAIN_PARTITIONS, "test": [TEST_PARTITION]}.items()
    if {*names} & {*RAW.partitions}
}
MAGNETIC_SPLITS = SPLITS if "test" in COLLECTIONS else TRAIN_SPLITS
SDO_SETS = ("train", "test")
ALIGNED_SPLITS = ("train", "validation", "test")
ZTF_LABELS = sorted({*config["labels"]["map"].values(), config["labels"]["other"]})

# A run works alone in the folders that it writes to: see begin.
WRITTEN = [RESULTS, *([skymill.paths.SHARED_RAW] if RAW.are_written() else [])]
LOCK = RunLock(WRITTEN, Path.cwd())

# Threads of a job that spreads its work over processes; Snakemake lowers them to the cores given.
PARALLEL = {branch: 1 if RAW.is_small(branch) else 8 for branch in BRANCHES}

parallel.use_cluster(config["dask"]["scheduler_address"])
if workflow.resource_settings.cores is None and workflow.resource_settings.nodes is None:
    # The user's command and profile say nothing of cores or jobs: all cores of this machine.
    workflow.resource_settings.cores = available_cpu_count()
    workflow.global_resources["_cores"] = available_cpu_count()
if "downloads" not in workflow.global_resources:
    workflow.register_resource("downloads", config["retrieve"]["downloads"])


wildcard_constraints:
    partition="|".join(RAW.partitions),
    collection="|".join(COLLECTIONS),
    split="|".join(MAGNETIC_SPLITS),
    swan_partition="|".join(SWAN_PARTITIONS),
    aligned_split="|".join(ALIGNED_SPLITS),
    sdo_set="train|test",
    night=NIGHT,
    # No label but those of the configuration: a mistyped one is no product.
    label="|".join(map(re.escape, ZTF_LABELS)),
