"""Write the report of the ZTF branch."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import describe_file, new_file, write_manifest
    from skymill.ztf.report import describe

    source, page = snakemake.input, Path(snakemake.output.page)
    text = describe(
        nights=[Path(path) for path in source.nights],
        labels=Path(source.labels),
        plan=Path(source.plan),
        absent=snakemake.params.absent,
    )
    with new_file(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": [describe_file(page, text.count("\n"))]},
        code=snakemake.params.code,
        settings={},
        inputs=[*source.nights, source.labels, source.plan],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
