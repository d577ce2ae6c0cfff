# Definitions that all rules share: the package, the configuration, raw files and names. This file
# writes no files.
import errno
import functools
import json
import os
from collections import Counter

from snakemake.settings.enums import Quietness
from snakemake.shell import shell as snakemake_shell
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake.utils import available_cpu_count

import skymill.engine.names
import skymill.paths
from skymill import estimate, limits
from skymill.command import cite
from skymill.console import Console
from skymill.engine import digests, parallel
from skymill.engine.durable import delete_partial
from skymill.engine.environment import shadowed_packages, unsafe_python
from skymill.engine.interrupt import IGNORED, Interrupt, asks_for_states
from skymill.engine.listing import changed_folder, list_files
from skymill.engine.products import MANIFEST, RECEIPT
from skymill.engine.run_lock import LOCAL, NotWritable, RunLock, require_folder
from skymill.engine.scratch import take_scratch
from skymill.engine.staleness import Reason
from skymill.engine.words import SHOWN, counted, listed
from skymill.engine.yaml_files import require_schema
from skymill.magnetic.inputs import CUP, SWAN, input_of
from skymill.magnetic.schema import SPLITS, TRAIN_SPLITS
from skymill.made import REPORT
from skymill.paths import manifest
from skymill.raw.choice import RawFiles, deleted_raw
from skymill.raw.fetch import is_cached
from skymill.raw.files import changed_since, damaged_sidecar
from skymill.raw.registry import NIGHT, about_downloads, find_source, load_registry
from skymill.resources import gigabytes, memory, minutes
from skymill.settings import (
    check_settings,
    collection_of_branch,
    data_set_keys,
    in_force,
    magnetic_keys,
    of_input,
    plan_keys,
)
from skymill.swan_sf.schema import PARTITIONS as SWAN_PARTITIONS
from skymill.watch import Watch
from skymill.ztf.nights import days_since_first_public

# Rules and jobs see only the settings in force, without entries that a later file has removed.
config.update(in_force(config))
INTERRUPT = Interrupt()
if IS_MAIN:
    shadowed = shadowed_packages(os.environ.get("PYTHONPATH", ""), sys.prefix, sys.base_prefix)
    for problem in filter(None, (unsafe_python(sys.executable), shadowed)):
        stop(problem)
    INTERRUPT.listen()
    logger.addFilter(INTERRUPT)
    snakemake_shell.prefix(IGNORED)
try:
    REGISTRY = load_registry()
    if IS_MAIN:
        # `skip_validation: True` of a workflow that loads this one as a module.
        if not workflow.modifier.skip_validation:
            schema = workflow.source_path("../schemas/config.schema.yaml")
            require_schema(config, Path(schema), "config")
            schema = workflow.source_path("../schemas/sources.schema.yaml")
            require_schema({"collections": REGISTRY}, Path(schema), "sources.yaml")
        for problem in check_settings(config):
            stop(f"config: {problem}")
    config.update(of_input(config))
    RAW = RawFiles(config, REGISTRY)
    if IS_MAIN:
        RAW.require()
    NIGHTS = RAW.nights
except SkymillError as error:
    stop(str(error))

RESULTS = config["results"]
# The prefix of all files at a storage provider, such as s3://bucket/project.
STORAGE = workflow.storage_settings and workflow.storage_settings.default_storage_prefix
LOGS = skymill.paths.logs(RESULTS)
paths = skymill.paths.below(RESULTS)
BRANCHES = tuple(skymill.paths.BRANCH_FOLDERS)
# The input of the magnetic branch: the files of 2020, or SWAN-SF.
INPUT = input_of(config)
# Users may have only some of the training files, and often no test file: see RAW.partitions.
COLLECTIONS = {
    collection: [name for name in names if name in RAW.partitions]
    for collection, names in {"train": INPUT.train, "test": [INPUT.test]}.items()
    if {*names} & {*RAW.partitions}
}
# The product whose manifest has the counts of a file, and the partitions of SWAN-SF whose windows are
# records.
INGESTED = paths.VALUES if INPUT is CUP else paths.CATALOGUE
SWAN_READ = RAW.partitions if INPUT is SWAN else ()
MAGNETIC_SPLITS = SPLITS if "test" in COLLECTIONS else TRAIN_SPLITS
SDO_SETS = ("train", "test")
# The data sets that users load, by the names of their folders.
DATA_SETS = {Path(folder).name: name for name, folder in skymill.paths.DATA_SETS.items()}
ALIGNED_SPLITS = ("train", "validation", "test")
ZTF_LABELS = sorted({*config["labels"]["map"].values(), config["labels"]["other"]})

# Only one run at a time may write to these folders: see begin.
WRITTEN = [RESULTS, *([skymill.paths.SHARED_RAW] if RAW.are_written() else [])]
LOCK = RunLock(WRITTEN, Path.cwd())

# Threads of a job with several worker processes. Snakemake lowers them to the number of cores.
PARALLEL = {branch: 1 if RAW.is_small(branch) else 8 for branch in BRANCHES}

parallel.use_cluster(config["dask"]["scheduler_address"])
if workflow.resource_settings.cores is None and workflow.resource_settings.nodes is None:
    # The command and the profile do not set cores or jobs, so use all cores of this machine.
    workflow.resource_settings.cores = available_cpu_count()
    workflow.global_resources["_cores"] = available_cpu_count()
if "downloads" not in workflow.global_resources:
    workflow.register_resource("downloads", config["retrieve"]["downloads"])


def raw_name(path, results):
    """Return the name of a raw file as the job that reads it writes the name."""
    # A storage provider, or a module with a prefix, changes paths of inputs and outputs alike.
    base = skymill.engine.names.Names.around(rules.read_labels.output.manifest, results).base
    return skymill.engine.names.raw_name(path, results, base)


wildcard_constraints:
    partition="|".join(RAW.partitions),
    collection="|".join(COLLECTIONS),
    split="|".join(MAGNETIC_SPLITS),
    swan_partition="|".join(SWAN_PARTITIONS),
    sdo_set="train|test",
    data_set="|".join(DATA_SETS),
    night=NIGHT,
