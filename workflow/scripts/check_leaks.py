"""Check the plan for leaks between splits and overlap with the test file."""

from pathlib import Path

from skymill.job import logged_job


def main(snakemake):
    from skymill.magnetic.ids import read_ids, steps_of_records
    from skymill.magnetic.leaks import find_leaks, find_overlap, require_no_leak
    from skymill.magnetic.plan_table import read_plan
    from skymill.magnetic.schema import TEST_PARTITION
    from skymill.magnetic.store import stores_by_name
    from skymill.products import write_manifest

    settings = snakemake.params.config
    train_stores = stores_by_name(snakemake.input["values"], snakemake.input.manifests)
    test_stores = {TEST_PARTITION: train_stores.pop(TEST_PARTITION)}
    train, test = [read_ids(Path(path)) for path in snakemake.input.ids]
    plan = read_plan(Path(snakemake.input.plan))
    leaks = find_leaks(plan, train.set_index("record_id")["content"])
    overlap = find_overlap(
        plan[plan["method"] == "original"].set_index("record_id")["split"],
        train["record_id"].to_numpy(),
        steps_of_records(train, train_stores),
        steps_of_records(test, test_stores),
    )
    require_no_leak(leaks, settings["split.unit"])
    write_manifest(
        Path(snakemake.output.receipt),
        {"leaks": leaks, "overlap_with_test_file": overlap},
        code=snakemake.params.code,
        settings=settings,
        inputs=[
            snakemake.input.plan_manifest,
            *snakemake.input.ids_manifests,
            *snakemake.input.manifests,
        ],
    )


if __name__ == "__main__":
    with logged_job(__file__, snakemake.log[0]):
        main(snakemake)
