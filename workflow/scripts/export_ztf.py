"""Write the sampled ZTF alerts of each label as CSV."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.ztf.export") as run:
    from skymill.ztf.export import export_labels

    made = export_labels(
        run.intact("stamps"),
        run.intact("array"),
        dict(zip(run.params.labels, run.output.tables, strict=True)),
        form=run.settings["ztf.csv"],
        workers=run.threads,
    )
    for path, files, counts in made:
        run.finish(files, product=path, counts=counts)
