"""Read the list of labelled objects."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.unchanged import Unchanged
    from skymill.raw.files import fetched_from, verify_raw
    from skymill.raw.registry import kind_and_checksum
    from skymill.ztf.labels import Rules, read_labels

    settings = run.settings
    checksum = None
    if run.params.enforced:
        _, checksum = kind_and_checksum(
            run.params.file, fetched_from(run.input.raw), is_enforced=True
        )
    # The list is read twice: to hash it, and to parse it.
    with Unchanged(run.input.raw):
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
