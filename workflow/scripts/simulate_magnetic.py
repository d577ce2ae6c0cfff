"""Simulate one raw magnetic file."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.simulate.files", snakemake.threads)
    from skymill.simulate.files import write_magnetic

    size = snakemake.params.config["simulate.magnetic"]
    write_magnetic(
        Path(snakemake.output.raw),
        snakemake.wildcards.partition,
        records=size["records"],
        test_records=size["test_records"],
        seed=size["seed"],
        workers=snakemake.threads,
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
