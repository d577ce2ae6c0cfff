"""Fetch one raw file."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.retrieve.fetch import fetch
    from skymill.retrieve.http import Patience
    from skymill.retrieve.registry import find_source, load_registry

    source = find_source(load_registry(), snakemake.wildcards.file)
    # Read here and not as parameters: how patient a download is does not make it stale.
    settings = snakemake.config["retrieve"]
    patience = Patience(
        attempts=settings["attempts"],
        timeout=settings["timeout"],
        first_pause=settings["first_pause"],
    )
    fetch(source, Path(snakemake.output.raw), patience=patience)


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
