"""Draw the section of the report about the aligned pairs."""

from skymill.engine.job import run_job


def main(run):
    from skymill.aligned.figures import draw_section
    from skymill.aligned.join import read_windows
    from skymill.engine.tables import read_table
    from skymill.report.folder import write_section

    pairs = read_table(run.intact("pairs"))
    catalogues = {steps.path.parent.name: steps.counts for steps in run.products("steps")}
    has_records = run.input.get("record_times")
    section = draw_section(
        pairs=pairs.to_pandas(),
        plan=run.product("pairs").counts,
        catalogues=catalogues,
        windows=read_windows(run.input.windows),
        located=run.product("record_times").counts if has_records else None,
        shown=_shown(run, pairs) if pairs.num_rows else None,
        seed=run.settings["seed"],
    )
    run.finish(write_section(section, run.output.section))


def _shown(run, pairs):
    """Return the pair whose curves and images are drawn."""
    import numpy as np

    from skymill.aligned.figures import Pair
    from skymill.aligned.pictures import choose_pair
    from skymill.aligned.write import read_series
    from skymill.engine.products import require_content
    from skymill.sdo.figures import SampleSheet
    from skymill.sdo.sample_images import files_of_sample, read_images

    row = choose_pair(pairs.select(["flags", "label", "steps_present", "sample_id"]).to_pandas())
    chosen = pairs.slice(row, 1)
    (facts,) = chosen.to_pylist()
    series = read_series(chosen, run.input.steps)[0]
    tensors = {path.stem: path for path in run.input.get("tensors") or []}
    if not tensors:
        return Pair(facts, series, None)
    group = tensors[facts["set"]]
    for path in files_of_sample(group, facts["row"]):
        require_content(path, run.digest(path))
    pixels, there = read_images(group, facts["row"])
    sheet = SampleSheet(
        facts["sample_id"], facts["goes_sdo"], facts["split"], pixels, there, np.zeros_like(there)
    )
    return Pair(facts, series, sheet)


if __name__ == "__main__":
    run_job(main, snakemake)
