"""Plan the cross-match: alerts, labels, sample and splits of all objects."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.tables import write_table
    from skymill.ztf.check import require_some
    from skymill.ztf.matches import require_matches
    from skymill.ztf.plan import make_plan

    require_some(night.document for night in run.products("stamps"))
    plan, counts = make_plan(
        run.input.stamps,
        run.input.labels,
        representative=run.settings["ztf.representative"],
        sample=run.settings["ztf.sample"],
        split=run.settings["ztf.split"],
        seed=run.settings["seed"],
    )
    nights = [night.counts for night in run.products("stamps")]
    require_matches(counts, nights, run.input.labels)
    run.finish([write_table(run.output.plan, plan)], counts=counts)
