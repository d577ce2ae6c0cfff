"""Write one engineered split."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.magnetic.features import records_of_holdout, records_of_split, write_features
    from skymill.products import read_json, write_manifest

    settings = snakemake.params.config
    source, split = snakemake.input, snakemake.wildcards.split
    inputs = [source.store_manifest, source.ids_manifest]
    if split == "holdout_test":
        records = records_of_holdout(Path(source.ids))
        expected = {"unknown": read_json(source.ids_manifest)["counts"]["kept"]}
    else:
        everything = settings["split.augment"] == "all"
        records = records_of_split(
            split, Path(source.plan), Path(source.ids), everything=everything
        )
        planned = read_json(source.plan_manifest)["counts"]["by_split"][split]
        expected = planned["by_label"]
        inputs.append(source.plan_manifest)
    files, never_measured = write_features(
        (Path(source.store), Path(source.store_manifest)),
        *records,
        settings["features"],
        Path(snakemake.output.features),
        expected=expected,
        workers=snakemake.threads,
    )
    counts = {
        "records": len(records[0]),
        "records_by_label": expected,
        "records_never_measured": never_measured,
    }
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": files, "counts": counts},
        code=snakemake.params.code,
        settings=settings,
        inputs=inputs,
        gates=[source.leaks, source.conservation],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
