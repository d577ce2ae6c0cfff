"""Verify one raw file and write its receipt."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.raw.files import fetched_from, verify_raw
    from skymill.raw.registry import kind_and_checksum

    raw = run.input.raw
    kind, checksum = kind_and_checksum(
        run.wildcards.file, fetched_from(raw), is_enforced=run.params.enforced
    )
    run.finish(raw=verify_raw(raw, kind, checksum=checksum))
