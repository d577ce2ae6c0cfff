"""Simulate the raw file of the auxiliary table."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.simulate.stealth import write_stealth

    write_stealth(run.output.raw, **run.settings["simulate.stealth"])
