"""Find the root of the unpacked SDOBenchmark tree and write its receipt."""

from skymill.engine.job import run_job


def main(run):
    from skymill.sdo.tree import locate

    # A tree put there by hand has no manifest.
    source = {} if run.input.manifest else {"source": "local"}
    run.finish(**locate(run.input.folder), **source)


if __name__ == "__main__":
    run_job(main, snakemake)
