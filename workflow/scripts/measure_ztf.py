"""Measure the training alerts of the cross-match."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.ztf.statistics") as run:
    from skymill.engine.products import write_json
    from skymill.ztf.statistics import count_splits, describe_alerts, measure

    stamps, array = run.intact("stamps"), run.intact("array")
    write_json(run.output.statistics, measure(stamps, array, workers=run.threads))
    run.finish(
        counts={"by_split": count_splits(stamps)},
        tables={"alerts": describe_alerts(stamps, array)},
    )
