"""Verify one raw magnetic file and write its receipt."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.products import write_json
    from skymill.raw import verify_magnetic

    receipt = verify_magnetic(Path(snakemake.input.raw))
    write_json(Path(snakemake.output.receipt), receipt)


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
