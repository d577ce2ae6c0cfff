"""Write one engineered split."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.magnetic.features", snakemake.threads)
    from skymill.magnetic.features import promised_counts, records_of_split, write_features
    from skymill.products import read_json, write_manifest

    settings, source = snakemake.params.config, snakemake.input
    split = snakemake.wildcards.split
    plan, plan_manifest = source.get("plan"), source.get("plan_manifest")
    everything = settings.get("split.augment") == "all"
    records = records_of_split(split, Path(source.ids), plan and Path(plan), everything=everything)
    expected = promised_counts(
        split, read_json(source.ids_manifest), plan_manifest and read_json(plan_manifest)
    )
    files, never_measured = write_features(
        (Path(source.store), Path(source.store_manifest)),
        *records,
        settings["features"],
        Path(snakemake.output.features),
        expected=expected,
        workers=snakemake.threads,
    )
    manifests = [source.store_manifest, source.ids_manifest, *filter(None, [plan_manifest])]
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
        inputs=manifests,
        gates=[source.leaks, source.conservation],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
