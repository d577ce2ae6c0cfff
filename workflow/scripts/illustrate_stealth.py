"""Draw the section of the report about the auxiliary table."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.report.folder import write_section
    from skymill.stealth.figures import draw_section

    section = draw_section(run.product("rows").counts, run.intact("table"))
    run.finish(write_section(section, run.output.section))
