"""Draw the section of the report about SDOBenchmark."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.tables import read_frame
    from skymill.report.folder import write_section
    from skymill.sdo.figures import SampleSheet, choose_sample, count_filled, draw_section, flags_of
    from skymill.sdo.sample_images import read_intact_images

    catalogue = run.product("samples")
    plan = read_frame(run.intact("plan"))
    samples = read_frame(run.intact("samples"))
    images = read_frame(
        run.intact("images"), ["set", "row", "channel", "step", "status", "flagged"]
    )

    sheet = None
    good = images[(images["status"] == "ok").to_numpy()]
    filled = count_filled(good, catalogue.counts["samples"])
    chosen = choose_sample(plan, filled, run.settings["seed"])
    tensors = run.input.get("tensors")
    if tensors and chosen is not None:
        sample = plan.iloc[chosen]
        place = (sample["set"], int(sample["row"]))
        sheet = SampleSheet(
            *sample[["sample_id", "goes_class", "split"]],
            *read_intact_images(tensors, *place, run.digest),
            flags_of(good, *place),
        )

    section = draw_section(
        samples=samples.merge(plan[["set", "row", "goes_class"]], on=["set", "row"]),
        images=images,
        located=run.product("located").document,
        catalogue=catalogue.document,
        plan=run.product("plan").document,
        sample=sheet,
        flux_scale=run.settings["sdo.flux_scale"],
        split=run.settings["sdo.split"],
    )
    run.finish(write_section(section, run.output.section))
