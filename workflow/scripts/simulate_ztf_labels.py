"""Simulate the tarball of ALeRCE label lists."""

from skymill.engine.job import run_job


def main(run):
    from skymill.simulate.ztf_labels import write_labels

    size = run.settings["simulate.ztf"]
    write_labels(run.output.raw, objects=size["objects"], seed=size["seed"])


if __name__ == "__main__":
    run_job(main, snakemake)
