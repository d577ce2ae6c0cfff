# Inputs and settings of rules that depend on wildcards, or on features that are switched on.
def of_collection(pattern):
    """Return an input function for the products of all raw files of a collection."""
    return lambda wildcards: expand(pattern, partition=COLLECTIONS[wildcards.collection])


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


def records_to_locate():
    """Return the collections of magnetic records that the aligned branch locates, if any.

    Windows of SWAN-SF are not located: they have a time and a HARP.
    """
    if "magnetic" not in config["branches"] or INPUT is SWAN:
        return []
    wanted = ["train", *(["test"] if config["aligned"]["locate_test_file"] else [])]
    return [collection for collection in wanted if collection in COLLECTIONS]


PARTITIONS_TO_LOCATE = [name for one in records_to_locate() for name in COLLECTIONS[one]]


def location_inputs(wildcards):
    """Return the inputs that locate records: keys, and also values for `aligned.nearest_tier`."""
    inputs = {
        "ids": expand(paths.IDS, collection=records_to_locate()),
        "record_keys": expand(paths.RECORD_KEYS, partition=PARTITIONS_TO_LOCATE),
        "step_keys": expand(paths.SWAN_KEYS, swan_partition=RAW.swan_partitions),
    }
    if config["aligned"]["nearest_tier"]:
        inputs["values"] = expand(paths.VALUES, partition=PARTITIONS_TO_LOCATE)
        inputs["steps"] = expand(paths.SWAN_STEPS, swan_partition=RAW.swan_partitions)
    return made(**inputs)


def located_records(wildcards):
    """Return the times of the magnetic records, if there are records to locate."""
    return made(record_times=paths.RECORD_TIMES) if PARTITIONS_TO_LOCATE else {}


def sdo_tensors(wildcards):
    """Return the tensors of SDOBenchmark, if they are written."""
    tensors = config["sdo"]["tensors"]
    return made(tensors=expand(paths.SDO_TENSORS, sdo_set=SDO_SETS)) if tensors else {}


def training_tensors(wildcards):
    """Return the tensors of SDOBenchmark's official training set, if they are written."""
    tensors = paths.SDO_TENSORS.format(sdo_set="train")
    return made(tensors=tensors) if config["sdo"]["tensors"] else {}


def raw_documents(files):
    """Return the documents of the jobs that have hashed raw files."""
    return [f"{RESULTS}/{RAW.record(file)}" for file in files]


def card_inputs(wildcards):
    """Return the documents that the card of a data set is written from."""
    return CARD_DOCUMENTS[DATA_SETS[wildcards.data_set]]()


def magnetic_documents():
    """Return the documents of the magnetic data set."""
    return {
        "products": manifest(
            [
                *expand(paths.FEATURES, split=MAGNETIC_SPLITS),
                *(paths.RECORDS, paths.MAGNETIC_STATISTICS, paths.PLAN),
            ]
        ),
        "receipts": [paths.LEAKS],
        "raw": raw_documents(RAW.files("magnetic")),
    }


def sdo_documents():
    """Return the documents of SDOBenchmark."""
    tensors = expand(paths.SDO_TENSORS, sdo_set=SDO_SETS if config["sdo"]["tensors"] else [])
    return {
        "products": manifest(
            [
                *expand(paths.SDO_INDEX, sdo_set=SDO_SETS),
                *(*tensors, paths.SDO_STATISTICS, paths.SDO_PLAN),
            ]
        ),
        "receipts": [paths.SDO_RECEIPT, paths.SDO_ACCEPTED],
        "raw": raw_documents(RAW.files("sdo")),
    }


def branches_of(name):
    """Return the branches whose raw files a data set is made from."""
    if name != "aligned":
        return [name]
    return ["aligned", "sdo", *(["magnetic"] if PARTITIONS_TO_LOCATE else [])]


def aligned_documents():
    """Return the documents of the aligned data set, with the magnetic files that were located."""
    files = [
        *(*RAW.files("aligned"), *RAW.files("sdo")),
        *map(RAW.magnetic, PARTITIONS_TO_LOCATE),
    ]
    return {
        "products": manifest(
            [
                *expand(paths.ALIGNED_DATA, aligned_split=ALIGNED_SPLITS),
                *(paths.ALIGNED_STATISTICS, paths.PAIRS),
            ]
        ),
        "receipts": [paths.PAIRS_ACCEPTED, paths.SDO_RECEIPT],
        "raw": raw_documents(files),
    }


def ztf_documents():
    """Return the documents of the cross-match. `raw` has the manifests of nights and labels."""
    return {
        "products": manifest([paths.ZTF_STAMPS, paths.ZTF_STATISTICS, paths.ZTF_PLAN]),
        "raw": manifest([paths.ZTF_LABELS, *expand(paths.ZTF_NIGHT, night=NIGHTS)]),
    }


CARD_DOCUMENTS = {
    "magnetic": magnetic_documents,
    "sdo": sdo_documents,
    "aligned": aligned_documents,
    "ztf": ztf_documents,
}


def card_settings(wildcards):
    """Return the other inputs of a card: the settings in force and the archives."""
    name = DATA_SETS[wildcards.data_set]
    collections = [collection_of_branch(config, branch) for branch in branches_of(name)]
    keys = ("title", "page", "licence", "citation")
    return {
        "settings": settings(*data_set_keys(config, name)),
        "archives": {
            collection: {key: REGISTRY[collection][key] for key in keys}
            for collection in collections
        },
    }


def baseline_inputs(wildcards):
    """Return the inputs of the baseline: records and stamps of the branches that are switched on."""
    inputs = {}
    if "magnetic" in config["branches"]:
        inputs |= {
            "records": paths.RECORD_STATISTICS,
            "ids": paths.IDS.format(collection="train"),
            "regions": paths.REGIONS,
        }
    if "ztf" in config["branches"]:
        inputs["stamps"] = paths.STAMP_STATISTICS
    return made(**inputs)


def figure_labels(wildcards):
    """Return the label of a part in Snakemake's report: its number and its name in words."""
    number, _, name = wildcards.figure.partition("_")
    return {"figure": f"{number} {name.replace('_', ' ')}"}


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
    keys = ("title", "page", "licence", "citation")
    collections = [collection_of_branch(config, branch) for branch in config["branches"]]
    return {
        "limits": settings("limits")["limits"],
        "split_unit": config["split"]["unit"],
        "bibtex": cite.entries(config["branches"]),
        "archives": {
            collection: {key: REGISTRY[collection][key] for key in keys}
            for collection in dict.fromkeys(collections)
        },
    }


def labels_for_extraction(wildcards):
    """Return the labels, if only labelled alerts are extracted."""
    if config["ztf"]["extract"] == "all":
        return {}
    return {**made(labels=paths.ZTF_LABELS), "checks": [paths.ZTF_LABELS_ACCEPTED]}


def simulated(file):
    """Return the outputs of a simulation: a raw file, and the sidecar that names its source."""
    folder = skymill.paths.raw_folder("sample", RESULTS)
    return {"raw": f"{folder}/{file}", "sidecar": f"{folder}/{file}.source.json"}


def simulation(script, *keys):
    """Return the parameters of a simulation, which writes no manifest; see stage."""
    given = stage(script, *keys)

    def check(wildcards, output):
        if is_judged(output) and (damage := damaged_sidecar(Path(output.raw))):
            make_again(output, damage, output[0])
        return ""

    return {**given, "check": check}
