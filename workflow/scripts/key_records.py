"""Compute keys of the steps of a magnetic file from the parameters shared with SWAN-SF."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.aligned.catalogue") as run:
    from skymill.aligned.catalogue import key_records
    from skymill.engine.tables import write_table

    table = key_records(run.product("values"), workers=run.threads)
    run.finish([write_table(run.output.table, table)], counts={"steps": table.num_rows})
