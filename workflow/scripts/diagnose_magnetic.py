"""Write the diagnostics page of the magnetic records."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.products import write_page
    from skymill.magnetic.inputs import INPUTS
    from skymill.magnetic.report import diagnose

    text = diagnose(
        catalogues=run.intact("catalogues"),
        quarantines=run.intact("quarantines"),
        ids=run.products("ids"),
        regions=run.product("regions"),
        plan=run.product("plan"),
        leaks=run.product("leaks"),
        features=run.products("features"),
        settings=run.settings,
        one=INPUTS[run.settings["magnetic.input"]],
        swan=run.products("swan_sf"),
    )
    write_page(run.output.page, text)
    run.finish()
