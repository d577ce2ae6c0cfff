"""Assign the record ids of one collection."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.tables import read_table, write_table
    from skymill.magnetic.ids import assign_ids, warn_of_contradictions

    catalogues = [read_table(path) for path in run.input.catalogues]
    ids, counts = assign_ids(catalogues, collisions=run.settings["collisions"])
    warn_of_contradictions(run.wildcards.collection, counts)
    run.finish([write_table(run.output.ids, ids)], counts=counts)
