"""Verify one raw file and write its receipt."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_json
    from skymill.raw import verify_raw
    from skymill.retrieve.registry import enforced_checksum, find_source, load_registry

    source = find_source(load_registry(), snakemake.wildcards.file)
    checksum = enforced_checksum(source) if snakemake.params.enforced else None
    receipt = verify_raw(Path(snakemake.input.raw), source.kind, checksum=checksum)
    write_json(Path(snakemake.output.receipt), receipt)


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
