"""Gather the stamps of the cross-matched ZTF alerts."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.ztf.write") as run:
    from skymill.ztf.write import gather

    files, counts, identity = gather(
        run.intact("plan"),
        {night: run.digest(night) for night in run.input.nights},
        table=run.output.stamps,
        array=run.output.array,
        listing=run.output.labels,
        workers=run.threads,
    )
    run.finish(files, counts=counts, identity=identity)
