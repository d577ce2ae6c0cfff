"""Write the pairs of each split with their series, and measure the training pairs."""

from skymill.engine.job import job

with job(snakemake) as run:
    import pyarrow.parquet as pq

    from skymill.aligned.statistics import TRAIN, measure
    from skymill.aligned.write import of_split, require_same_tensors, write_pairs
    from skymill.engine.digests import ordered_digest
    from skymill.engine.products import write_json
    from skymill.engine.tables import describe_columns, read_table
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

    (folder,) = (split for split in run.output.splits if split.name == TRAIN)
    train = sorted(folder.iterdir())
    write_json(run.output.statistics, measure(train))
    tables = {"pairs": describe_columns(pq.read_schema(train[0]))}
    run.finish(product=run.output.statistics, tables=tables)
