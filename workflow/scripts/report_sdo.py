"""Write the integrity report of SDOBenchmark."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.products import write_page
    from skymill.sdo.report import describe

    text = describe(
        samples=run.intact("samples"),
        images=run.intact("images"),
        problems=run.intact("problems"),
        located=run.product("located"),
        catalogue=run.product("samples"),
        plan=run.product("plan"),
        flux_scale=run.settings["sdo.flux_scale"],
        split=run.settings["sdo.split"],
    )
    write_page(run.output.page, text)
    run.finish()
