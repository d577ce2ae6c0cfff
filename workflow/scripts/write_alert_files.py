"""Write each sampled ZTF alert as a file of its own."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_manifest
    from skymill.ztf.crossmatch import ALL
    from skymill.ztf.export import write_alert_files

    source, settings = snakemake.input, snakemake.params.config
    content, counts = write_alert_files(
        Path(source.stamps),
        Path(source.array),
        Path(snakemake.output.alerts),
        by_candid=settings["ztf.representative"] == ALL,
    )
    write_manifest(
        Path(snakemake.output.manifest),
        {**content, "counts": counts},
        code=snakemake.params.code,
        settings=settings,
        inputs=[source.manifest],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
