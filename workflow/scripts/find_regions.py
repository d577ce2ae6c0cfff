"""Recover the active regions of the training records."""

from skymill.engine.job import job


def by_value(run):
    """Return the records and their regions. Records with a common time step are in one region."""
    from skymill.magnetic.ids import read_ids, steps_of_records
    from skymill.magnetic.regions import find_regions

    ids = read_ids(run.input.ids)
    stores = {product.path.name: product for product in run.products("values")}
    record_id = ids["record_id"].to_numpy()
    return record_id, find_regions(record_id, steps_of_records(ids, stores))


def by_place(run):
    """Return SWAN-SF windows and regions. A HARP, NOAA number or time step links windows."""
    import numpy as np
    import pyarrow as pa

    from skymill.engine.tables import read_table
    from skymill.magnetic.places import pairs_of_numbers
    from skymill.magnetic.regions import group_harps
    from skymill.solar_regions import harp_table

    ids = read_table(run.input.ids)
    steps = pa.concat_tables(map(read_table, run.input.fingerprints))
    numbers, _ = pairs_of_numbers(ids, "harp")
    record_id = ids["record_id"].to_numpy()
    region = group_harps(
        record_id,
        ids["harp"].to_numpy().astype(np.int64),
        np.concatenate([np.array(harp_table(), np.int64).reshape(-1, 2), numbers]),
        steps["harp"].to_numpy().astype(np.int64),
        steps["fingerprint"].to_numpy(),
    )
    return record_id, region


with job(snakemake) as run:
    from skymill.engine.tables import write_table
    from skymill.magnetic.inputs import INPUTS
    from skymill.magnetic.regions import describe_regions, regions_table

    find = by_place if INPUTS[run.settings["magnetic.input"]].has_places else by_value
    record_id, region = find(run)
    file = write_table(run.output.regions, regions_table(record_id, region))
    run.finish([file], counts=describe_regions(region))
