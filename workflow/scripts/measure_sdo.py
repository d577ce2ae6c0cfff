"""Measure the training samples of SDOBenchmark."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.sdo.statistics") as run:
    from skymill.engine.products import write_json
    from skymill.sdo.index import describe_index
    from skymill.sdo.statistics import measure

    tensors = run.input.get("tensors")
    write_json(run.output.statistics, measure(run.input.plan, tensors, workers=run.threads))
    run.finish(tables={"samples": describe_index()})
