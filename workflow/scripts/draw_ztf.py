"""Draw a contact sheet of the ZTF stamps of one label."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_manifest
    from skymill.ztf.pictures import draw_sheet

    source, settings = snakemake.input, snakemake.params.config
    files = draw_sheet(
        Path(source.stamps),
        Path(source.array),
        Path(snakemake.output.sheet),
        label=snakemake.wildcards.label,
        seed=settings["seed"],
    )
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": files},
        code=snakemake.params.code,
        settings=settings,
        inputs=[source.manifest],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
