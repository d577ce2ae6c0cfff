"""Write the human-readable table of one run."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.magnetic.diagnostics import diagnose
    from skymill.products import describe_file, new_file, write_manifest

    source = snakemake.input
    text = diagnose(
        catalogues=[Path(path) for path in source.catalogues],
        quarantines=[Path(path) for path in source.quarantines],
        ids=[Path(path) for path in source.ids],
        regions=Path(source.regions),
        plan=Path(source.plan),
        leaks=Path(source.leaks),
        features=[Path(path) for path in source.features],
    )
    with new_file(Path(snakemake.output.table)) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": [describe_file(Path(snakemake.output.table), text.count("\n"))]},
        code=snakemake.params.code,
        settings={},
        inputs=[
            *source["values"],
            *source.ids,
            source.regions,
            source.plan,
            source.leaks,
            *source.features,
        ],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
