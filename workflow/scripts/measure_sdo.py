"""Measure the training samples of SDOBenchmark."""

from skymill.engine.job import run_job


def main(run):
    from skymill.engine.products import write_json
    from skymill.sdo.index import describe_index
    from skymill.sdo.statistics import measure

    tensors = run.input.get("tensors")
    write_json(run.output.statistics, measure(run.input.plan, tensors, workers=run.threads))
    run.finish(tables={"samples": describe_index()})


if __name__ == "__main__":
    run_job(main, snakemake, workers="skymill.sdo.statistics")
