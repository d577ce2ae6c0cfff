"""Check the rows of the auxiliary table and write the final one."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.stealth.write import convert

    ingested = run.product("rows")
    content = convert(
        run.intact("rows"),
        run.intact("quarantine"),
        ingested.counts,
        run.output.table,
        max_rejected_fraction=run.config["limits"]["max_rejected_fraction"],
        simulated=ingested.source == "sample",
    )
    run.finish(**content)
