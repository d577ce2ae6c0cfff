"""Check the plan for leaks between splits and overlap with the test file."""

from skymill.engine.job import job

with job(snakemake) as run:
    from skymill.engine.tables import read_table
    from skymill.magnetic.ids import read_ids, steps_of_records
    from skymill.magnetic.inputs import INPUTS
    from skymill.magnetic.leaks import STATEMENTS, find_leaks, find_overlap, require_no_leak
    from skymill.magnetic.plan_table import read_plan

    one = INPUTS[run.settings["magnetic.input"]]
    train, *test = map(read_ids, run.input.ids)
    plan = read_plan(run.input.plan)
    places = read_table(run.input.plan) if one.has_places else None
    leaks = find_leaks(plan, train.set_index("record_id")["content"], places)
    overlap = None  # without a test file
    if test:
        stores = {product.path.name: product for product in run.products("values")}
        overlap = find_overlap(
            plan[plan["method"] == "original"].set_index("record_id")["split"],
            train["record_id"].to_numpy(),
            steps_of_records(train, stores),
            steps_of_records(*test, stores),
        )
    require_no_leak(leaks, run.settings["split.unit"])
    run.finish(leaks=leaks, **STATEMENTS[one.name], overlap_with_test_file=overlap)
