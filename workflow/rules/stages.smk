# How a rule says what it is made of, and how a run finds out which products are not current.
def settings(*keys):
    """Return just these keys of the configuration: what a rule reads is what makes it stale.

    A dot leads into a section: `split.unit`. Keys are sorted, as Snakemake compares texts.
    """
    found = {}
    for key in sorted(keys):
        part = functools.reduce(lambda section, name: section[name], key.split("."), config)
        found[key] = json.loads(json.dumps(part, sort_keys=True))
    return found


def made(**products):
    """Return inputs that are products: each by its name, and its manifest as `<name>_manifest`.

    Snakemake fetches the products, but what they hold is judged by their manifests alone.
    """
    inputs = {}
    for name, product in products.items():
        inputs[name] = ancient(product)
        inputs[f"{name}_manifest"] = manifest(product)
    return inputs


def every(outputs, **wildcards):
    """Return the outputs of a rule for all values of its wildcards, as targets of another rule."""
    stored = [getattr(output, "is_storage", False) for output in outputs]
    patterns = [
        output.storage_object.query.removeprefix(f"{STORAGE}/") if is_stored else str(output)
        for output, is_stored in zip(outputs, stored)
    ]
    return expand(patterns, **wildcards) if wildcards else patterns


@functools.cache
def code_digest(script):
    """Return the digest of a script and of the modules of the package that it imports."""
    if IS_CHECKOUT:
        return digests.code_digest(SCRIPTS / script)
    # Loaded from a git address: Snakemake has a copy of the script, and the package is installed.
    own = Path(workflow.source_path(f"../scripts/{script}"))
    return digests.code_digest(own, Path(skymill.__file__).parents[1])


def stage(script, *keys, settings_of=None, also=None):
    """Return the parameters of a rule: its code, the settings that it reads, and its check.

    While Snakemake builds its graph it asks for the check of each job, before it decides what runs.
    What does not hold is added to the files that it was asked to force. `settings_of` gives the
    settings where they depend on wildcards; `also` looks at the document that the job wrote before,
    see staleness.why: (document, input, whether it is younger than a moment) -> why not, or None.
    """

    def code(wildcards):
        return code_digest(script)

    def chosen(wildcards):
        return settings_of(wildcards) if settings_of else settings(*keys)

    def check(wildcards, input, output):
        if is_judged(output):
            reason = WATCH.why(
                output,
                input,
                code=code_digest(script),
                settings=chosen(wildcards),
                also=also and (lambda document: also(document, input, WATCH.is_younger(output))),
            )
            if reason:
                make_again(output, reason.text if reason.damaged else None)
        return ""

    return {"code": code, "settings": chosen, "check": check}


DAMAGED = []
"""The damaged products that this run has found: the first are named, see say_more_damage."""


def make_again(output, damage):
    """Have Snakemake make the products of a job again; name what is damaged."""
    workflow.dag.forcefiles.update(output)
    if damage:
        DAMAGED.append(output[0])
        if len(DAMAGED) <= SHOWN:
            logger.warning(f"{output[0]} is out of date: {damage}.")


def limit(exceeded):
    """Return a check that compares what a receipt counts with the limits of the configuration."""
    return lambda document, input, is_younger: exceeded(document, config)


def same_raw(document, input, is_younger):
    """Return why a raw file is no longer the one that was read, else None."""
    return changed_since(document, Path(input.raw), raw_name(input.raw, RESULTS), is_younger)


files_in = functools.cache(list_files)


def same_tree(document, input, is_younger):
    """Return why a tree of SDOBenchmark that was put there by hand has changed, else None.

    `document` is the receipt of the tree, or of what read it since: a run that looked at a changed
    tree may have been killed before it read the images.
    """
    if "listing_sha256" not in document:
        document = WATCH.document(input.receipt)
    tree = Path(input.folder)
    if RAW.sdo_from_zip or not tree.is_dir():
        return None
    return changed_folder(tree, files_in(tree), document["listing_sha256"], is_younger)


def damaged_alone(wildcards, output):
    """Have a product made again when its manifest cannot be read, for no other reason."""
    if is_judged(output) and (damage := WATCH.damage(output.manifest)):
        make_again(output, damage)
    return ""


def is_judged(output):
    """Return whether the products of jobs are judged in this process.

    A job does not judge itself, nor anybody beside a run that is at work: what is missing is being
    made. Asked for the first time while the graph is built, see begin.
    """
    return IS_MAIN and begin(WATCH.folder(output[0]))


@functools.cache
def take_lock():
    """Work alone in the folders that the run writes to, and tidy up after a killed run."""
    INTERRUPT.is_local = workflow.local_exec
    try:
        # Jobs of a cluster have the place for temporary files of their own machine.
        scratch = take_scratch() if workflow.local_exec else None
        if LOCK.take(workflow.executor_plugin.name, scratch):
            logger.warning("An earlier run was killed: this run continues it.")
            for folder in WRITTEN:
                # What all results folders share may be another run's: see WRITTEN.
                delete_partial(folder, leave=skymill.paths.SHARED_RAW)
    except SkymillError as error:
        stop(str(error))


