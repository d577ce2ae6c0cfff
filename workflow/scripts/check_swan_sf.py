"""Check how much of one partition of SWAN-SF was lost."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.swan_sf.check import require_accepted

    steps = run.product("steps")
    counts, broken_off = steps.counts, steps.document["broken_off"]
    require_accepted(
        run.wildcards.swan_partition,
        counts,
        broken_off,
        run.input.quarantine,
        run.config["limits"],
    )
    run.finish(counts=counts, broken_off=broken_off)
