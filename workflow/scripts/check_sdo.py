"""Check how much of SDOBenchmark is damaged or lost."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import read_json, write_manifest
    from skymill.sdo.gate import require_intact

    settings = snakemake.params.config
    counts = read_json(snakemake.input.manifest)["counts"]
    require_intact(
        counts,
        Path(snakemake.input.problems),
        max_damaged_fraction=settings["limits.max_damaged_fraction"],
        max_lost_samples_fraction=settings["limits.max_lost_samples_fraction"],
    )
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
