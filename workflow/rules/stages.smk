# Inputs and parameters of rules, and the check for products that are out of date.
def settings(*keys):
    """Return only these keys of the configuration: a rule is stale if a key that it reads changes.

    A dot separates sections: `split.unit`. Keys are sorted, because Snakemake compares texts.
    """
    found = {}
    for key in sorted(keys):
        part = functools.reduce(lambda section, name: section[name], key.split("."), config)
        found[key] = json.loads(json.dumps(part, sort_keys=True))
    return found


def made(**products):
    """Return inputs that are products by name, and their manifests as `<name>_manifest`.

    Snakemake fetches the products, but only a changed manifest makes a job run again.
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
    # A workflow from a git address: Snakemake has a copy of the script, and the package is installed.
    own = Path(workflow.source_path(f"../scripts/{script}"))
    return digests.code_digest(own, Path(skymill.__file__).parents[1])


def stage(script, *keys, settings_of=None, also=None, raw=None, enforced=None):
    """Return the parameters of a rule: its code, the settings that it reads, and its check.

    While Snakemake builds its graph, it calls the check of each job before it decides which jobs
    run. If a check fails, its products are added to the files that Snakemake is forced to make.
    `settings_of` returns settings that depend on wildcards. `also` checks the document that the job
    wrote before, see staleness.why: (document, input, whether a file is younger than a time) ->
    reason, or None. `raw` returns the path of the raw file that the job reads, see given: the file
    is compared with the document. `enforced` returns whether the file must have a checksum.
    """

    def code(wildcards):
        return code_digest(script)

    def chosen(wildcards):
        return settings_of(wildcards) if settings_of else settings(*keys)

    def check(wildcards, input, output):
        def last(document):
            is_younger = WATCH.is_younger(output)
            if raw and (changed := changed_raw(document, raw(wildcards), is_younger)):
                return changed
            if enforced and enforced(wildcards) and not document["raw"].get("enforced"):
                return "its raw file was not compared with the checksum of the registry"
            return also and also(document, input, is_younger)

        if raw:
            note_gone(raw(wildcards), input, output)
        if is_judged(output):
            reason = WATCH.why(
                output, input, code=code_digest(script), settings=chosen(wildcards), also=last
            )
            if reason:
                make_again(output, reason)
        return ""

    found = {"code": code, "settings": chosen, "check": check}
    if enforced:
        # Parameters that depend on inputs make nothing stale: a file that was compared once stays so.
        found["enforced"] = lambda wildcards, input: enforced(wildcards)
    return found


DAMAGED = []
"""Damaged products that this run has found. The first are named; complete_table counts the others."""

REASONS = {}
"""Why the check of a job failed, by the job's first output."""


def make_again(output, reason):
    """Force Snakemake to make the outputs of a job again. Warn about damage of a product."""
    workflow.dag.forcefiles.update(output)
    REASONS[str(output[0])] = reason.text
    if reason.damaged:
        DAMAGED.append(reason.product)
        if len(DAMAGED) <= SHOWN:
            logger.warning(f"{DAMAGED[-1]} is out of date: {reason.text}.")


def given(raw):
    """Return an input function for a raw file, which gives nothing if the user deleted the file.

    The user may delete a raw file after it was read. Without an input, its job is current until its
    check fails, and then require_raw stops the run. With a missing input, Snakemake would take the
    job out of its graph, and nothing would check the products. `raw` returns the path of the file.
    """

    def path(wildcards):
        found = raw(wildcards)
        if IS_MAIN and RAW.is_gone(found):
            return []
        # The time of a folder changes with each file that comes and goes. The check lists the files.
        return ancient(found) if Path(found).is_dir() else found

    return path


GONE = {}
"""The path of a raw file that its user deleted, by the first output of the job that reads it."""


def note_gone(path, input, output):
    """Remember the raw file of a job if its user deleted the file."""
    if not input.raw:
        GONE[str(output[0])] = path


def require_raw():
    """Stop if a product must be made again, but its user deleted the raw file.

    Else the job would delete the product before it fails.
    """
    needed = {str(job.output[0]) for job in workflow.dag.needrun_jobs() if job.output}
    if not workflow.touch and (message := deleted_raw(needed, GONE, REASONS)):
        stop(message)


def limit(exceeded):
    """Return a check that compares the counts of a receipt with the limits of the configuration."""
    return lambda document, input, is_younger: exceeded(document, config)


def changed_raw(document, path, is_younger):
    """Return why a raw file differs from the file that a document describes, or None."""
    if "raw" not in document:
        return None
    return changed_since(document, Path(path), raw_name(path, RESULTS), is_younger)


files_in = functools.cache(list_files)


