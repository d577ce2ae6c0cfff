"""Describe the stamps of the cross-match by statistics."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.baseline.stamps") as run:
    from skymill.baseline.stamps import describe_stamps
    from skymill.engine.tables import write_table

    stamps, array = run.intact("stamps"), run.intact("array")
    table = describe_stamps(stamps, array, workers=run.threads)
    run.finish([write_table(run.output.statistics, table)], counts={"rows": table.num_rows})
