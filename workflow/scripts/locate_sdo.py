"""Find the root of the unpacked SDOBenchmark tree and write its receipt."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.products import read_document
    from skymill.sdo.tree import locate, require_same_zip

    # A user's own tree has no manifest.
    if run.input.manifest:
        (manifest,) = run.input.manifest
        unpacked = read_document(manifest)
        for receipt in run.products("receipt"):
            require_same_zip(run.input.folder, unpacked, receipt.document)
        run.finish(**locate(run.input.folder, unpacked))
    else:
        run.finish(**locate(run.input.folder), source="local")
