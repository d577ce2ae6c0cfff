"""Write each sampled ZTF alert to a separate file."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.ztf.alert_files import write_alert_files
    from skymill.ztf.plan import ALL

    files, counts = write_alert_files(
        run.intact("stamps"),
        run.intact("array"),
        run.output.alerts,
        by_candid=run.settings["ztf.representative"] == ALL,
    )
    run.finish(files, counts=counts)
