"""Write the sampled ZTF alerts of each label as CSV."""

from skymill.engine.job import run_job


def main(run):
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


if __name__ == "__main__":
    run_job(main, snakemake, workers="skymill.ztf.export")
