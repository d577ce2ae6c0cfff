# Messages of a run: its jobs, damaged products, downloads and progress.
def complete_table(record):
    """Add the number of damaged products that were not named, and downloads, to the table of jobs.

    A filter of Snakemake's logger. The table comes before the first job, so this is also the place
    to stop a run.
    """
    if getattr(record, "event", None) == LogEvent.RUN_INFO:
        require_raw()
        if len(DAMAGED) > SHOWN:
            record.msg += f"\n{len(DAMAGED) - SHOWN:,} more products are out of date.\n"
        files = [
            job.wildcards.file
            for job in workflow.dag.jobs
            if job.rule is rules.retrieve.rule and workflow.dag.needrun(job)
        ]
        if missing := [find_source(REGISTRY, file) for file in files if not is_cached(file)]:
            record.msg += f"\n{about_downloads(missing)}\n"
    return True


RULES_OF_BRANCH = {"swan_sf.smk": "aligned"}
"""Rules files whose name differs from the name of their branch."""

RAW_RULES = ("simulate.smk", "retrieve.smk")
"""Rules files that simulate, fetch and hash raw files."""


def branch_of_job(job):
    """Return the branch of a job; jobs of raw files belong to `raw files`."""
    file = Path(str(job.rule.snakefile)).name
    if file == "cards.smk":
        folder = getattr(job.wildcards, "data_set", None)
        return DATA_SETS[folder] if folder else job.rule.name.rpartition("measure_")[2]
    return "raw files" if file in RAW_RULES else RULES_OF_BRANCH.get(file, Path(file).stem)


def raw_gigabytes(branch):
    """Return the approximate size of a branch's raw files, including files that are still missing."""
    source = RAW.source(branch)
    if source == "sample":
        return estimate.simulated_gigabytes(branch, config["simulate"], len(NIGHTS))
    # A tree of SDOBenchmark has too many files to add up their sizes.
    files = RAW.files(branch) or [skymill.paths.SDO_FILE]
    size = 0
    for file in files:
        if Path(RAW.path(file)).exists():
            size += gigabytes(RAW.path(file))
        elif source == "archive" or file == skymill.paths.SDO_FILE:
            size += find_source(REGISTRY, file).disk_bytes / 1e9
    return size


def planned():
    """Return the number of jobs of a run, and the lines about them; see Console."""
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
        for name in ("raw files", *BRANCHES, "baseline", REPORT)
        if needed[name]
    ]
    return total, lines


OUR_QUIET = {Quietness.HOST, Quietness.REASON, Quietness.RULES}
"""`quiet` of the default profile, which means that the user did not change Snakemake's output."""


def take_console(record):
    """Replace the console output of Snakemake in a run. A filter of its logger.

    The run's log (.snakemake/log) and commands that only look, such as dry runs, keep the output of
    Snakemake. An executor exists if this is a run. Snakemake logs a message before it uses the
    executor, so this filter is called in time.
    """
    if workflow.executor_plugin:
        logger.removeFilter(take_console)
        if workflow.output_settings.quiet == OUR_QUIET:
            change_handlers(is_run=not workflow.dryrun and not workflow.touch)
    return True


def change_handlers(is_run):
    """Replace the handler that prints, if this is a run. The other handlers also report jobs."""
    for handler in [*logger.handlers]:
        if is_run and handler.name == "DefaultStreamHandler":
            logger.addHandler(Console(handler.stream, handler.formatter, planned))
            logger.removeHandler(handler)
            continue
        for one in handler.filters:
            if hasattr(one, "quiet"):
                one.quiet = OUR_QUIET - {Quietness.RULES}


if IS_MAIN:
    logger.addFilter(complete_table)
    logger.addFilter(take_console)
