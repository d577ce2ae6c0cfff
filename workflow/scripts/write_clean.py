"""Write the clean records of one collection."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.magnetic.clean", snakemake.threads)
    from skymill.magnetic.clean import write_clean
    from skymill.magnetic.store import stores_by_name
    from skymill.products import read_json, write_manifest

    stores = stores_by_name(snakemake.input["values"], snakemake.input.manifests)
    files = write_clean(
        Path(snakemake.input.ids), stores, Path(snakemake.output.clean), workers=snakemake.threads
    )
    counts = {
        "records_by_label": read_json(snakemake.input.ids_manifest)["counts"]["kept_by_label"]
    }
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": files, "counts": counts},
        code=snakemake.params.code,
        settings={},
        inputs=[snakemake.input.ids_manifest, *snakemake.input.manifests],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
