"""Cut the stamps out of one night's alerts."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.raw.files import HashedRaw, fetched_from
    from skymill.raw.registry import kind_and_checksum
    from skymill.ztf.catalogue import extract_night
    from skymill.ztf.decode import Choice

    night, settings = run.wildcards.night, run.settings
    kind, checksum = kind_and_checksum(
        run.params.file, fetched_from(run.input.raw), is_enforced=run.params.enforced
    )
    with HashedRaw(run.input.raw, kind, checksum=checksum) as raw:
        content = extract_night(
            run.input.raw,
            night,
            stamps=run.output.stamps,
            quarantine=run.output.quarantine,
            choice=Choice(
                crop=settings["ztf.crop"],
                edge=settings["ztf.edge"],
                no_data=settings["ztf.no_data"],
                labels=run.input.get("labels"),
            ),
            opener=raw.open,
            workers=run.threads,
        )
        receipt = raw.receipt()
    run.finish(**content, raw=receipt)
