"""Measure the training pairs of the aligned data set."""

from skymill.engine.job import job

with job(snakemake) as run:
    import pyarrow.parquet as pq

    from skymill.aligned.statistics import measure
    from skymill.engine.products import write_json
    from skymill.engine.tables import describe_columns

    train = run.product("train").files()
    write_json(run.output.statistics, measure(train))
    run.finish(tables={"pairs": describe_columns(pq.read_schema(train[0]))})
