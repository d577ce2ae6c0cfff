"""Write one row for each record of the data set. Users join the rows to the steps of the splits."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.magnetic.records") as run:
    from skymill.engine.tables import read_table, write_table
    from skymill.magnetic.ids import read_ids
    from skymill.magnetic.inputs import INPUTS
    from skymill.magnetic.plan_table import read_plan
    from skymill.magnetic.records import count_records, missing_shares, records_table

    one = INPUTS[run.settings["magnetic.input"]]
    # The training files come first. The test file may be missing.
    clean, *held_out = map(read_ids, run.input.ids)
    missing = [
        missing_shares(store, one.parameters, workers=run.threads)
        for store in run.products("clean")
    ]
    table = records_table(
        read_plan(run.input.plan),
        clean,
        missing[0],
        *(held_out + missing[1:]),
        parameters=one.parameters,
        places=read_table(run.input.plan) if one.has_places else None,
    )
    run.finish([write_table(run.output.records, table)], counts=count_records(table))
