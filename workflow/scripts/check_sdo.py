"""Check how much of SDOBenchmark is damaged or lost."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.sdo.check import require_intact

    # The receipt of the tree says which files of the zip were not unpacked.
    located = run.product("located")
    counts = {**located.counts, **run.product("samples").counts}
    require_intact(
        counts, run.input.problems, run.config["limits"], ignored=located.document["ignored"]
    )
    run.finish(counts=counts)