@functools.cache
def begin(folder):
    """Say once, while the graph is built, what a user should know; return whether to judge."""
    is_run = workflow.executor_plugin and not workflow.dryrun and not workflow.touch
    if is_run:
        take_lock()
    elif holder := LOCK.holder():
        logger.warning(f"Products are not looked at, as {holder}.")
        return False
    if is_run:
        WATCH.write_products(folder, settings(*config))
    for absence in RAW.absences():
        logger.warning(absence)
    if left := WATCH.leftovers(folder):
        logger.warning(
            f"{RESULTS}/ has products of an earlier configuration, which nothing makes now. "
            f"`skymill prune {RESULTS} --delete` deletes them.{listed(left)}"
        )
    return True


def of_collection(pattern):
    """Return an input function: a product of each raw file of the collection."""
    return lambda wildcards: expand(pattern, partition=COLLECTIONS[wildcards.collection])


def window_inputs(wildcards):
    """Return what the catalogue of SWAN-SF has of a partition."""
    steps, windows, check = (
        pattern.format(swan_partition=wildcards.partition)
        for pattern in (paths.SWAN_STEPS, paths.SWAN_WINDOWS, paths.SWAN_ACCEPTED)
    )
    return {**made(steps=steps), "windows": ancient(windows), "checks": [check]}


def clean_inputs(wildcards):
    """Return what the clean records are made of: ids, and where the values are."""
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
    """Return what tells the regions: ids, and the fingerprints of their steps."""
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
    """Return what shows leaks: plan, ids, and values where there is a test file."""
    values = {"values": expand(paths.VALUES, partition=RAW.partitions)} if INPUT is CUP else {}
    return made(plan=paths.PLAN, ids=expand(paths.IDS, collection=COLLECTIONS), **values)


def feature_inputs(wildcards):
    """Return the records of a split: where their values, ids and plan are."""
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
    """Return the settings that a split's features read; holdout_test knows no augmentation."""
    keys = ["features"] if wildcards.split == "holdout_test" else ["features", "split.augment"]
    return settings(*keys)


def records_to_locate():
    """Return the collections of magnetic records that the aligned branch locates, none without.

    Windows of SWAN-SF have time and HARP.
    """
    if "magnetic" not in config["branches"] or INPUT is SWAN:
        return []
    wanted = ["train", *(["test"] if config["aligned"]["locate_test_file"] else [])]
    return [collection for collection in wanted if collection in COLLECTIONS]


PARTITIONS_TO_LOCATE = [name for one in records_to_locate() for name in COLLECTIONS[one]]


def location_inputs(wildcards):
    """Return what locates records: their keys, and values where the nearest window counts."""
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
        "raw": expand(paths.RAW_RECEIPT, file=RAW.files("magnetic")),
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
        "raw": expand(paths.RAW_RECEIPT, file=RAW.files("sdo")),
    }


def branches_of(name):
    """Return the branches whose raw files a data set holds something of."""
    if name != "aligned":
        return [name]
    return ["aligned", "sdo", *(["magnetic"] if PARTITIONS_TO_LOCATE else [])]


def aligned_documents():
    """Return the documents of the aligned data set; of magnetic files those that were located."""
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
        "raw": expand(paths.RAW_RECEIPT, file=files),
    }


def ztf_documents():
    """Return the documents of the cross-match; those of nights and labels say what was read."""
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
    """Return what a card tells beside the documents: the settings in force, and the archives."""
    name = DATA_SETS[wildcards.data_set]
    collections = [skymill.paths.RAW_OF_BRANCH.get(branch, branch) for branch in branches_of(name)]
    told = ("title", "page", "licence", "citation")
    return {
        "settings": settings(*data_set_keys(config, name)),
        "archives": {
            collection: {key: REGISTRY[collection][key] for key in told}
            for collection in collections
        },
    }


def labels_for_extraction(wildcards):
    """Return the labels, if only labelled alerts are wanted of a night."""
    if config["ztf"]["extract"] == "all":
        return {}
    return {**made(labels=paths.ZTF_LABELS), "checks": [paths.ZTF_LABELS_ACCEPTED]}


def simulated(file):
    """Return the outputs of a simulation: a raw file, and the sidecar that says where it is from."""
    folder = skymill.paths.raw_folder("sample", RESULTS)
    return {"raw": f"{folder}/{file}", "sidecar": f"{folder}/{file}.source.json"}


