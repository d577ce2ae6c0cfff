"""Cut the stamps out of one night's alerts."""

from skymill.engine.job import run_job


def main(run):
    from skymill.raw.files import HashedRaw, fetched_from
    from skymill.raw.registry import enforced_checksum, find_source, load_registry
    from skymill.ztf.catalogue import extract_night
    from skymill.ztf.decode import Choice

    night, settings = run.wildcards.night, run.settings
    source = find_source(load_registry(), run.params.file)
    origin = fetched_from(run.input.raw)
    checksum = enforced_checksum(source, origin) if run.params.enforced else None
    raw = HashedRaw(run.input.raw, source.kind, checksum=checksum)
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
    run.finish(**content, raw=raw.receipt())


if __name__ == "__main__":
    run_job(main, snakemake)
