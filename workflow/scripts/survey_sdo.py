"""Look over the unpacked SDOBenchmark tree and write its receipt."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.digests import file_sha256
    from skymill.products import write_json
    from skymill.sdo.tree import survey

    content = survey(Path(snakemake.input.folder))
    # A tree put there by hand has neither manifest nor receipt.
    inputs = [*snakemake.input.get("manifest", []), *snakemake.input.get("receipt", [])]
    content["inputs"] = {name: file_sha256(Path(name)) for name in inputs}
    write_json(Path(snakemake.output.receipt), {**content, "code": snakemake.params.code})


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
