"""Make magnetic records of the windows of one partition of SWAN-SF."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.magnetic.windows import ingest_windows

    counts = ingest_windows(
        run.input.steps,
        run.input.windows,
        run.wildcards.partition,
        catalogue=run.output.catalogue,
        fingerprints=run.output.fingerprints,
        quarantine=run.output.quarantine,
    )
    run.finish(counts=counts)
