"""Write the index of one SDOBenchmark set."""

from skymill.engine.job import run_job


def main(run):
    from skymill.engine.digests import ordered_digest
    from skymill.sdo.goes import LABELS
    from skymill.sdo.index import make_index, write_index
    from skymill.sdo.names import SPLITS
    from skymill.sdo.tables import read_set

    samples, images, plan = (
        read_set(run.intact(name), run.wildcards.sdo_set) for name in ("samples", "images", "plan")
    )
    index = make_index(samples, images, plan, **run.settings)
    at_peak = index["window_ends_at_peak"]
    counts = {
        "records_by_label": {name: int((index["label"] == name).sum()) for name in LABELS},
        "samples_by_split": {name: int((index["split"] == name).sum()) for name in SPLITS},
        "windows_ending_at_peak": {
            "true": int(at_peak.sum()),
            "false": int((~at_peak).sum()),
            "unknown": int(at_peak.isna().sum()),
        },
        "samples_overlapping": int((index["overlapping_samples"] > 0).sum()),
    }
    run.finish(
        [write_index(run.output.index, index)],
        counts=counts,
        identity=ordered_digest(samples["sample_id"]),
    )


if __name__ == "__main__":
    run_job(main, snakemake)
