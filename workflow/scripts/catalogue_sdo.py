"""Catalogue the samples and images of SDOBenchmark."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.sdo.catalogue") as run:
    from skymill.engine.unchanged import Unchanged
    from skymill.sdo.catalogue import catalogue

    with Unchanged(run.input.folder):
        content = catalogue(
            run.input.folder,
            run.product("receipt").document["root"],
            samples=run.output.samples,
            images=run.output.images,
            problems=run.output.problems,
            workers=run.threads,
        )
    run.finish(**content)
