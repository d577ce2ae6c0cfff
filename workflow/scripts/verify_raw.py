"""Verify one raw file and write its receipt."""

from skymill.engine.job import run_job


def main(run):
    from skymill.raw.files import fetched_from, verify_raw
    from skymill.raw.registry import enforced_checksum, find_source, load_registry

    source = find_source(load_registry(), run.wildcards.file)
    raw = run.input.raw
    checksum = enforced_checksum(source, fetched_from(raw)) if run.params.enforced else None
    run.finish(raw=verify_raw(raw, source.kind, checksum=checksum))


if __name__ == "__main__":
    run_job(main, snakemake)
