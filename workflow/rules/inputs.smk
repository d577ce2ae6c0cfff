# Inputs, outputs and settings of rules that depend on wildcards, or on what is switched on.
def of_collection(pattern):
    """Return an input function for the products of all raw files of a collection."""
    return lambda wildcards: expand(pattern, partition=COLLECTIONS[wildcards.collection])


def raw_file(wildcards):
    """Return the path of a raw file by its name."""
    return RAW.path(wildcards.file)


def magnetic_file(wildcards):
    """Return the path of a magnetic file of 2020."""
    return RAW.path(RAW.magnetic(wildcards.partition))


def swan_file(wildcards):
    """Return the path of a partition of SWAN-SF."""
    return RAW.path(RAW.swan(wildcards.swan_partition))


def sdo_zip(wildcards):
    """Return the path of the zip of SDOBenchmark."""
    return RAW.path(skymill.paths.SDO_FILE)


def stealth_file(wildcards):
    """Return the path of the auxiliary table."""
    return RAW.path(RAW.stealth)


def label_list(wildcards):
    """Return the path of the list of labels."""
    return RAW.labels_path


def night_file(wildcards):
    """Return the path of a night: a tarball or a folder."""
    return RAW.path(RAW.night(wildcards.night))


def window_inputs(wildcards):
    """Return the products of SWAN-SF's catalogue for a partition."""
    steps, windows, check = (
        pattern.format(swan_partition=wildcards.partition)
        for pattern in (paths.SWAN_STEPS, paths.SWAN_WINDOWS, paths.SWAN_ACCEPTED)
    )
    return {**made(steps=steps), "windows": ancient(windows), "checks": [check]}


def clean_inputs(wildcards):
    """Return the inputs of the clean records: ids and values."""
    ids = paths.IDS.format(**wildcards)
    names = COLLECTIONS[wildcards.collection]
    if INPUT is CUP:
        return made(ids=ids, values=expand(paths.VALUES, partition=names))
    return {
        **made(ids=ids, steps=expand(paths.SWAN_STEPS, swan_partition=names)),
        "catalogues": ancient(expand(paths.CATALOGUE, partition=names)),
        "ingested": expand(manifest(INGESTED), partition=names),
    }


def region_inputs(wildcards):
    """Return the inputs of the regions: ids and the fingerprints of steps."""
    ids = paths.IDS.format(collection="train")
    names = COLLECTIONS["train"]
    if INPUT is CUP:
        return made(ids=ids, values=expand(paths.VALUES, partition=names))
    return {
        **made(ids=ids),
        "fingerprints": ancient(expand(paths.FINGERPRINTS, partition=names)),
        "ingested": expand(manifest(INGESTED), partition=names),
    }


def leak_inputs(wildcards):
    """Return the inputs of the leak check: plan, ids, and values if the files of 2020 are read."""
    values = {"values": expand(paths.VALUES, partition=RAW.partitions)} if INPUT is CUP else {}
    return made(plan=paths.PLAN, ids=expand(paths.IDS, collection=COLLECTIONS), **values)


def feature_inputs(wildcards):
    """Return the inputs of an engineered split: values, ids and plan."""
    held_out = wildcards.split == "holdout_test"
    collection = "test" if held_out else "train"
    if wildcards.split == "train" or (config["split"]["augment"] == "all" and not held_out):
        store = paths.AUGMENTED
    else:
        store = paths.CLEAN.format(collection=collection)
    plan = {} if held_out else {"plan": paths.PLAN}
    return {
        **made(store=store, ids=paths.IDS.format(collection=collection), **plan),
        "checks": [paths.LEAKS, paths.CONSERVATION.format(collection=collection)],
    }


def feature_settings(wildcards):
    """Return the settings of a split's features; holdout_test is never augmented."""
    keys = ["features"] if wildcards.split == "holdout_test" else ["features", "split.augment"]
    return settings(*keys)


# The collections of magnetic records that the aligned branch locates. Windows of SWAN-SF are not
# located: they have a time and a HARP.
TO_LOCATE = []
if "magnetic" in config["branches"] and INPUT is CUP:
    TO_LOCATE = ["train", *(["test"] if config["aligned"]["locate_test_file"] else [])]
    TO_LOCATE = [collection for collection in TO_LOCATE if collection in COLLECTIONS]
PARTITIONS_TO_LOCATE = [name for one in TO_LOCATE for name in COLLECTIONS[one]]
RECORD_TIME_INPUTS = made(record_times=paths.RECORD_TIMES) if PARTITIONS_TO_LOCATE else {}
# The values of records and steps, which only `aligned.nearest_tier` compares.
VALUES_TO_LOCATE = (
    {
        "values": expand(paths.VALUES, partition=PARTITIONS_TO_LOCATE),
        "steps": expand(paths.SWAN_STEPS, swan_partition=RAW.swan_partitions),
    }
    if config["aligned"]["nearest_tier"]
    else {}
)
# The tensors of these sets of SDOBenchmark are written.
TENSOR_SETS = SDO_SETS if config["sdo"]["tensors"] else ()
TENSOR_INPUTS = made(tensors=expand(paths.SDO_TENSORS, sdo_set=TENSOR_SETS)) if TENSOR_SETS else {}
TRAINING_TENSOR_INPUTS = (
    made(tensors=paths.SDO_TENSORS.format(sdo_set="train")) if TENSOR_SETS else {}
)


