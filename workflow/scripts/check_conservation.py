"""Balance the books of one collection."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.magnetic.books import conserve
    from skymill.products import write_manifest

    planned = [Path(path) for path in snakemake.input.get("planned", [])]
    ingested = [Path(path) for path in snakemake.input["values"]]
    ids, clean = Path(snakemake.input.ids), Path(snakemake.input.clean)
    books = conserve(ingested, ids, clean, *planned)
    write_manifest(
        Path(snakemake.output.receipt),
        {"counts": books},
        code=snakemake.params.code,
        settings={},
        inputs=[*ingested, ids, clean, *planned],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
