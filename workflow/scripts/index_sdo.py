"""Write the index of one SDOBenchmark set."""

from skymill.engine.job import run_job


def main(run):
    from skymill.engine.digests import ordered_digest
    from skymill.sdo.index import make_index, write_index
    from skymill.sdo.tables import read_set

    samples, images, plan = (
        read_set(path, run.wildcards.sdo_set)
        for path in (run.input.samples, run.input.images, run.input.plan)
    )
    index = make_index(samples, images, plan, **run.settings)
    counts = {
        "records_by_label": index["label"].value_counts().sort_index().to_dict(),
        "samples_by_split": index["split"].value_counts().sort_index().to_dict(),
        "windows_ending_at_peak": int(index["window_ends_at_peak"].sum()),
        "samples_overlapping": int((index["overlapping_samples"] > 0).sum()),
    }
    run.finish(
        [write_index(run.output.index, index)],
        counts=counts,
        identity=ordered_digest(samples["sample_id"]),
    )


if __name__ == "__main__":
    run_job(main, snakemake)
