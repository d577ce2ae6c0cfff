"""Ingest the raw file of the auxiliary table."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.products import require_content
    from skymill.engine.unchanged import Unchanged
    from skymill.stealth.catalogue import ingest

    with Unchanged(run.input.raw):
        require_content(run.input.raw, run.product("receipt").document["raw"]["sha256"])
        content = ingest(run.input.raw, run.output.rows, run.output.quarantine)
    run.finish(**content)
