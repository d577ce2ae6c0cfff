"""Read the list of labelled objects."""

from skymill.engine.job import run_job


def main(run):
    from skymill.raw.files import fetched_from, verify_raw
    from skymill.raw.registry import enforced_checksum, find_source, load_registry
    from skymill.ztf.labels import Rules, read_labels

    settings = run.settings
    checksum = None
    if run.params.enforced:
        source = find_source(load_registry(), run.params.file)
        checksum = enforced_checksum(source, fetched_from(run.input.raw))
    raw = verify_raw(run.input.raw, None, checksum=checksum)
    content = read_labels(
        run.input.raw,
        run.output.labels,
        run.output.problems,
        Rules(
            source=settings["labels.source"],
            columns=settings["labels.columns"],
            classifier=settings["labels.classifier"],
            on_conflict=settings["labels.on_conflict"],
            unknown=settings["labels.unknown"],
            min_probability=settings["labels.min_probability"],
            labels=settings["labels.map"],
            other=settings["labels.other"],
        ),
    )
    run.finish(**content, raw=raw)


if __name__ == "__main__":
    run_job(main, snakemake)
