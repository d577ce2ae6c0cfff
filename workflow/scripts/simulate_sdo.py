"""Simulate a download of SDOBenchmark."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.simulate.sdo") as run:
    from skymill.simulate.sdo import write_sdo

    write_sdo(run.output.raw, **run.settings["simulate.sdo"], workers=run.threads)
