"""Gather the stamps of the cross-matched ZTF alerts."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.ztf.gather", snakemake.threads)
    from skymill.products import write_manifest
    from skymill.ztf.gather import gather

    source, made = snakemake.input, snakemake.output
    files, counts = gather(
        Path(source.plan),
        [Path(path) for path in source.stamps],
        table=Path(made.stamps),
        array=Path(made.array),
        listing=Path(made.labels),
        workers=snakemake.threads,
    )
    write_manifest(
        Path(made.manifest),
        {"files": files, "counts": counts},
        code=snakemake.params.code,
        settings={},
        inputs=[source.plan_manifest, *source.manifests],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
