"""Plan the splits and the augmentation of the training records."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    import pyarrow.parquet as pq

    from skymill.magnetic.ids import read_ids
    from skymill.magnetic.plan import make_plan
    from skymill.products import write_manifest
    from skymill.tables import write_table

    settings = snakemake.params.config
    originals = read_ids(Path(snakemake.input.ids[0]))
    originals["region"] = pq.read_table(snakemake.input.regions)["region"].to_numpy()
    plan, counts = make_plan(
        originals, settings["split"], settings["augmentation"], settings["seed"]
    )
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": [write_table(Path(snakemake.output.plan), plan)], "counts": counts},
        code=snakemake.params.code,
        settings=settings,
        inputs=[*snakemake.input.ids_manifest, snakemake.input.regions_manifest],
        gates=[snakemake.input.gate],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
