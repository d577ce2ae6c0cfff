"""Catalogue the samples and images of SDOBenchmark."""

from skymill.engine.job import run_job


def main(run):
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


if __name__ == "__main__":
    run_job(main, snakemake, workers="skymill.sdo.catalogue")
