"""The estimated time of a run, and the summary of its products."""

import pytest
from records import REPOSITORY

from skymill.engine.yaml_files import read_yaml
from skymill.estimate import RATES, SIMULATED, START, about, seconds, simulated_gigabytes
from skymill.made import REPORT, made_lines
from skymill.paths import BRANCH_FOLDERS


def test_every_branch_has_a_rate():
    assert {*RATES} == {*BRANCH_FOLDERS, "raw files", "baseline", REPORT}
    assert {*SIMULATED} == {*BRANCH_FOLDERS}


def test_small_jobs_take_their_start_up_time():
    needed = {"raw files": 10, "stealth": 10}
    assert seconds(needed, needed, {"stealth": 0}, 1) == 20 * START
    assert seconds(needed, needed, {"stealth": 0}, 4) == 5 * START


def test_rules_of_another_workflow_only_have_a_start_up_time():
    assert seconds({"Snakefile": 2}, {"Snakefile": 2}, {"ztf": 9.0}, 1) == 2 * START


def test_larger_data_take_more_time():
    jobs = {"magnetic": 10}
    full = seconds(jobs, jobs, {"magnetic": 17.0}, 1)
    assert full == 10 * START + 17 * RATES["magnetic"]
    half = seconds({"magnetic": 5}, jobs, {"magnetic": 17.0}, 1)
    assert half == full / 2


def test_simulating_takes_longer_than_hashing():
    jobs, sizes = {"raw files": 4}, {"magnetic": 1.0, "sdo": 2.0}
    hashed = seconds(jobs, jobs, sizes, 2)
    assert seconds(jobs, jobs, sizes, 2, is_simulated=True) > hashed


@pytest.mark.parametrize("branch", SIMULATED)
def test_the_demo_is_small(branch):
    settings = read_yaml(REPOSITORY / "config/config.yaml")["simulate"]
    assert 0 < simulated_gigabytes(branch, settings, nights=4) < 0.2
    assert simulated_gigabytes("ztf", settings, 8) == 2 * simulated_gigabytes("ztf", settings, 4)


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (0, "about 10 seconds"),
        (44, "about 40 seconds"),
        (100, "about 1.7 minutes"),
        (600, "about 10 minutes"),
        (6000, "about 1.7 hours"),
        (90000, "about 25 hours"),
    ],
)
def test_an_estimated_time_is_rounded(time, words):
    assert about(time) == words


# --- Products of a run ---------------------------------------------------------------------------


def document(size, **counts):
    return {"files": [{"bytes": size}], "counts": counts}


def test_products_of_this_run_are_listed_by_branch():
    magnetic = {
        "interim/solar_flare_2020/values/a.manifest.json": document(5, lines=100, rejected=3),
        "interim/solar_flare_2020/values/b.manifest.json": document(5, lines=1000, rejected=0),
        "processed/magnetic_data/train.manifest.json": document(2500),
        "processed/magnetic_data/old.manifest.json": document(9),
        "preprocessed/solar_flare_2020/leaks.receipt.json": {},
    }
    stealth = {"preprocessed/stealth/solar_flares.parquet.manifest.json": document(7)}
    documents = {"magnetic": magnetic, "stealth": stealth}
    new = [name for name in magnetic if "old" not in name]
    lines = made_lines(documents, new)
    assert [" ".join(line.split()) for line in lines] == [
        "magnetic 1 product 2.5 kB rejected: 3 of 1,100 lines"
    ]
    assert made_lines(documents, []) == []


def test_unlabelled_alerts_are_not_rejected():
    counts = {"records": 60, "kept": 40, "unlabelled": 15}
    night = {"preprocessed/ztf/stamps/20180601.parquet.manifest.json": document(1000, **counts)}
    assert made_lines({"ztf": night}, night)[0].endswith("rejected: 5 of 60 alerts")


def test_a_branch_without_a_readable_catalogue_is_still_listed():
    made = {"processed/sdo/train.zarr.manifest.json": {"members": {"bytes": 3_000_000}}}
    assert made_lines({"sdo": made}, made)[0].split() == ["sdo", "1", "product", "3.0", "MB"]


def test_rejected_windows_of_swan_sf_are_listed():
    name = "interim/solar_flare_2020/catalogue/partition1.parquet.manifest.json"
    made = {name: {"files": [], "counts": {"rejected": 2, "lines": 70}}}
    assert made_lines({"magnetic": made}, made)[0].endswith("rejected: 2 of 70 windows")
