"""Check the plan for leaks between splits and overlap with the test file."""

from skymill.engine.job import run_job


def main(run):
    from skymill.magnetic.ids import read_ids, steps_of_records
    from skymill.magnetic.leaks import find_leaks, find_overlap, require_no_leak
    from skymill.magnetic.plan_table import read_plan
    from skymill.magnetic.schema import TEST_PARTITION

    train_stores = {product.path.name: product for product in run.products("values")}
    test_stores = {TEST_PARTITION: train_stores.pop(TEST_PARTITION)}
    train, test = map(read_ids, run.input.ids)
    plan = read_plan(run.input.plan)
    leaks = find_leaks(plan, train.set_index("record_id")["content"])
    overlap = find_overlap(
        plan[plan["method"] == "original"].set_index("record_id")["split"],
        train["record_id"].to_numpy(),
        steps_of_records(train, train_stores),
        steps_of_records(test, test_stores),
    )
    require_no_leak(leaks, run.settings["split.unit"])
    run.finish(leaks=leaks, overlap_with_test_file=overlap)


if __name__ == "__main__":
    run_job(main, snakemake)
