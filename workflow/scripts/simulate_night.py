"""Simulate one night of ZTF alerts."""

from skymill.engine.job import run_job


def main(run):
    from skymill.simulate.ztf import write_night

    size = run.settings["simulate.ztf"]
    write_night(run.output.raw, run.wildcards.night, run.params.place, **size, workers=run.threads)


if __name__ == "__main__":
    run_job(main, snakemake, workers="skymill.simulate.ztf")
