"""Ingest the raw file of the auxiliary table."""

from skymill.engine.job import run_job


def main(run):
    from skymill.stealth.catalogue import ingest

    run.finish(**ingest(run.input.raw, run.output.rows, run.output.quarantine))


if __name__ == "__main__":
    run_job(main, snakemake)
