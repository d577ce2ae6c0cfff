"""Unpack the SDOBenchmark zip."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.sdo.unpack", snakemake.threads)
    from skymill.sdo.unpack import unpack

    unpack(Path(snakemake.input.archive), Path(snakemake.output.folder), workers=snakemake.threads)


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
