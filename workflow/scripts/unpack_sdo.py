"""Unpack the SDOBenchmark zip."""

from skymill.engine.job import run_job


def main(run):
    from skymill.sdo.unpack import unpack

    unpack(run.input.archive, run.output.folder, workers=run.threads)


if __name__ == "__main__":
    run_job(main, snakemake, workers="skymill.sdo.unpack")
