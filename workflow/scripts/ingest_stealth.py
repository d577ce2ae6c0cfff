"""Ingest the raw file of the auxiliary table."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_manifest
    from skymill.stealth.ingest import ingest

    content = ingest(
        Path(snakemake.input.raw),
        Path(snakemake.output.rows),
        Path(snakemake.output.quarantine),
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
