"""Check the losses of one night, that it has stamps, and that its archive is complete."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.ztf.check import require_sound

    night = run.wildcards.night
    extracted = run.product("stamps")
    require_sound(
        night,
        extracted.document,
        run.input.quarantine,
        limits=run.config["limits"],
        accept_truncated=run.config["ztf"]["accept_truncated"],
    )
    run.finish(night=night, counts=extracted.counts, truncated=extracted.document["truncated"])
