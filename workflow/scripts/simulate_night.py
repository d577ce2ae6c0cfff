"""Simulate one night of ZTF alerts."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.simulate.ztf") as run:
    from skymill.simulate.ztf import write_night

    size = run.settings["simulate.ztf"]
    write_night(run.output.raw, run.wildcards.night, run.params.place, **size, workers=run.threads)
