"""Measure the original training records of the magnetic data set."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.magnetic.statistics") as run:
    import pyarrow.parquet as pq

    from skymill.engine.products import write_json
    from skymill.engine.tables import describe_columns
    from skymill.magnetic.statistics import measure

    train = run.product("train").files()
    write_json(run.output.statistics, measure(train, run.input.records, workers=run.threads))
    files = {"steps": train[0], "records": run.input.records}
    run.finish(
        tables={name: describe_columns(pq.read_schema(path)) for name, path in files.items()}
    )
