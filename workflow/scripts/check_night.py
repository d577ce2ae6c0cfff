"""Check how many packets of one night are corrupt, and that its archive is whole."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import read_json, write_manifest
    from skymill.ztf.gate import require_sound

    settings = snakemake.params.config
    manifest = read_json(snakemake.input.manifest)
    require_sound(
        snakemake.wildcards.night,
        manifest,
        Path(snakemake.input.quarantine),
        max_corrupt_fraction=settings["limits.max_corrupt_fraction"],
        accept_truncated=settings["ztf.accept_truncated"],
    )
    write_manifest(
        Path(snakemake.output.receipt),
        {"counts": manifest["counts"], "truncated": manifest["truncated"]},
        code=snakemake.params.code,
        settings=settings,
        inputs=[snakemake.input.manifest],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
