"""Check how many rows and objects of the list of labels are lost."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.ztf.label_check import require_sound

    counts = run.product("labels").counts
    require_sound(counts, run.input.problems, run.config["limits"])
    run.finish(counts=counts)
