"""Recover the active regions of the training records."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.magnetic.ids import read_ids, steps_of_records
    from skymill.magnetic.regions import describe_regions, find_regions, regions_table
    from skymill.magnetic.store import stores_by_name
    from skymill.products import write_manifest
    from skymill.tables import write_table

    ids = read_ids(Path(snakemake.input.ids[0]))
    stores = stores_by_name(snakemake.input["values"], snakemake.input.manifests)
    record_id = ids["record_id"].to_numpy()
    region = find_regions(record_id, steps_of_records(ids, stores))
    counts = describe_regions(region)
    file = write_table(Path(snakemake.output.regions), regions_table(record_id, region))
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": [file], "counts": counts},
        code=snakemake.params.code,
        settings={},
        inputs=[*snakemake.input.ids_manifest, *snakemake.input.manifests],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
