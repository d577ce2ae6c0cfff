"""Catalogue the samples and images of SDOBenchmark."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.sdo.catalogue") as run:
    from skymill.sdo.catalogue import catalogue

    content = catalogue(
        run.input.folder,
        run.product("receipt").document["root"],
        samples=run.output.samples,
        images=run.output.images,
        problems=run.output.problems,
        workers=run.threads,
    )
    run.finish(**content)
