"""Catalogue the windows and steps of one partition of SWAN-SF."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.raw.files import HashedRaw, fetched_from
    from skymill.raw.registry import kind_and_checksum
    from skymill.swan_sf.catalogue import catalogue

    kind, checksum = kind_and_checksum(
        run.params.file, fetched_from(run.input.raw), is_enforced=run.params.enforced
    )
    with HashedRaw(run.input.raw, kind, checksum=checksum) as raw:
        content = catalogue(
            run.input.raw,
            run.wildcards.swan_partition,
            steps=run.output.steps,
            windows=run.output.windows,
            quarantine=run.output.quarantine,
            opener=raw.open,
            workers=run.threads,
        )
        receipt = raw.receipt()
    run.finish(**content, raw=receipt)
