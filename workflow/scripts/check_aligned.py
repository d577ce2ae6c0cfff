"""Fail when a group of regions is in two splits, or a split is empty."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.aligned.check import require_sound

    counts = run.product("pairs").counts
    require_sound(
        counts,
        follow_official=run.settings["aligned.follow_official"],
        fractions=run.settings["aligned.split"],
    )
    run.finish(counts=counts)
