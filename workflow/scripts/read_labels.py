"""Read the list of labelled objects."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_manifest
    from skymill.ztf.labels import Rules, read_labels

    settings = snakemake.params.config["labels"]
    content = read_labels(
        Path(snakemake.input.raw),
        Path(snakemake.output.labels),
        Path(snakemake.output.problems),
        Rules(
            source=settings["source"],
            on_conflict=settings["on_conflict"],
            min_probability=settings["min_probability"],
            labels=settings["map"],
            other=settings["other"],
        ),
    )
    write_manifest(
        Path(snakemake.output.manifest),
        content,
        code=snakemake.params.code,
        settings=snakemake.params.config,
        inputs=[snakemake.input.receipt],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
