"""Simulate the tarball of ALeRCE label lists."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.simulate.ztf_labels import write_labels

    size = run.settings["simulate.ztf"]
    write_labels(run.output.raw, objects=size["objects"], seed=size["seed"])
