"""Write the augmented training set that the plan lists."""

from skymill.engine.job import job

with job(snakemake, workers="skymill.magnetic.augment") as run:
    from skymill.magnetic.augment import write_augmented
    from skymill.magnetic.inputs import INPUTS

    files, counts = write_augmented(
        run.input.plan,
        run.input.ids,
        run.product("clean"),
        run.output.augmented,
        seed=run.settings["seed"],
        everything=run.settings["split.augment"] == "all",
        parameters=INPUTS[run.settings["magnetic.input"]].parameters,
        workers=run.threads,
    )
    run.finish(files, counts=counts)
