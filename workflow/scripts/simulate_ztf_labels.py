"""Simulate the tarball of ALeRCE label lists."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.simulate.ztf_labels import write_labels

    size = snakemake.params.config["simulate.ztf"]
    write_labels(Path(snakemake.output.raw), objects=size["objects"], seed=size["seed"])


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
