"""Draw the section of the report about the aligned pairs, and one pair as a figure."""

from skymill.engine.job import job

with job(snakemake) as run:
    import numpy as np

    from skymill.aligned.figures import Pair, draw_section
    from skymill.aligned.join import read_windows
    from skymill.aligned.pictures import choose_pair, draw_pair
    from skymill.aligned.write import read_series
    from skymill.engine.tables import read_table
    from skymill.report.folder import write_section
    from skymill.sdo.figures import SampleSheet
    from skymill.sdo.sample_images import read_intact_images

    pairs = read_table(run.intact("pairs"))
    row = choose_pair(pairs.select(["flags", "label", "steps_present", "sample_id"]).to_pandas())
    chosen = pairs.slice(row, 1)
    (pair,) = chosen.to_pylist()
    series = read_series(chosen, run.input.steps)[0]
    sheet = images = None
    if tensors := run.input.get("tensors"):
        images = read_intact_images(tensors, pair["set"], pair["row"], run.digest)
        names = (pair["sample_id"], pair["goes_sdo"], pair["split"])
        sheet = SampleSheet(*names, *images, flagged=np.zeros_like(images[1]))
    figure = run.output.figure
    run.finish(draw_pair(pair, series, figure, images), product=figure)

    section = draw_section(
        pairs=pairs.to_pandas(),
        plan=run.product("pairs").counts,
        catalogues={steps.path.parent.name: steps.counts for steps in run.products("steps")},
        windows=read_windows(run.input.windows),
        located=run.product("record_times").counts if run.input.get("record_times") else None,
        shown=Pair(pair, series, sheet),
        seed=run.settings["seed"],
    )
    run.finish(write_section(section, run.output.section), product=run.output.section)
