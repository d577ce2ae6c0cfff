"""Draw the section of the report about ZTF."""

from skymill.engine.job import run_job


def main(run):
    from skymill.report.folder import write_section
    from skymill.ztf.figures import draw_section

    section = draw_section(
        nights=[night.document for night in run.products("nights")],
        labels=run.product("labels").document,
        plan=run.product("plan").document,
        absent=run.settings["absent"],
        stamps=run.intact("stamps"),
        array=run.intact("array"),
        seed=run.settings["seed"],
    )
    run.finish(write_section(section, run.output.section))


if __name__ == "__main__":
    run_job(main, snakemake)
