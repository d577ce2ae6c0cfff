"""Simulate one night of ZTF alerts."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.simulate.ztf", snakemake.threads)
    from skymill.simulate.ztf import write_night

    size = snakemake.params.config["simulate.ztf"]
    write_night(
        Path(snakemake.output.raw),
        snakemake.wildcards.night,
        snakemake.params.place,
        alerts=size["alerts"],
        objects=size["objects"],
        seed=size["seed"],
        workers=snakemake.threads,
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
