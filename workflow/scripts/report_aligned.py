"""Write the report of the aligned branch."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.aligned.join import read_windows
    from skymill.aligned.report import describe
    from skymill.engine.products import write_page
    from skymill.engine.tables import read_frame, read_table

    pairs = run.product("pairs")
    located = run.product("record_times") if run.input.get("record_times") else None
    text = describe(
        read_table(run.input.pairs).to_pandas(),
        pairs.counts,
        read_windows(run.input.windows),
        located and located.counts,
        located and read_frame(located.path),
        source=pairs.source,
        partitions=[path.parent.name for path in run.input.windows],
        seed=run.settings["seed"],
    )
    write_page(run.output.page, text)
    run.finish()
