"""Describe the training records, and their copies, by statistics."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.baseline.records") as run:
    from skymill.baseline.records import describe_records
    from skymill.engine.tables import write_table
    from skymill.magnetic.ids import read_ids
    from skymill.magnetic.inputs import INPUTS

    table = describe_records(
        read_ids(run.input.ids),
        run.product("clean"),
        run.settings["augmentation"],
        seed=run.settings["seed"],
        parameters=INPUTS[run.settings["magnetic.input"]].parameters,
        workers=run.threads,
    )
    run.finish([write_table(run.output.statistics, table)], counts={"rows": table.num_rows})
