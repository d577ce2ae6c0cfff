"""Write the clean records of one collection."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.magnetic.write") as run:
    from skymill.magnetic.inputs import INPUTS
    from skymill.magnetic.store import RecordStore
    from skymill.magnetic.write import write_clean

    one = INPUTS[run.settings["magnetic.input"]]
    if one.has_places:
        from skymill.magnetic.windows import WindowStore

        tables = zip(run.input.catalogues, run.input.steps, strict=True)
        stores = {catalogue.stem: WindowStore(catalogue, steps) for catalogue, steps in tables}
    else:
        stores = {product.path.name: RecordStore(product) for product in run.products("values")}
    files = write_clean(
        run.input.ids,
        stores,
        run.output.clean,
        parameters=one.parameters,
        page_checksums=run.settings["magnetic.page_checksums"],
        workers=run.threads,
    )
    run.finish(files, counts={"records_by_label": run.product("ids").counts["kept_by_label"]})
