"""Write the clean records of one collection."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.magnetic.clean import write_clean
    from skymill.products import read_json, write_manifest

    values = [Path(path) for path in snakemake.input["values"]]
    manifests = [Path(path) for path in snakemake.input.manifests]
    stores = {path.name: (path, manifest) for path, manifest in zip(values, manifests, strict=True)}
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
        inputs=[snakemake.input.ids_manifest, *manifests],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
