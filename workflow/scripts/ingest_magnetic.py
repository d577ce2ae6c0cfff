"""Ingest one raw magnetic file."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.magnetic.ingest", snakemake.threads)
    from skymill.magnetic.ingest import ingest
    from skymill.products import write_manifest

    content = ingest(
        Path(snakemake.input.raw),
        snakemake.wildcards.partition,
        labelled=snakemake.params.labelled,
        values=Path(snakemake.output.values),
        catalogue=Path(snakemake.output.catalogue),
        quarantine=Path(snakemake.output.quarantine),
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
