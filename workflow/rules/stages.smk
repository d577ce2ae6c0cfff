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
