"""Fetch one raw file."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill import paths
    from skymill.retrieve.fetch import fetch
    from skymill.retrieve.http import Patience
    from skymill.retrieve.registry import find_source, load_registry
    from skymill.ztf.nights import read_nights

    source = find_source(load_registry(), snakemake.wildcards.file)
    # Read here and not as parameters: how patient a download is does not make it stale, nor does
    # which nights are asked for.
    settings = snakemake.config["retrieve"]
    patience = Patience(
        attempts=settings["attempts"],
        timeout=settings["timeout"],
        first_pause=settings["first_pause"],
    )
    days = read_nights(snakemake.config["ztf"]["nights"]).ranged
    maybe = {paths.ZTF_NIGHT_FILE.format(night=night) for night in days}
    fetch(
        source,
        Path(snakemake.output.raw),
        patience=patience,
        may_be_absent=snakemake.wildcards.file in maybe,
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
