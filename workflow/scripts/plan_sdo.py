"""Decide label, class and split of every SDOBenchmark sample."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.tables import read_frame, write_table
    from skymill.sdo.plan import make_plan

    plan, counts = make_plan(
        read_frame(run.input.samples),
        flux_scale=run.settings["sdo.flux_scale"],
        split=run.settings["sdo.split"],
        validation_fraction=run.settings["sdo.validation_fraction"],
        seed=run.settings["seed"],
    )
    run.finish([write_table(run.output.plan, plan)], counts=counts)
