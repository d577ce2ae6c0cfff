"""Simulate the raw file of the auxiliary table."""

from skymill.engine.job import run_job


def main(run):
    from skymill.simulate.stealth import write_stealth

    write_stealth(run.output.raw, **run.settings["simulate.stealth"])


if __name__ == "__main__":
    run_job(main, snakemake)
