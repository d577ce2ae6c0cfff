"""Write the integrity report of SDOBenchmark."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import describe_file, new_file, write_manifest
    from skymill.sdo.report import describe

    source, settings = snakemake.input, snakemake.params.config
    text = describe(
        samples=Path(source.samples),
        images=Path(source.images),
        problems=Path(source.problems),
        catalogue_manifest=Path(source.manifest),
        plan_manifest=Path(source.plan_manifest),
        flux_scale=settings["sdo.flux_scale"],
    )
    with new_file(Path(snakemake.output.page)) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": [describe_file(Path(snakemake.output.page), text.count("\n"))]},
        code=snakemake.params.code,
        settings=settings,
        inputs=[source.manifest, source.plan_manifest],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
