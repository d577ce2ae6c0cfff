"""Write the augmented training set that the plan lists."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.magnetic.augment", snakemake.threads)
    from skymill.magnetic.augment import write_augmented
    from skymill.products import write_manifest

    settings = snakemake.params.config
    files, counts = write_augmented(
        Path(snakemake.input.plan),
        Path(snakemake.input.ids[0]),
        (Path(snakemake.input.clean[0]), Path(snakemake.input.clean_manifest[0])),
        Path(snakemake.output.augmented),
        seed=settings["seed"],
        everything=settings["split.augment"] == "all",
        workers=snakemake.threads,
    )
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": files, "counts": counts},
        code=snakemake.params.code,
        settings=settings,
        inputs=[
            snakemake.input.plan_manifest,
            *snakemake.input.ids_manifest,
            *snakemake.input.clean_manifest,
        ],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
