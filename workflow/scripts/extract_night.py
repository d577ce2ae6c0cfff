"""Cut the stamps out of one night's alerts."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_manifest
    from skymill.ztf.decode import Choice
    from skymill.ztf.extract import extract_night

    settings = snakemake.params.config
    labelled = settings["ztf.extract"] == "labelled"
    content = extract_night(
        Path(snakemake.input.raw),
        snakemake.wildcards.night,
        stamps=Path(snakemake.output.stamps),
        quarantine=Path(snakemake.output.quarantine),
        choice=Choice(
            crop=settings["ztf.crop"],
            edge=settings["ztf.edge"],
            labels=Path(snakemake.input.labels) if labelled else None,
        ),
        workers=snakemake.threads,
    )
    write_manifest(
        Path(snakemake.output.manifest),
        content,
        code=snakemake.params.code,
        settings=settings,
        inputs=[
            snakemake.input.receipt,
            *([snakemake.input.labels_manifest] if labelled else []),
        ],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
