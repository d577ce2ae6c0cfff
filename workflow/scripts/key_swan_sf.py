"""Compute keys of a SWAN-SF partition's distinct steps from the shared parameters."""

from skymill.engine.job import run_job


def main(run):
    from skymill.aligned.steps import key_steps
    from skymill.engine.tables import write_table

    table = key_steps(run.input.steps)
    run.finish([write_table(run.output.table, table)], counts={"steps": table.num_rows})


if __name__ == "__main__":
    run_job(main, snakemake)
