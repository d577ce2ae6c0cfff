"""The baseline is a separate target that uses enabled branches; changed inputs make it stale."""

import json

from projects import said

FOLDER = "data/processed/baseline"
RULES = {"describe_records", "describe_stamps", "score_baseline"}


def stale(project):
    """Return the rules that the target would run, without the target."""
    return project.stale("baseline") - {"baseline"}


def test_the_baseline_is_made_by_its_target_and_changed_inputs_make_it_stale(finished):
    # The fewer records train has, the smaller the trees are.
    finished.set("split: {fractions: {train: 0.3, dev: 0.3, test: 0.4}}")
    assert stale(finished) == RULES
    finished.run("--cores", "2", "baseline")
    assert stale(finished) == set()
    content = json.loads(finished.path(f"{FOLDER}/scores.json").read_text())
    assert content["source"] == "sample"
    magnetic, ztf = (content["data_sets"][name]["scores"] for name in ("magnetic", "ztf"))
    assert {row["unit"] for row in magnetic} == {"region", "record", "partition"}
    assert {row["unit"] for row in ztf} == {"group", "alert"}
    assert {row["model"] for row in magnetic} == {"nearest", "trees", "logistic", "climatology"}
    rows = finished.path(f"{FOLDER}/scores.csv").read_text().splitlines()
    assert len(rows) == 1 + len(magnetic) + len(ztf)
    page = finished.path(f"{FOLDER}/baseline.md").read_text()
    assert "mean nothing about the Sun" in page.splitlines()[0]

    finished.set("baseline: {positive: {magnetic: [X]}}")
    assert stale(finished) == {"score_baseline"}
    finished.set("{baseline: {positive: {magnetic: [X, M]}}, augmentation: {M: {warp: 2}}}")
    assert stale(finished) == {"describe_records", "score_baseline"}


def test_without_records_and_stamps_there_is_no_baseline(project):
    project.set("branches: [stealth]")
    done = project.run("--cores", "2", "baseline", succeeds=False)
    assert "only the branches magnetic and ztf have a baseline" in said(done)
