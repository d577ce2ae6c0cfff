"""Assign the record ids of one collection."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    import pyarrow.parquet as pq

    from skymill.magnetic.ids import assign_ids
    from skymill.products import write_manifest
    from skymill.tables import write_table

    settings = snakemake.params.config
    catalogues = [pq.read_table(path) for path in snakemake.input.catalogues]
    ids, counts = assign_ids(catalogues, collisions=settings["collisions"])
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": [write_table(Path(snakemake.output.ids), ids)], "counts": counts},
        code=snakemake.params.code,
        settings=settings,
        inputs=snakemake.input.manifests,
        gates=snakemake.input.gates,
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
