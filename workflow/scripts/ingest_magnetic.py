"""Ingest one raw magnetic file."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.magnetic.catalogue") as run:
    from skymill.engine.unchanged import Unchanged
    from skymill.magnetic.catalogue import ingest

    with Unchanged(run.input.raw) as raw:
        raw.require_size(run.product("receipt").document["raw"]["bytes"])
        content = ingest(
            run.input.raw,
            run.wildcards.partition,
            labelled=run.params.labelled,
            values=run.output.values,
            catalogue=run.output.catalogue,
            quarantine=run.output.quarantine,
            workers=run.threads,
        )
    run.finish(**content)
