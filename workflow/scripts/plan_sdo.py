"""Plan label, class and split of every SDOBenchmark sample."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_manifest
    from skymill.sdo.splits import make_plan
    from skymill.tables import read_frame, write_table

    settings = snakemake.params.config
    plan, counts = make_plan(
        read_frame(Path(snakemake.input.samples)),
        flux_scale=settings["sdo.flux_scale"],
        validation_fraction=settings["sdo.validation_fraction"],
        seed=settings["seed"],
    )
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": [write_table(Path(snakemake.output.plan), plan)], "counts": counts},
        code=snakemake.params.code,
        settings=settings,
        inputs=[snakemake.input.manifest],
        gates=[snakemake.input.gate],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
