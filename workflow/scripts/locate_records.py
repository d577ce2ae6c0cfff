"""Locate the records of 2020 in SWAN-SF by the values of their steps."""

from skymill.engine.job import job

with job(snakemake) as run:
    import pandas as pd

    from skymill.aligned.locate import locate
    from skymill.aligned.nearest import Values
    from skymill.aligned.records import keys_of_ids, values_of_ids
    from skymill.aligned.steps import read_steps, values_of_steps
    from skymill.clock import clock_for
    from skymill.engine.tables import read_frame, write_table

    ids = pd.concat([read_frame(path) for path in run.input.ids], ignore_index=True)
    steps = read_steps(run.input.step_keys)
    exact, rounded = keys_of_ids(ids, {path.stem: path for path in run.input.record_keys})
    nearest = None
    if run.settings["aligned.nearest_tier"]:
        stores = {store.path.name: store for store in run.products("values")}
        nearest = Values(values_of_ids(ids, stores), values_of_steps(steps, run.input.steps))
    table, counts = locate(ids, exact, rounded, steps, clock_for(steps.time), nearest)
    run.finish([write_table(run.output.record_times, table)], counts=counts)
