"""Check how many lines of one raw file were rejected."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.magnetic.check import require_accepted

    counts = run.product("ingested").counts
    allowed = run.config["limits"]["max_rejected_fraction"]
    require_accepted(run.wildcards.partition, counts, run.input.quarantine, allowed)
    run.finish(counts=counts)
