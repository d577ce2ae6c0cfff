"""Unpack the SDOBenchmark zip."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.sdo.unpack") as run:
    from skymill.sdo.unpack import unpack

    unpack(run.input.raw, run.output.folder, workers=run.threads)
