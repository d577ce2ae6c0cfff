"""Read the list of labelled objects."""

from skymill.engine.job import run_job


def main(run):
    from skymill.ztf.labels import Rules, read_labels

    settings = run.settings["labels"]
    content = read_labels(
        run.input.raw,
        run.output.labels,
        run.output.problems,
        Rules(
            source=settings["source"],
            on_conflict=settings["on_conflict"],
            min_probability=settings["min_probability"],
            labels=settings["map"],
            other=settings["other"],
        ),
    )
    run.finish(**content)


if __name__ == "__main__":
    run_job(main, snakemake)
