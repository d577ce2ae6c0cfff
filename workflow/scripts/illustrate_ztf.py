"""Draw the section of the report about ZTF, and a sheet of the stamps of each label."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.report.folder import write_section
    from skymill.ztf.figures import draw_section
    from skymill.ztf.pictures import draw_sheet

    stamps, array, seed = run.intact("stamps"), run.intact("array"), run.settings["seed"]
    for label, sheet in zip(run.params.labels, run.output.sheets, strict=True):
        run.finish(draw_sheet(stamps, array, sheet, label=label, seed=seed), product=sheet)

    section = draw_section(
        nights=[night.document for night in run.products("nights")],
        labels=run.product("labels").document,
        plan=run.product("plan").document,
        absent=run.settings["absent"],
        stamps=stamps,
        array=array,
        seed=seed,
    )
    run.finish(write_section(section, run.output.section), product=run.output.section)
