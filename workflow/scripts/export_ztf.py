"""Write the sampled ZTF alerts of one label as CSV."""

from skymill.engine.job import run_job


def main(run):
    from skymill.ztf.export import export_label

    files, counts = export_label(
        run.intact("stamps"),
        run.intact("array"),
        run.output.table,
        label=run.wildcards.label,
        form=run.settings["ztf.csv"],
    )
    run.finish(files, counts=counts)


if __name__ == "__main__":
    run_job(main, snakemake)