def raw_documents(files):
    """Return the documents of the jobs that have hashed raw files."""
    return [f"{RESULTS}/{RAW.record(file)}" for file in files]


# The documents that the card of each data set is written from.
CARD_INPUTS = {
    "magnetic": {
        "products": manifest(
            [
                *expand(paths.FEATURES, split=MAGNETIC_SPLITS),
                *(paths.RECORDS, paths.MAGNETIC_STATISTICS, paths.PLAN),
            ]
        ),
        "receipts": [paths.LEAKS],
        "raw": raw_documents(RAW.files("magnetic")),
    },
    "sdo": {
        "products": manifest(
            [
                *expand(paths.SDO_INDEX, sdo_set=SDO_SETS),
                *expand(paths.SDO_TENSORS, sdo_set=TENSOR_SETS),
                *(paths.SDO_STATISTICS, paths.SDO_PLAN),
            ]
        ),
        "receipts": [paths.SDO_RECEIPT, paths.SDO_ACCEPTED],
        "raw": raw_documents(RAW.files("sdo")),
    },
    "aligned": {
        "products": manifest(
            [
                *expand(paths.ALIGNED_DATA, aligned_split=ALIGNED_SPLITS),
                *(paths.ALIGNED_STATISTICS, paths.PAIRS),
            ]
        ),
        "receipts": [paths.PAIRS_ACCEPTED, paths.SDO_RECEIPT],
        # With the magnetic files that were located.
        "raw": raw_documents(
            [
                *(*RAW.files("aligned"), *RAW.files("sdo")),
                *map(RAW.magnetic, PARTITIONS_TO_LOCATE),
            ]
        ),
    },
    "ztf": {
        "products": manifest([paths.ZTF_STAMPS, paths.ZTF_STATISTICS, paths.ZTF_PLAN]),
        "raw": manifest([paths.ZTF_LABELS, *expand(paths.ZTF_NIGHT, night=NIGHTS)]),
    },
}


def archives(branches):
    """Return what is quoted of the archives of some branches."""
    keys = ("title", "page", "licence", "citation")
    return {
        collection: {key: REGISTRY[collection][key] for key in keys}
        for collection in dict.fromkeys(collection_of_branch(config, name) for name in branches)
    }


def card_settings(wildcards):
    """Return the other inputs of a card: the settings in force and the archives."""
    name = DATA_SETS[wildcards.data_set]
    branches = [name]
    if name == "aligned":
        branches += ["sdo", *(["magnetic"] if PARTITIONS_TO_LOCATE else [])]
    return {
        "settings": settings(*data_set_keys(config, name)),
        "archives": archives(branches),
    }


# The records and stamps of the branches that are switched on.
BASELINE_INPUTS = {}
if "magnetic" in config["branches"]:
    BASELINE_INPUTS |= made(
        records=paths.RECORD_STATISTICS,
        ids=paths.IDS.format(collection="train"),
        regions=paths.REGIONS,
    )
if "ztf" in config["branches"]:
    BASELINE_INPUTS |= made(stamps=paths.STAMP_STATISTICS)


def section(branch, category):
    """Return the section of a branch in the report as an output, with a page for each part."""

    def labels(wildcards):
        number, _, name = wildcards.figure.partition("_")
        return {"figure": f"{number} {name.replace('_', ' ')}"}

    return report(
        directory(paths.SECTION.format(branch=branch)),
        patterns=["{figure}.html"],
        caption="../report/part.rst",
        category=category,
        labels=labels,
    )


def report_inputs(wildcards):
    """Return the inputs of the report: the sections and the documents of all jobs."""
    branches = config["branches"]
    made = [path for name in branches for path in every(getattr(rules, name).input)]
    return {
        "sections": ancient([paths.SECTION.format(branch=name) for name in branches]),
        "documents": sorted({path for path in made if path.endswith((MANIFEST, RECEIPT))}),
    }


def report_settings(wildcards):
    """Return the other contents of the report: limits, settings, citations and archives."""
    return {
        "limits": settings("limits")["limits"],
        "split_unit": config["split"]["unit"],
        "bibtex": cite.entries(config["branches"]),
        "archives": archives(config["branches"]),
    }


# The labels, if only labelled alerts are extracted.
EXTRACTION_LABELS = {}
if config["ztf"]["extract"] != "all":
    EXTRACTION_LABELS = {**made(labels=paths.ZTF_LABELS), "checks": [paths.ZTF_LABELS_ACCEPTED]}


def simulated(file):
    """Return the outputs of a simulation: a raw file, and the sidecar that names its source."""
    folder = skymill.paths.raw_folder("sample", RESULTS)
    return {"raw": f"{folder}/{file}", "sidecar": f"{folder}/{file}.source.json"}


def simulation(script, *keys):
    """Return the parameters of a simulation, which writes no manifest; see stage."""
    given = stage(script, *keys)

    def check(wildcards, output):
        if is_judged(output) and (damage := damaged_sidecar(Path(output.raw))):
            make_again(output, Reason(damage, damaged=True, product=output[0]))
        return ""

    return {**given, "check": check}
