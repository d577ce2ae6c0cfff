"""Check how many rows and objects of the list of labels are lost."""

from skymill.engine.job import run_job


def main(run):
    from skymill.ztf.label_check import require_sound

    counts = run.product("labels").counts
    require_sound(counts, run.input.problems, run.config["limits"])
    run.finish(counts=counts)


if __name__ == "__main__":
    run_job(main, snakemake)
