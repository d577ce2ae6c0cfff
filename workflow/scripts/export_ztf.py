"""Write the sampled ZTF alerts of one label as CSV."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_manifest
    from skymill.ztf.export import export_label

    source, settings = snakemake.input, snakemake.params.config
    files, counts = export_label(
        Path(source.stamps),
        Path(source.array),
        Path(snakemake.output.table),
        label=snakemake.wildcards.label,
        form=settings["ztf.csv"],
    )
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": files, "counts": counts},
        code=snakemake.params.code,
        settings=settings,
        inputs=[source.manifest],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
