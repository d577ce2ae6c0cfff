"""Unpack the SDOBenchmark zip."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.sdo.unpack import unpack

    unpack(Path(snakemake.input.archive), Path(snakemake.output.folder), workers=snakemake.threads)


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
