"""Catalogue the windows and steps of one partition of SWAN-SF."""

from skymill.engine.job import run_job


def main(run):
    from skymill.swan_sf.catalogue import catalogue

    content = catalogue(
        run.input.raw,
        run.wildcards.swan_partition,
        steps=run.output.steps,
        windows=run.output.windows,
        quarantine=run.output.quarantine,
        workers=run.threads,
    )
    run.finish(**content)


if __name__ == "__main__":
    run_job(main, snakemake)
