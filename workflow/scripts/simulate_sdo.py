"""Simulate a download of SDOBenchmark."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.simulate.sdo", snakemake.threads)
    from skymill.simulate.sdo import write_sdo

    size = snakemake.params.config["simulate.sdo"]
    write_sdo(
        Path(snakemake.output.raw),
        training_samples=size["training_samples"],
        test_samples=size["test_samples"],
        copies=size["copies"],
        seed=size["seed"],
        workers=snakemake.threads,
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
