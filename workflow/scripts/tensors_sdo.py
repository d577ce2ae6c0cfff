"""Write the tensors of one SDOBenchmark set."""

from pathlib import Path

from skymill.job import logged_job
from skymill.parallel import start_workers


def main(snakemake):
    start_workers("skymill.sdo.tensors", snakemake.threads)
    from skymill.products import write_manifest
    from skymill.sdo.tables import read_set
    from skymill.sdo.tensors import write_tensors

    source = snakemake.input
    samples, images = (
        read_set(Path(path), snakemake.wildcards.sdo_set)
        for path in (source.samples, source.images)
    )
    files, counts = write_tensors(
        Path(source.folder),
        samples,
        images,
        Path(snakemake.output.tensors),
        workers=snakemake.threads,
    )
    write_manifest(
        Path(snakemake.output.manifest),
        {"files": files, "counts": counts},
        code=snakemake.params.code,
        settings={},
        inputs=[source.manifest],
        gates=[source.gate],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
