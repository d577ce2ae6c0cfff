"""Simulate the raw file of the auxiliary table."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.simulate.stealth import write_stealth

    size = snakemake.params.config["simulate.stealth"]
    write_stealth(Path(snakemake.output.raw), rows=size["rows"], seed=size["seed"])


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