def same_tree(document, input, is_younger):
    """Return why a user's own tree of SDOBenchmark has changed, or None.

    `document` is the receipt of the tree, or the document of a product made from the tree. Both are
    checked: a run may be killed after it checked a changed tree and before it read the images.
    """
    if "listing_sha256" not in document:
        document = WATCH.document(input.receipt)
    tree = Path(input.folder)
    if RAW.sdo_from_zip or not tree.is_dir():
        return None
    return changed_folder(tree, files_in(tree), document["listing_sha256"], is_younger)


def damaged_alone(wildcards, input, output):
    """Make the tree of SDOBenchmark again only if its manifest cannot be read."""
    note_gone(sdo_zip(wildcards), input, output)
    if is_judged(output) and (damage := WATCH.damage(output.manifest)):
        make_again(output, Reason(damage, damaged=True, product=output[0]))
    return ""


def is_judged(output):
    """Return whether this process checks products.

    A job does not check products. A second process does not check them while a run is active,
    because the run may be making the missing products. The first call is made while the graph is
    built, see begin.
    """
    return IS_MAIN and begin(WATCH.folder(output[0]))


def take_lock():
    """Lock the folders that the run writes to, or stop with a message."""
    if problem := try_lock():
        stop(str(problem))


@functools.cache
def try_lock():
    """Lock the folders that the run writes to, and clean up after a killed run.

    Return an error if a folder cannot be written. Stop if another run works there.
    """
    is_run = workflow.executor_plugin and not workflow.touch
    if is_run:
        INTERRUPT.is_local = workflow.local_exec
        if not workflow.local_exec:
            INTERRUPT.is_asking = lambda: asks_for_states(workflow.scheduler)
    try:
        # Jobs on a cluster use the temporary folder of their own machine.
        scratch = take_scratch() if is_run and workflow.local_exec else None
        if LOCK.take(workflow.executor_plugin.name if is_run else LOCAL, scratch):
            logger.warning("An earlier run was killed: this run continues it.")
            for folder in WRITTEN:
                # Another run may be using the folder that all results folders share: see WRITTEN.
                delete_partial(folder, leave=skymill.paths.SHARED_RAW)
    except NotWritable as error:
        return error
    except OSError as error:
        stop(str(NotWritable(f"{RESULTS}/", error)))
    except SkymillError as error:
        stop(str(error))


def deletes_outputs():
    """Return whether this process is about to delete outputs (`--delete-all-output`).

    Snakemake has no attribute for this, so the calling functions are compared.
    """
    frame = sys._getframe()
    while frame := frame.f_back:
        if frame.f_code is workflow.delete_output.__func__.__code__:
            return not frame.f_locals["dryrun"]
    return False


def may_only_look(problem):
    """Return whether a run goes on although it cannot write, because nothing may be to be done.

    If there is a job, `onstart` stops the run. Snakemake itself writes to .snakemake.
    """
    return (
        problem.cause.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        and not workflow.execution_settings.no_hooks
    )


@functools.cache
def begin(folder):
    """Warn the user once, while the graph is built. Return whether to check products."""
    if Path(".snakemake").is_dir() and not os.access(".snakemake", os.W_OK):
        stop(
            f"{Path('.snakemake').absolute()}/ cannot be written. Snakemake needs this folder, also "
            "in a dry run. Correct the permissions, or work in a copy of the project."
        )
    is_run = workflow.executor_plugin and not workflow.dryrun and not workflow.touch
    is_locked = is_run
    if is_run or workflow.touch or deletes_outputs():
        if problem := try_lock():
            if not is_run or not may_only_look(problem):
                stop(str(problem))
            logger.warning(
                f"{problem.place} cannot be written ({problem.cause.strerror}), so this run can "
                "only check what is there."
            )
            is_locked = False
    if not is_locked and (holder := LOCK.holder()):
        logger.warning(f"Products are not checked, because {holder}.")
        return False
    if is_locked:
        try:
            WATCH.write_products(folder, settings(*config))
        except OSError as error:
            stop(str(NotWritable(f"{RESULTS}/{skymill.paths.PRODUCTS}", error)))
    for absence in RAW.absences():
        logger.warning(absence)
    if left := WATCH.leftovers(folder):
        logger.warning(
            f"{RESULTS}/ has products of an earlier configuration that are no longer made. Run "
            f"`skymill prune {RESULTS} --delete` to delete them.{listed(left)}"
        )
    return True


if IS_MAIN:
    # Snakemake lists the results folder before it asks for the parameters of jobs.
    try:
        for folder in WRITTEN:
            require_folder(folder)
    except SkymillError as error:
        stop(str(error))