def simulation(script, *keys):
    """Return the parameters of a simulation, which has no manifest; see stage."""
    given = stage(script, *keys)

    def check(wildcards, output):
        if is_judged(output) and (damage := damaged_sidecar(Path(output.raw))):
            make_again(output, damage)
        return ""

    return {**given, "check": check}


def say_more_damage(record):
    """Add how many more products are damaged than were named; a filter of Snakemake's logger."""
    if getattr(record, "event", None) == LogEvent.RUN_INFO and len(DAMAGED) > SHOWN:
        record.msg += f"\n{len(DAMAGED) - SHOWN:,} more products are out of date.\n"
    return True


def say_downloads(record):
    """Add to Snakemake's table of jobs how much is to be downloaded; a filter of its logger."""
    if getattr(record, "event", None) == LogEvent.RUN_INFO:
        files = [
            job.wildcards.file
            for job in workflow.dag.jobs
            if job.rule is rules.retrieve.rule and workflow.dag.needrun(job)
        ]
        missing = [find_source(REGISTRY, file) for file in files if not is_cached(file)]
        if missing:
            record.msg += f"\n{about_downloads(missing)}\n"
    return True


RULES_OF_BRANCH = {"swan_sf.smk": "aligned"}
"""Rules files with another name than their branch."""

RAW_RULES = ("simulate.smk", "retrieve.smk")
"""Rules files of what simulates, fetches and hashes raw files."""


def branch_of_job(job):
    """Return the branch that a job works for: raw files are one of their own."""
    file = Path(str(job.rule.snakefile)).name
    if file == "cards.smk":
        folder = getattr(job.wildcards, "data_set", None)
        return DATA_SETS[folder] if folder else job.rule.name.removeprefix("measure_")
    return "raw files" if file in RAW_RULES else RULES_OF_BRANCH.get(file, Path(file).stem)


def raw_gigabytes(branch):
    """Return about how large the raw files of a branch are, also of those that are not there yet."""
    source = RAW.source(branch)
    if source == "sample":
        return estimate.simulated_gigabytes(branch, config["simulate"], len(NIGHTS))
    # A tree of SDOBenchmark has too many files to look at each.
    files = RAW.files(branch) or [skymill.paths.SDO_FILE]
    size = 0
    for file in files:
        if Path(RAW.path(file)).exists():
            size += gigabytes(RAW.path(file))
        elif source == "archive" or file == skymill.paths.SDO_FILE:
            size += find_source(REGISTRY, file).disk_bytes / 1e9
    return size


def planned():
    """Return how many jobs a run has, and what it says of them; see Console."""
    jobs, needed, downloads = Counter(), Counter(), 0
    for job in workflow.dag.jobs:
        if job.output:
            jobs[branch_of_job(job)] += 1
            needed[branch_of_job(job)] += workflow.dag.needrun(job)
            downloads += job.rule is rules.retrieve.rule and workflow.dag.needrun(job)
    cores = workflow.resource_settings.cores
    sizes = {name: raw_gigabytes(name) for name in BRANCHES if jobs[name]}
    is_simulated = all(RAW.source(name) == "sample" for name in sizes)
    seconds = estimate.seconds(needed, jobs, sizes, cores or 1, is_simulated=is_simulated)
    total = sum(needed.values())
    about = f"{estimate.about(seconds)} on {counted(cores or 1, 'core')}"
    without = " and the downloads" if downloads else ""
    lines = [f"{counted(total, 'job')}, {about}{without}, in {RESULTS}/:"]
    lines += [
        f"  {name:<10}{counted(needed[name], 'job'):>12}"
        for name in ("raw files", *BRANCHES)
        if needed[name]
    ]
    return total, lines


OUR_QUIET = {Quietness.HOST, Quietness.REASON, Quietness.RULES}
"""`quiet` of the default profile: nobody has asked Snakemake for other words."""


def take_console(record):
    """Have a run printed in our own way, in place of Snakemake's; a filter of its logger.

    What Snakemake says is in the run's log (.snakemake/log) and in looks. Whether this is a run is
    known as soon as there is an executor, and Snakemake says something before it needs it.
    """
    if workflow.executor_plugin:
        logger.removeFilter(take_console)
        if workflow.output_settings.quiet == OUR_QUIET:
            change_handlers(is_run=not workflow.dryrun and not workflow.touch)
    return True


def change_handlers(is_run):
    """Replace the handler that prints, if this is a run; have the others tell of jobs."""
    for handler in [*logger.handlers]:
        if is_run and handler.name == "DefaultStreamHandler":
            logger.addHandler(Console(handler.stream, handler.formatter, planned))
            logger.removeHandler(handler)
            continue
        for one in handler.filters:
            if hasattr(one, "quiet"):
                one.quiet = OUR_QUIET - {Quietness.RULES}


if IS_MAIN:
    logger.addFilter(say_more_damage)
    logger.addFilter(say_downloads)
    logger.addFilter(take_console)
