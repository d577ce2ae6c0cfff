"""Write the clean records of one collection."""

from skymill.engine.job import run_job


def main(run):
    from skymill.magnetic.write import write_clean

    stores = {product.path.name: product for product in run.products("values")}
    files = write_clean(run.input.ids, stores, run.output.clean, workers=run.threads)
    run.finish(files, counts={"records_by_label": run.product("ids").counts["kept_by_label"]})


if __name__ == "__main__":
    run_job(main, snakemake, workers="skymill.magnetic.write")
