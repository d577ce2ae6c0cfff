"""Draw a contact sheet of the ZTF stamps of each label."""

from skymill.engine.job import run_job


def main(run):
    from skymill.ztf.pictures import draw_sheet

    stamps, array = run.intact("stamps"), run.intact("array")
    for label, sheet in zip(run.params.labels, run.output.sheets, strict=True):
        files = draw_sheet(stamps, array, sheet, label=label, seed=run.settings["seed"])
        run.finish(files, product=sheet)


if __name__ == "__main__":
    run_job(main, snakemake)
