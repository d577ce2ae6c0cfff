"""Check how much of SDOBenchmark is damaged or lost."""

from skymill.engine.job import run_job


def main(run):
    from skymill.sdo.check import require_intact

    counts, limits = run.product("samples").counts, run.config["limits"]
    require_intact(
        counts,
        run.input.problems,
        max_damaged_fraction=limits["max_damaged_fraction"],
        max_lost_samples_fraction=limits["max_lost_samples_fraction"],
    )
    run.finish(counts=counts)


if __name__ == "__main__":
    run_job(main, snakemake)
