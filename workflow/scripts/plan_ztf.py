"""Plan which alert stands for each object, its label, whether it is sampled, and its split."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_manifest
    from skymill.tables import write_table
    from skymill.ztf.crossmatch import make_plan

    source, settings = snakemake.input, snakemake.params.config
    plan, counts = make_plan(
        [Path(path) for path in source.stamps],
        Path(source.labels),
        representative=settings["ztf.representative"],
        sample=settings["ztf.sample"],
        split=settings["ztf.split"],
        seed=settings["seed"],
    )
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": [write_table(Path(snakemake.output.plan), plan)], "counts": counts},
        code=snakemake.params.code,
        settings=settings,
        inputs=[*source.manifests, source.labels_manifest],
        gates=source.gates,
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
