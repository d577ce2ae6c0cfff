"""Compute keys of the distinct steps of SWAN-SF from the parameters shared with other files."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.aligned.steps import key_steps
    from skymill.engine.tables import write_table

    for steps, path in zip(run.input.steps, run.output.tables, strict=True):
        table = key_steps(steps)
        run.finish([write_table(path, table)], product=path, counts={"steps": table.num_rows})
