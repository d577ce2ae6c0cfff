"""Check that no region is too large to be split off."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.magnetic.check import require_small_regions

    counts = run.product("regions").counts
    if run.settings["split.unit"] == "region":
        require_small_regions(counts, run.config["limits"]["max_region_fraction"])
    run.finish(counts=counts)
