"""Measure the training alerts of the cross-match."""

from skymill.engine.job import run_job


def main(run):
    import pyarrow.parquet as pq

    from skymill.engine.products import write_json
    from skymill.engine.tables import describe_columns
    from skymill.ztf.statistics import count_splits, measure
    from skymill.ztf.write import CUTOUTS, STAMPS

    write_json(
        run.output.statistics, measure(run.input.stamps, run.input.array, workers=run.threads)
    )
    crop = run.product("stamps").counts["crop"]
    shapes = {STAMPS: [len(CUTOUTS), crop, crop]}
    run.finish(
        counts={"by_split": count_splits(run.input.stamps)},
        tables={"alerts": describe_columns(pq.read_schema(run.input.stamps), shapes)},
    )


if __name__ == "__main__":
    run_job(main, snakemake, workers="skymill.ztf.statistics")
