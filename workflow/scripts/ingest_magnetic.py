"""Ingest one raw magnetic file."""

from skymill.engine.job import run_job


def main(run):
    from skymill.magnetic.catalogue import ingest

    content = ingest(
        run.input.raw,
        run.wildcards.partition,
        labelled=run.params.labelled,
        values=run.output.values,
        catalogue=run.output.catalogue,
        quarantine=run.output.quarantine,
        workers=run.threads,
    )
    run.finish(**content)


if __name__ == "__main__":
    run_job(main, snakemake, workers="skymill.magnetic.catalogue")
