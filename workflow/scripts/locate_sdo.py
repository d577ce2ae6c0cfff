"""Find the root of the unpacked SDOBenchmark tree and write its receipt."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.products import read_document
    from skymill.sdo.tree import locate

    # A user's own tree has no manifest.
    if run.input.manifest:
        (manifest,) = run.input.manifest
        run.finish(**locate(run.input.folder, read_document(manifest)))
    else:
        run.finish(**locate(run.input.folder), source="local")
