"""Draw a contact sheet of the ZTF stamps of one label."""

from skymill.engine.job import run_job


def main(run):
    from skymill.ztf.pictures import draw_sheet

    files = draw_sheet(
        run.intact("stamps"),
        run.intact("array"),
        run.output.sheet,
        label=run.wildcards.label,
        seed=run.settings["seed"],
    )
    run.finish(files)


if __name__ == "__main__":
    run_job(main, snakemake)
