"""Write the index of one SDOBenchmark set."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_manifest
    from skymill.sdo.index import make_index, write_index
    from skymill.sdo.tables import read_set

    source, settings = snakemake.input, snakemake.params.config
    samples, images, plan = (
        read_set(Path(path), snakemake.wildcards.sdo_set)
        for path in (source.samples, source.images, source.plan)
    )
    index = make_index(samples, images, plan, tree=settings["tree"], root=settings["root"])
    counts = {
        "records_by_label": index["label"].value_counts().sort_index().to_dict(),
        "samples_by_split": index["split"].value_counts().sort_index().to_dict(),
        "windows_ending_at_peak": int(index["window_ends_at_peak"].sum()),
        "samples_overlapping": int((index["overlapping_samples"] > 0).sum()),
    }
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": [write_index(Path(snakemake.output.index), index)], "counts": counts},
        code=snakemake.params.code,
        settings=settings,
        inputs=[source.manifest, source.plan_manifest],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
