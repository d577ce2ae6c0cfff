"""Recover the active regions of the training records."""

from skymill.engine.job import run_job


def main(run):
    from skymill.engine.tables import write_table
    from skymill.magnetic.ids import read_ids, steps_of_records
    from skymill.magnetic.regions import describe_regions, find_regions, regions_table

    ids = read_ids(run.input.ids)
    stores = {product.path.name: product for product in run.products("values")}
    record_id = ids["record_id"].to_numpy()
    region = find_regions(record_id, steps_of_records(ids, stores))
    file = write_table(run.output.regions, regions_table(record_id, region))
    run.finish([file], counts=describe_regions(region))


if __name__ == "__main__":
    run_job(main, snakemake)
