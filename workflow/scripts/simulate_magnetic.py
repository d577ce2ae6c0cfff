"""Simulate one raw magnetic file."""

from skymill.engine.job import run_job


def main(run):
    from skymill.simulate.files import write_magnetic

    size = run.settings["simulate.magnetic"]
    write_magnetic(run.output.raw, run.wildcards.partition, **size, workers=run.threads)


if __name__ == "__main__":
    run_job(main, snakemake, workers="skymill.simulate.files")
