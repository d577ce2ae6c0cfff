"""Draw the section of the report about the magnetic records."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.magnetic.figures import Sources, draw_section
    from skymill.magnetic.inputs import INPUTS
    from skymill.report.folder import write_section

    section = draw_section(
        Sources(
            ingested=run.products("ingested"),
            swan=run.products("swan_sf"),
            ids=run.product("ids"),
            plan=run.product("plan"),
            leaks=run.product("leaks"),
            clean=run.product("clean"),
            augmented=run.product("augmented"),
            train=run.product("train"),
            ids_path=run.intact("ids"),
            plan_path=run.intact("plan"),
            records_path=run.intact("records"),
            settings=run.settings,
            one=INPUTS[run.settings["magnetic.input"]],
        )
    )
    run.finish(write_section(section, run.output.section))
