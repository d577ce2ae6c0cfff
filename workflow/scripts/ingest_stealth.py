"""Ingest the raw file of the auxiliary table."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.products import require_content
    from skymill.stealth.catalogue import ingest

    require_content(run.input.raw, run.product("receipt").document["raw"]["sha256"])
    run.finish(**ingest(run.input.raw, run.output.rows, run.output.quarantine))
