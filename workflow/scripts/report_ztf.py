"""Write the report of the ZTF branch."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.products import write_page
    from skymill.ztf.report import describe

    text = describe(
        nights=run.products("nights"),
        labels=run.product("labels"),
        plan=run.product("plan"),
        absent=run.settings["absent"],
    )
    write_page(run.output.page, text)
    run.finish()
