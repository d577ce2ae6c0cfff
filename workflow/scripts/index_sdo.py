"""Write the index of each SDOBenchmark set."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.digests import ordered_digest
    from skymill.sdo.index import count_index, make_index, write_index
    from skymill.sdo.tables import read_set

    tables = [run.intact(name) for name in ("samples", "images", "plan")]
    for name, path in zip(run.params.sets, run.output.indexes, strict=True):
        samples, images, plan = (read_set(table, name) for table in tables)
        index = make_index(samples, images, plan, **run.settings)
        run.finish(
            [write_index(path, index)],
            product=path,
            counts=count_index(index),
            identity=ordered_digest(samples["sample_id"]),
        )
