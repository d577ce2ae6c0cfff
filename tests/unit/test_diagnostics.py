"""The diagnostics page says what was rejected, why, and how this affects the classes."""

import copy
import re

import pytest

from skymill.engine.products import Product
from skymill.magnetic.plan_counts import doubts
from skymill.magnetic.report import diagnose
from skymill.magnetic.schema import LABELS, PARTITIONS, SPLITS, TRAIN_SPLITS

LEAKS = "Leaks between splits, and overlap with the test file"


def page_of(run, **other):
    parts = {
        "catalogues": [run.ingested[name].paths["catalogue"] for name in PARTITIONS],
        "quarantines": [run.ingested[name].paths["quarantine"] for name in PARTITIONS],
        "ids": [run.products[run.ids[name]] for name in ("train", "test")],
        "regions": run.products[run.regions],
        "plan": run.products[run.plan],
        "leaks": Product(run.leaks),
        "features": [run.products[run.features(split)] for split in SPLITS],
        "settings": {name: run.config[name] for name in ("seed", "augmentation", "features")},
    }
    return diagnose(**(parts | other))


@pytest.fixture(scope="module")
def page(small_run):
    return page_of(small_run)


def table(page, title):
    """Return the rows of the table under a title, cells as text."""
    section = page.split(f"## {title}\n\n")[1].split("\n\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def test_lines_read_are_listed_by_file(page):
    rows = {row["file"]: row for row in table(page, "Lines read")}
    assert list(rows) == list(PARTITIONS)
    first = rows["train_partition1_data"]
    assert (first["lines"], first["valid"], first["rejected"], first["blank"]) == (
        *("23", "21", "1", "1"),
    )
    assert rows["test_4_5_data"]["rejected"] == "1"


def test_rejected_records_are_tabulated_by_reason_and_class(page):
    rows = {row["reason"]: row for row in table(page, "Rejected records by class")}
    assert rows["wrong_steps"]["M"] == "1"
    assert rows["no_usflux"]["B"] == "1"
    assert rows["no_usflux"]["test file, unlabelled"] == "1"
    assert rows["invalid_json"]["not readable"] == "1"
    assert rows["all rejected"] == {
        "reason": "all rejected",
        **{"X": "0", "M": "1", "C": "0", "B": "1", "Q": "0"},
        **{"not readable": "1", "test file, unlabelled": "1"},
    }
    assert [rows["valid"][label] for label in LABELS] == ["12"] * 5
    assert rows["share rejected"]["M"] == "7.69%"


def test_records_with_the_wrong_number_of_steps_are_listed(page):
    (row,) = table(page, "Records with the wrong number of steps")
    assert row["file"] == "train_partition1_data.json"
    assert (row["line"], row["id"], row["class"]) == ("4", "900", "M")
    assert row["problem"] == "MEANALP has 59 steps, without 59"


def test_ids_regions_splits_and_leaks_are_listed(page, small_run):
    rows = {row[""]: row for row in table(page, "Ids and regions")}
    assert rows["records kept"] == {"": "records kept", "training files": "60", "test file": "4"}
    assert int(rows["records with a new id"]["training files"]) > 0
    assert rows["records with a new id"]["test file"] == "1"
    assert "The 60 training records are in 20 regions." in page
    splits = {row["split"]: row for row in table(page, "Splits")}
    for name in ("train", "dev", "test"):
        told = small_run.plan_counts["by_split"][name]
        assert splits[name]["records"] == f"{told['records']:,}"
        assert splits[name]["X"] == f"{told['by_label']['X']:,}"
    assert [row["in several splits"] for row in table(page, LEAKS)] == ["0"] * 3
    assert "3 training records share a step with 1 records of the test file (train " in page


def test_windows_and_regions_of_each_class_are_listed_by_split(page, small_run):
    rows = {row[""]: row for row in table(page, "Original windows and regions of each class")}
    assert list(rows) == list(TRAIN_SPLITS)
    planned = small_run.planned[small_run.planned["method"] == "original"]
    for name in TRAIN_SPLITS:
        for label in LABELS:
            inside = planned[(planned["split"] == name) & (planned["label"] == label)]
            assert rows[name][f"{label} windows"] == str(len(inside))
            assert rows[name][f"{label} regions"] == str(inside["region"].nunique())


def test_folds_are_listed(small_run):
    told = copy.deepcopy(small_run.products[small_run.plan])
    part = told.counts["by_split"]["train"]
    told.counts["by_fold"] = [part, {**part, "regions_by_label": dict.fromkeys(LABELS, 7)}]
    page = page_of(small_run, plan=told)
    rows = table(page, "Original windows and regions of each class")
    assert [row[""] for row in rows] == [*TRAIN_SPLITS, "fold 0", "fold 1"]
    assert rows[-1]["X regions"] == "7"


def test_warnings_of_the_plan_are_listed(page, small_run):
    section = page.split("## Warnings about the splits\n\n")[1].split("\n\n## ")[0]
    said = doubts(small_run.plan_counts)
    assert any("class X, of 1 region" in doubt for doubt in said)
    assert section.splitlines() == [f"- {doubt}" for doubt in said]


def test_sizes_of_regions_are_listed_from_small_to_large(small_run):
    told = copy.deepcopy(small_run.products[small_run.regions])
    told.counts["regions_by_size"] = {"10-19": 2, "1000-more": 1, "2": 7, "3-4": 0, "5-9": 4}
    assert "Regions by number of records: 2: 7, 5-9: 4, 10-19: 2, 1000-more: 1." in page_of(
        small_run, regions=told
    )


def test_parameters_never_measured_are_listed_by_split(page):
    rows = table(page, "Records in which a parameter has no value")
    assert [row["split"] for row in rows] == list(SPLITS)
    assert all(row["USFLUX"] == "0" for row in rows)


def test_settings_in_force_are_listed_without_null_entries(small_run):
    settings = {"augmentation": {"X": {"warp": 8}}, "seed": 7, "split.unit": "region"}
    rows = {
        row["setting"]: row["value"]
        for row in table(page_of(small_run, settings=settings), "Settings")
    }
    assert rows == {"augmentation.X": "{warp: 8}", "seed": "7", "split.unit": "region"}
    page = page_of(small_run, settings={"augmentation": {}})
    assert table(page, "Settings") == [{"setting": "augmentation", "value": "nothing"}]


def test_contradictory_labels_are_listed(page, small_run):
    assert "No two records have the same values and different classes." in page
    told = copy.deepcopy(small_run.products[small_run.ids["train"]])
    example = {"partition": "train_partition1_data", "line": 3, "source_id": 7, "label": "X"}
    told.counts["contradictory"] = {"contents": 1, "records": 2, "examples": [example]}
    told.counts["collisions_with_identical_content_and_other_label"] = 1
    page = page_of(small_run, ids=[told])
    assert "2 records have the same values as another record but a different class" in page
    assert re.search(r"\| train_partition1_data.json \| +3 \| 7 +\| X", page)


def test_a_page_without_a_test_file_says_so(small_run):
    leaks = copy.deepcopy(Product(small_run.leaks))
    leaks.document["overlap_with_test_file"] = None
    names = PARTITIONS[:2]
    page = page_of(
        small_run,
        leaks=leaks,
        ids=[small_run.products[small_run.ids["train"]]],
        catalogues=[small_run.ingested[name].paths["catalogue"] for name in names],
        quarantines=[small_run.ingested[name].paths["quarantine"] for name in names],
    )
    assert "Not read: train_partition3_data.json, test_4_5_data.json." in page
    assert "There is no test file." in page


def test_the_page_explains_what_its_counts_prove(page):
    assert "Proven: If all three counts are 0, no two splits contain windows that share" in page
    assert "Not proven: That no two splits contain windows of the same active region." in page


def test_a_run_of_the_published_recipe_has_a_page(published_run):
    rows = table(page_of(published_run), LEAKS)
    assert int(rows[0]["in several splits"]) > 0


def test_equal_runs_have_equal_pages(page, small_run):
    assert page_of(small_run) == page
    assert str(small_run.folder) not in page
