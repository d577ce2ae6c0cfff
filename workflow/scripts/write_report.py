"""Write the report about all branches."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.products import Product, write_page
    from skymill.report.folder import read_section
    from skymill.report.whole import write_whole

    sections = [read_section(product) for product in map(Product, run.input.sections)]
    documents = [Product(path).document for path in run.input.documents]
    page = write_whole(sections, documents, run.settings)
    write_page(run.output.page, page)
    run.finish()
