"""Simulate a download of SDOBenchmark."""

from skymill.engine.job import run_job


def main(run):
    from skymill.simulate.sdo import write_sdo

    write_sdo(run.output.raw, **run.settings["simulate.sdo"], workers=run.threads)


if __name__ == "__main__":
    run_job(main, snakemake, workers="skymill.simulate.sdo")
