"""Score simple models for the splits of each unit of split.unit."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.baseline.trials") as run:
    from skymill.baseline.report import csv_text, described, page
    from skymill.baseline.samples import magnetic_sample, stamps_sample
    from skymill.baseline.trials import run_trials
    from skymill.engine.errors import SkymillError
    from skymill.engine.products import Product, source_of, write_json, write_page

    samples, sources = {}, []
    if records := run.input.get("records"):
        samples["magnetic"] = magnetic_sample(
            records, run.input.ids, run.input.regions, run.settings
        )
        sources.append(Product(records).source)
    if stamps := run.input.get("stamps"):
        samples["ztf"] = stamps_sample(stamps, run.settings)
        sources.append(Product(stamps).source)
    if not samples:
        raise SkymillError(
            "only the branches magnetic and ztf have a baseline. Both are switched off: add one "
            "of them to `branches`."
        )
    data_sets = {}
    for name, (sample, divisions, left_out) in samples.items():
        rows = run_trials(sample, divisions, run.settings["seed"], workers=run.threads)
        data_sets[name] = described(name, sample, divisions, left_out, rows)
    content = {"source": source_of(sources), "data_sets": data_sets}
    write_json(run.output.scores, content)
    write_page(run.output.table, csv_text(content))
    write_page(run.output.page, page(content))
    run.finish(counts={name: {"scores": len(one["scores"])} for name, one in data_sets.items()})
