"""Write the tensors of one SDOBenchmark set."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.sdo.tensors") as run:
    from skymill.engine.digests import ordered_digest
    from skymill.sdo.tables import read_set
    from skymill.sdo.tensors import write_tensors

    samples, images = (
        read_set(run.intact(name), run.wildcards.sdo_set) for name in ("samples", "images")
    )
    files, counts = write_tensors(
        run.input.folder, samples, images, run.output.tensors, workers=run.threads
    )
    run.finish(files, counts=counts, identity=ordered_digest(samples["sample_id"]))
