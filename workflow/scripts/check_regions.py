"""Check that no region is too large to be split off."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.magnetic.books import require_small_regions
    from skymill.products import read_json, write_manifest

    settings = snakemake.params.config
    counts = read_json(snakemake.input.manifest)["counts"]
    if settings["split.unit"] == "region":
        require_small_regions(counts, settings["limits.max_region_fraction"])
    write_manifest(
        Path(snakemake.output.receipt),
        {"counts": counts},
        code=snakemake.params.code,
        settings=settings,
        inputs=[snakemake.input.manifest],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
