"""Fetch one raw file."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill import paths
    from skymill.raw.fetch import fetch
    from skymill.raw.http import Patience
    from skymill.raw.registry import find_source, load_registry
    from skymill.ztf.nights import read_nights

    file = run.wildcards.file
    # These are not settings of the rule: retries and timeouts do not make a download stale, and
    # the selection of nights does not either.
    settings = run.config["retrieve"]
    patience = Patience(
        attempts=settings["attempts"],
        timeout=settings["timeout"],
        first_pause=settings["first_pause"],
    )
    days = read_nights(run.config["ztf"]["nights"]).ranged
    maybe = {paths.ZTF_NIGHT_FILE.format(night=night) for night in days}
    source = find_source(load_registry(), file)
    fetch(source, run.output.raw, patience=patience, may_be_absent=file in maybe)
