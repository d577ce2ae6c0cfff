"""Reconcile the counts of one collection."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.magnetic.check import conserve, require_few_dropped

    counts = conserve(
        run.products("ingested"),
        run.product("ids"),
        run.product("clean"),
        *run.products("planned"),
    )
    allowed = run.config["limits"]["max_dropped_fraction"]
    require_few_dropped(run.wildcards.collection, counts, allowed)
    run.finish(counts=counts)
