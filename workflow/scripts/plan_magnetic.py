"""Plan the splits and the augmentation of the training records."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.tables import read_table, write_table
    from skymill.magnetic.ids import read_ids
    from skymill.magnetic.inputs import INPUTS
    from skymill.magnetic.plan import make_plan, with_regions
    from skymill.magnetic.plan_counts import warn_of_doubts
    from skymill.magnetic.plan_places import with_places

    settings = run.settings
    one = INPUTS[settings["magnetic.input"]]
    originals = with_regions(read_ids(run.input.ids), read_table(run.input.regions))
    split = {
        key.removeprefix("split."): value
        for key, value in settings.items()
        if key.startswith("split.")
    }
    plan, counts = make_plan(
        originals,
        split,
        settings["augmentation"],
        settings["seed"],
        settings["magnetic.quiet_per_flare"],
    )
    if one.has_places:
        plan = with_places(plan, read_table(run.input.ids))
    warn_of_doubts(counts)
    run.finish([write_table(run.output.plan, plan)], counts=counts)
