"""Join image samples with magnetic series, and decide groups and splits."""

from skymill.engine.job import job

with job(snakemake) as run:
    import pandas as pd

    from skymill.aligned.join import read_windows
    from skymill.aligned.plan import make_pairs
    from skymill.aligned.steps import read_steps
    from skymill.clock import clock_for
    from skymill.engine.tables import read_frame, write_table

    steps = read_steps(run.input.step_keys)
    samples, plan = read_frame(run.input.samples), read_frame(run.input.plan)
    times = pd.concat([samples["start"], samples["end"]]).to_numpy("M8[s]").astype("int64")
    pairs, others, counts = make_pairs(
        samples.merge(plan[["set", "row", "label", "goes_class"]], on=["set", "row"]),
        steps,
        read_windows(run.input.windows),
        clock_for(steps.time, times),
        read_frame(run.input.record_times) if run.input.get("record_times") else None,
        follow_official=run.settings["aligned.follow_official"],
        fractions=run.settings["aligned.split"],
        seed=run.settings["seed"],
    )
    counts["steps_differing_between_partitions"] = steps.differing
    files = [
        write_table(run.output.pairs, pairs),
        write_table(run.output.without_partner, others),
    ]
    run.finish(files, counts=counts)
