"""Write the card of a data set, for people and for programs."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.cards.croissant import describe
    from skymill.cards.datasheet import write_datasheet
    from skymill.cards.facts import gather
    from skymill.engine.products import Product, write_json, write_page
    from skymill.paths import DATA_SETS

    name = next(
        name for name, folder in DATA_SETS.items() if folder.endswith(f"/{run.wildcards.data_set}")
    )
    products, receipts, raw = (
        [Product(path).document for path in run.input.get(kind) or ()]
        for kind in ("products", "receipts", "raw")
    )
    facts = gather(name, products, receipts, raw, run.settings)
    write_page(run.output.card, write_datasheet(facts))
    write_json(run.output.croissant, describe(facts))
    run.finish()
