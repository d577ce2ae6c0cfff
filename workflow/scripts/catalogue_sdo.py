"""Catalogue the samples and images of SDOBenchmark."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.sdo.catalogue", snakemake.threads)
    from skymill.products import read_json, write_manifest
    from skymill.sdo.catalogue import catalogue

    content = catalogue(
        Path(snakemake.input.folder),
        read_json(snakemake.input.receipt)["root"],
        samples=Path(snakemake.output.samples),
        images=Path(snakemake.output.images),
        problems=Path(snakemake.output.problems),
        workers=snakemake.threads,
    )
    write_manifest(
        Path(snakemake.output.manifest),
        content,
        code=snakemake.params.code,
        settings={},
        inputs=[snakemake.input.receipt],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
