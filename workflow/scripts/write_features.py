"""Write one engineered split."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.magnetic.features") as run:
    from skymill.magnetic.features import (
        promised_counts,
        records_of_split,
        warn_of_unmeasured,
        write_features,
    )

    split, plan = run.wildcards.split, run.input.get("plan")
    everything = run.settings.get("split.augment") == "all"
    records = records_of_split(split, run.input.ids, plan, everything=everything)
    expected = promised_counts(split, run.product("ids"), plan and run.product("plan"))
    files, never_measured = write_features(
        run.product("store"),
        *records,
        run.settings["features"],
        run.output.features,
        expected=expected,
        workers=run.threads,
    )
    warn_of_unmeasured(split, never_measured, len(records[0]))
    counts = {
        "records": len(records[0]),
        "records_by_label": expected,
        "records_never_measured": never_measured,
    }
    run.finish(files, counts=counts)
