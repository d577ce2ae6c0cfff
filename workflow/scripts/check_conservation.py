"""Reconcile the counts of one collection."""

from skymill.engine.job import run_job


def main(run):
    from skymill.magnetic.check import conserve

    run.finish(
        counts=conserve(
            run.products("ingested"),
            run.product("ids"),
            run.product("clean"),
            *run.products("planned"),
        )
    )


if __name__ == "__main__":
    run_job(main, snakemake)
