"""Write the pairs of each split with their series."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.aligned.write import of_split, require_same_tensors, write_pairs
    from skymill.engine.digests import ordered_digest
    from skymill.engine.tables import read_table
    from skymill.sdo.names import SETS
    from skymill.sdo.tables import read_set

    samples = run.intact("samples")
    identity = {name: ordered_digest(read_set(samples, name)["sample_id"]) for name in SETS}
    require_same_tensors(identity, run.products("tensors") if run.input.get("tensors") else [])
    every_pair = read_table(run.intact("pairs"))
    for split in run.output.splits:
        pairs = of_split(every_pair, split.name)
        files = write_pairs(
            pairs,
            run.input.steps,
            split,
            features=run.settings["features"],
            sdo_identity=identity,
        )
        labels = pairs["label"].cast("string").to_pylist()
        run.finish(
            files,
            product=split,
            counts={"records_by_label": {name: labels.count(name) for name in "XMCQ"}},
            identity=ordered_digest(pairs["sample_id"].to_pylist()),
            sdo_identity=identity,
        )
