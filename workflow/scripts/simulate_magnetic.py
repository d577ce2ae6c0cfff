"""Simulate one raw magnetic file."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.simulate.files") as run:
    from skymill.simulate.files import write_magnetic

    size = run.settings["simulate.magnetic"]
    write_magnetic(run.output.raw, run.wildcards.partition, **size, workers=run.threads)
