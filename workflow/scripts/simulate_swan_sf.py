"""Simulate one partition of SWAN-SF."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.simulate.swan_sf") as run:
    from skymill.simulate.swan_sf import write_partition

    settings = run.settings
    write_partition(
        run.output.raw,
        run.wildcards.swan_partition,
        magnetic=settings["simulate.magnetic"],
        sdo=settings["simulate.sdo"],
        **settings["simulate.swan_sf"],
        workers=run.threads,
    )
