"""Check the rows of the auxiliary table and write the final one."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import read_json, write_manifest
    from skymill.stealth.convert import convert

    settings = snakemake.params.config
    ingested = read_json(snakemake.input.manifest)
    content = convert(
        Path(snakemake.input["rows"]),
        Path(snakemake.input.quarantine),
        ingested["counts"],
        Path(snakemake.output.table),
        max_rejected_fraction=settings["limits.max_rejected_fraction"],
        simulated=ingested["source"] == "sample",
    )
    write_manifest(
        Path(snakemake.output.manifest),
        content,
        code=snakemake.params.code,
        settings=settings,
        inputs=[snakemake.input.manifest],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
