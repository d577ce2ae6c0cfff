"""Draw the section of the report about SDOBenchmark."""

from skymill.engine.job import run_job


def main(run):
    from skymill.engine.tables import read_frame
    from skymill.report.folder import write_section
    from skymill.sdo.figures import draw_section

    catalogue = run.product("samples")
    plan = read_frame(run.intact("plan"))
    samples = read_frame(run.intact("samples"))
    columns = ["set", "row", "channel", "step", "status", "flagged"]
    images = read_frame(run.intact("images"), columns)
    section = draw_section(
        samples=samples.merge(plan[["set", "row", "goes_class"]], on=["set", "row"]),
        images=images,
        located=run.product("located").document,
        catalogue=catalogue.document,
        plan=run.product("plan").document,
        sample=_sample(run, images, plan, catalogue.counts["samples"]),
        flux_scale=run.settings["sdo.flux_scale"],
        split=run.settings["sdo.split"],
    )
    run.finish(write_section(section, run.output.section))


def _sample(run, images, plan, samples):
    """Return the sample whose images are shown, or None."""
    from skymill.engine.products import require_content
    from skymill.sdo.figures import SampleSheet, choose_sample, count_filled, flags_of
    from skymill.sdo.sample_images import files_of_sample, read_images

    tensors = {path.stem: path for path in run.input.get("tensors") or []}
    good = images[(images["status"] == "ok").to_numpy()]
    chosen = choose_sample(plan, count_filled(good, samples), run.settings["seed"])
    if chosen is None or not tensors:
        return None
    planned = plan.iloc[chosen]
    group, row = tensors[planned["set"]], int(planned["row"])
    for path in files_of_sample(group, row):
        require_content(path, run.digest(path))
    return SampleSheet(
        planned["sample_id"],
        planned["goes_class"],
        planned["split"],
        *read_images(group, row),
        flags_of(good, planned["set"], row),
    )


if __name__ == "__main__":
    run_job(main, snakemake)
