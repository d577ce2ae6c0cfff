"""Failures, kills and switches: nothing is lost, and no run succeeds with stale results."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from projects import ONE_THREAD, said, without_report

TRAIN = "data/processed/magnetic_data/train"
PLAN_MODULE = "workflow/scripts/skymill/magnetic/plan.py"
RAW = "data/sample/raw/solar_flare_2020/train_partition1_data.json"
FAULT = '\nraise RuntimeError("a fault in the middle")\n'


def test_every_product_has_been_made_and_says_that_it_is_simulated(finished):
    manifests = [
        json.loads(content)
        for name, content in finished.products().items()
        if name.endswith((".manifest.json", ".receipt.json"))
    ]
    assert len(manifests) > 20
    assert {manifest["source"] for manifest in manifests} == {"sample"}


def test_manifests_have_no_absolute_path(finished):
    for name, content in finished.products().items():
        if name.endswith((".manifest.json", ".receipt.json")) and "raw" not in name:
            assert str(finished.folder).encode() not in content, name
            assert b'"/' not in content, name


def test_a_run_on_simulated_data_says_so_in_its_last_lines(finished):
    finished.set("branches: [magnetic]")
    finished.path("data/processed/magnetic_diagnostics.md").unlink()
    lines = said(finished.run("--cores", "1")).splitlines()
    assert any("SIMULATED DATA" in line for line in lines[-6:])


def test_a_failing_job_is_explained_in_its_log_and_on_stderr(finished):
    finished.set("{branches: [magnetic], limits: {max_rejected_fraction: 0.0001}}")
    # Four files fail at once; without --keep-going the first to fail stops the others.
    done = finished.run("--cores", "2", "--keep-going", succeeds=False)
    log = finished.path("logs/check_ingest/train_partition1_data.log").read_text()
    for text in (said(done), log):
        assert "were rejected" in text
        assert "limits.max_rejected_fraction" in text
    assert "limits.max_rejected_fraction" in log.rstrip().splitlines()[-1]
    quarantine = finished.path(
        "data/interim/solar_flare_2020/quarantine/train_partition1_data.jsonl"
    )
    assert quarantine.read_text(), "the quarantine must survive the failing run"


def test_after_a_failed_job_no_run_succeeds_on_stale_results(finished):
    before = finished.products()
    module = finished.path(PLAN_MODULE)
    code = module.read_text()
    module.write_text(code + FAULT)
    finished.run("--cores", "2", succeeds=False)
    for target in ((), (TRAIN,), (TRAIN + "/",)):
        done = finished.run("--cores", "2", *target, succeeds=False)
        assert "a fault in the middle" in said(done)
    # The branch is switched off.
    finished.set("branches: [stealth]")
    assert "out of date" not in said(finished.run("--cores", "2")), "nobody asked for it"
    finished.run("--cores", "2", TRAIN, succeeds=False)

    module.write_text(code)
    assert "SIMULATED DATA" in said(finished.run("--cores", "2", TRAIN))
    assert finished.products()[f"{TRAIN}.manifest.json"] == before[f"{TRAIN}.manifest.json"]
    finished.set("branches: [magnetic, sdo, stealth, ztf]")
    finished.run("--cores", "2")
    assert finished.products() == before
    assert finished.stale() == set()


def test_after_a_refused_raw_file_no_single_target_succeeds(finished):
    raw = finished.path(RAW)
    good = raw.read_bytes()
    raw.write_bytes(b"<html><body>503 Service Unavailable</body></html>\n")
    first = finished.run("--cores", "2", TRAIN, succeeds=False)
    assert "HTML page" in said(first)
    second = finished.run("--cores", "2", TRAIN, succeeds=False)
    assert "HTML page" in said(second)
    raw.write_bytes(good)
    finished.run("--cores", "2", TRAIN)
    finished.run("--cores", "2", "magnetic")
    assert finished.stale("magnetic") == set()


def test_after_a_failed_check_no_single_target_succeeds(finished):
    finished.set("{branches: [magnetic], limits: {max_region_fraction: 0.0001}}")
    finished.run("--cores", "2", succeeds=False)
    again = finished.run("--cores", "2", TRAIN, succeeds=False)
    assert "limits.max_region_fraction" in said(again)


def test_a_deleted_intermediate_file_is_noticed_by_a_single_target(finished):
    finished.path("data/preprocessed/solar_flare_2020/plan.parquet.manifest.json").unlink()
    done = finished.run("--cores", "2", TRAIN)
    assert "plan_magnetic" in finished.planned(done)
    finished.run("--cores", "2", "magnetic")
    assert finished.stale("magnetic") == set()


def put_magnetic(project, *names, compress=None):
    """Put simulated magnetic files where a user puts real ones, one of them gzipped."""
    for name in names:
        content = project.path(f"data/sample/raw/solar_flare_2020/{name}.json").read_bytes()
        target = project.path(f"data/raw/solar_flare_2020/{name}.json")
        target.parent.mkdir(parents=True, exist_ok=True)
        if name == compress:
            target, content = target.with_name(f"{name}.json.gz"), gzip.compress(content, 1)
        target.write_bytes(content)


def test_a_missing_local_file_is_named_and_not_replaced_by_a_simulated_file(finished):
    put_magnetic(finished, "train_partition1_data", "train_partition2_data")
    finished.set("source: local")
    done = finished.run("--cores", "2", succeeds=False)
    assert "data/raw/sdobenchmark.zip (sdo branch)" in said(done)
    assert "train_partition2_data" not in said(done)


def test_switching_to_existing_files_plain_or_gzipped_and_back_loses_nothing(finished):
    ingested = "data/interim/solar_flare_2020/values/train_partition2_data"
    before = finished.products()
    put_magnetic(
        *(finished, "train_partition1_data", "train_partition2_data"),
        compress="train_partition2_data",
    )
    put_there = {path: path.stat() for path in finished.path("data/raw").rglob("*.json*")}
    assert len(put_there) == 2
    finished.set("branches: [magnetic]")
    settings = finished.path("config/small.yaml").read_text()
    finished.set("{source: {magnetic: local}, split: {unit: partition}}")
    refused = said(finished.run("-n", succeeds=False))
    assert "split.partitions names train_partition3_data" in refused
    finished.set("split: {partitions: {train_partition2_data: test, train_partition3_data: null}}")
    finished.set("split: {unit: record}")
    said_now = "runs without train_partition3_data.json, test_4_5_data.json, not found in data/raw"
    assert said_now in finished.look()[1]
    done = finished.run("--cores", "2", *ONE_THREAD)
    assert said(done).count(said_now) == 2  # at the beginning and among the last lines
    assert "SIMULATED" not in said(done)
    assert "simulate_magnetic" not in finished.planned(done)
    page = finished.path("data/processed/magnetic_diagnostics.md").read_text()
    assert "Not read: train_partition3_data.json, test_4_5_data.json." in page
    leaks = json.loads(
        finished.path("data/preprocessed/solar_flare_2020/leaks.receipt.json").read_text()
    )
    assert leaks["overlap_with_test_file"] is None
    manifest = json.loads(finished.path(f"{TRAIN}.manifest.json").read_text())
    assert manifest["source"] == "local"
    assert finished.stale() == set()
    after = finished.products()
    values = [name for name in before if name.startswith(f"{ingested}/")]
    assert values
    assert [after[name] for name in values] == [before[name] for name in values]

    # The test file arrives.
    put_magnetic(finished, "test_4_5_data")
    assert "assign_ids" in finished.stale()
    put_magnetic(finished, "train_partition2_data")
    both = said(finished.run("-n", succeeds=False))
    assert "train_partition2_data.json or data/raw/solar_flare_2020/train_partition2_data" in both

    finished.path("config/small.yaml").write_text(settings)
    done = finished.run("--cores", "2", *ONE_THREAD)
    assert "ingest_magnetic" in finished.planned(done)
    assert "simulate_magnetic" not in finished.planned(done), "simulated files are still there"
    now = {name: content for name, content in finished.products().items() if "data/raw" not in name}
    assert now.pop("data/interim/raw/solar_flare_2020/train_partition2_data.json.gz.receipt.json")
    # The report is now about one branch.
    assert without_report(now) == without_report(before)
    for path, status in put_there.items():
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)


SPREAD = (
    "simulate_magnetic simulate_night simulate_sdo ingest_magnetic write_clean augment_train "
    "write_features unpack_sdo catalogue_sdo tensors_sdo extract_night gather_ztf "
    "export_ztf"
)
"""The rules that distribute their work over processes or threads."""


def test_a_killed_run_resumes_and_has_the_same_bytes_for_any_number_of_threads(finished, project):
    run = subprocess.Popen(
        project.command("--cores", "2"),
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    ingesting = project.path("logs/ingest_magnetic")
    deadline = time.monotonic() + 120
    while not ingesting.exists() and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.02)
    # A dry run at the same time does not delete the note, nor report unfinished products as lost.
    assert f"process {run.pid} on " in said(project.run("-n"))
    assert project.path("data/.lock").exists()
    # A second run stops with the name of the first.
    second = project.run("--cores", "1", succeeds=False)
    assert f"another run works in {project.path('data')}/: process {run.pid} on " in said(second)
    assert f"`kill -INT {run.pid}`" in said(second)
    assert "unlock" not in said(second)
    scratch = Path(json.loads(project.path("data/.lock").read_text())["scratch"])
    assert scratch.is_dir()
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert ingesting.exists(), "the run ended before it came to ingest"

    # The finished project was made with one thread a job.
    project.run("--cores", "2", "--set-threads", *(f"{rule}=2" for rule in SPREAD.split()))
    assert project.portable_products() == finished.portable_products()
    assert not scratch.exists()
    left = [
        path for path in project.path("data").rglob(".*") if path.name != ".snakemake_timestamp"
    ]
    assert left == []


def test_another_copy_of_the_package_is_refused(finished, tmp_path):
    product = "data/processed/magnetic_diagnostics.md"
    other = shutil.copytree(finished.path("workflow/scripts"), tmp_path / "other")
    finished.path(product).unlink()
    finished.variables["PYTHONPATH"] = str(other)
    done = finished.run("--cores", "1", product, succeeds=False)
    assert f"but Python imports {other}" in said(done)


def test_the_published_recipe_runs_and_counts_its_leaks(finished):
    published = (finished.path("config/published.yaml")).read_text()
    finished.set(published)
    finished.run("--cores", "2", "magnetic")
    leaks = json.loads(
        finished.path("published/preprocessed/solar_flare_2020/leaks.receipt.json").read_text()
    )["leaks"]
    assert leaks["regions"]["in_several_splits"] > 0
    assert leaks["parents"]["in_several_splits"] > 0
