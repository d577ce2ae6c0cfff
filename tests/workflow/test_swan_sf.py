"""The catalogue of SWAN-SF in the workflow: what makes it stale, limits, missing partitions."""

import hashlib
import json
import os
import shutil

import pytest
import yaml

from projects import Kept, said
from servers import FileServer
from stale_rules import StaleRules

CHECK = {"check_swan_sf", "swan_sf"}
CATALOGUE = {"catalogue_swan_sf"} | CHECK
SIMULATE = {"simulate_swan_sf"} | CATALOGUE
RAW = "data/sample/raw/swan_sf"


@pytest.fixture(scope="module", name="kept")
def _kept(made_once, tmp_path_factory):
    # Large enough for some bad windows.
    made = made_once("swan_sf", "simulate: {swan_sf: {coverage: 1.0}}", "swan_sf")
    return Kept(made.copy(tmp_path_factory.mktemp("catalogued") / "project"))


@pytest.fixture
def own(kept):
    """Return a project with the catalogue, to be changed at will."""
    return kept.put_back()


def test_a_second_run_of_the_catalogue_does_nothing(own):
    assert own.stale("swan_sf") == set()


@pytest.fixture(scope="module", name="declared")
def _declared(kept):
    return StaleRules(kept.put_back(), "swan_sf")


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("simulate: {swan_sf: {seed: 21}}", SIMULATE),
        ("simulate: {sdo: {seed: 21}}", SIMULATE),
        (
            "{limits: {max_rejected_windows_fraction: 0.9, max_differing_steps_fraction: 0.9}, "
            "seed: 7}",
            set(),
        ),
        ("limits: {max_rejected_windows_fraction: 0}", CHECK),
        ("source: {swan_sf: archive}", {"retrieve"} | SIMULATE - {"simulate_swan_sf"}),
    ],
)
def test_a_changed_setting_reruns_the_stages_that_read_it(own, change, stages):
    own.set(change)
    assert own.stale("swan_sf") == stages


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("simulate/sky.py", SIMULATE),
        ("swan_sf/parse.py", CATALOGUE),
        ("swan_sf/check.py", CHECK),
        ("raw/dataverse.py", set()),
    ],
)
def test_an_edited_module_reruns_the_stages_that_import_it(declared, module, stages):
    assert declared.after_edit(module) == stages


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("swan_sf/parse.py", CATALOGUE),
    ],
)
def test_a_run_after_an_edit_goes_by_what_rules_declare(own, module, stages):
    path = own.path(f"workflow/scripts/skymill/{module}")
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert own.stale("swan_sf") == stages


def test_a_partition_with_too_many_losses_is_refused_by_name(own):
    own.set("limits: {max_rejected_windows_fraction: 0}")
    done = own.run("--cores", "2", "swan_sf", succeeds=False)
    assert "windows are rejected" in said(done)
    assert "raise limits.max_rejected_windows_fraction" in said(done)


def test_a_truncated_partition_is_refused_and_the_others_are_catalogued(own):
    folder = own.path("data/raw/swan_sf")
    shutil.copytree(own.path(RAW), folder, ignore=shutil.ignore_patterns("*.json"))
    raw = folder / "partition2_instances.tar.gz"
    raw.write_bytes(raw.read_bytes()[: raw.stat().st_size // 2])
    own.set("{branches: [stealth], source: {swan_sf: local}}")
    done = own.run("--cores", "2", "--keep-going", "swan_sf", succeeds=False)
    assert "partition2_instances.tar.gz is not whole: " in said(done)
    accepted = own.path("data/interim/swan_sf").glob("*/accepted.receipt.json")
    assert sorted(path.parent.name for path in accepted) == [
        f"partition{number}" for number in (1, 3, 4, 5)
    ]


def test_a_missing_partition_is_named_and_the_rest_is_catalogued(own):
    folder = own.path("data/raw/swan_sf")
    shutil.copytree(own.path(RAW), folder, ignore=shutil.ignore_patterns("*.json"))
    for number in (2, 5):
        (folder / f"partition{number}_instances.tar.gz").unlink()
    own.path("data/raw/sdobenchmark.zip").write_bytes(b"PK\x03\x04")
    shutil.rmtree(own.path("data/interim"))
    own.set("{branches: [sdo, aligned], source: local}")
    done = own.run("--cores", "2", "swan_sf")
    assert (
        "The aligned branch runs without partition2_instances.tar.gz, "
        "partition5_instances.tar.gz, not found in data/raw/swan_sf."
    ) in said(done)
    steps = own.path("data/interim/swan_sf").glob("*/steps.parquet")
    assert sorted(path.parent.name for path in steps) == [
        f"partition{number}" for number in (1, 3, 4)
    ]
    assert own.stale("swan_sf") == set()


def test_a_partition_is_fetched_with_the_answer_of_its_dataverse(own):
    name = "swan_sf/partition3_instances.tar.gz"
    content = own.path(f"data/sample/raw/{name}").read_bytes()
    path = own.path("config/sources.yaml")
    registry = yaml.safe_load(path.read_text())
    entry = registry["collections"]["swan_sf"]["files"][name]
    file = {"persistentId": entry["dataverse"]["file"], "filesize": len(content)}
    file["md5"] = hashlib.md5(content).hexdigest()
    version = {"license": {"name": "CC0 1.0"}, "files": [{"dataFile": file}]}
    with FileServer() as server:
        server.files["/file"] = content
        server.files["/dataset"] = json.dumps({"data": {"latestVersion": version}}).encode()
        entry["url"] = f"{server.address}/file"
        entry["dataverse"]["dataset"] = f"{server.address}/dataset"
        path.write_text(yaml.safe_dump(registry))
        own.set("{branches: [stealth], source: {swan_sf: archive}}")
        own.run("--cores", "1", "data/interim/swan_sf/partition3/accepted.receipt.json")
    assert own.path(f"data/raw/{name}").read_bytes() == content
    lock = json.loads(own.path("config/sources.lock.json").read_text())
    assert (lock[name]["checksum"], lock[name]["licence"]) == (f"md5:{file['md5']}", "CC0 1.0")
    # The tarball is hashed by the job that reads it.
    manifest = own.path("data/interim/swan_sf/partition3/steps.parquet.manifest.json")
    assert json.loads(manifest.read_text())["raw"] == {
        "name": f"raw:{name}",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "source": "archive",
        "enforced": True,
    }
    assert not own.path("data/interim/raw").exists()
    # Afterwards the user works with the local file, and deletes it.
    target = "data/interim/swan_sf/partition3/accepted.receipt.json"
    own.set("source: {swan_sf: local}")
    assert own.stale(target) == set()
    own.path(f"data/raw/{name}").unlink()
    assert own.stale(target) == set()


def test_a_local_partition_is_compared_with_the_registry_when_the_source_becomes_the_archive(own):
    raw = own.path(f"{RAW}/partition1_instances.tar.gz")
    own.set("{branches: [stealth], source: {swan_sf: local}}")
    mine = own.path(f"data/raw/swan_sf/{raw.name}")
    mine.parent.mkdir(parents=True)
    shutil.copy2(raw, mine)
    target = "data/interim/swan_sf/partition1/accepted.receipt.json"
    own.run("--cores", "1", target)
    own.set("source: {swan_sf: archive}")
    shutil.rmtree(own.path(".snakemake"))
    assert "catalogue_swan_sf" in own.stale(target)


def test_a_partition_of_another_size_is_read_again_also_with_an_old_time(own):
    raw = own.path(f"{RAW}/partition1_instances.tar.gz")
    own.set("{branches: [stealth], source: {swan_sf: local}}")
    mine = own.path(f"data/raw/swan_sf/{raw.name}")
    mine.parent.mkdir(parents=True)
    shutil.copy2(raw, mine)
    target = "data/interim/swan_sf/partition1/accepted.receipt.json"
    own.run("--cores", "1", target)
    assert own.stale(target) == set()
    mine.write_bytes(raw.read_bytes() + b"x")
    os.utime(mine, (0, 0))
    assert own.stale(target) == CATALOGUE - {"swan_sf"}


def test_a_damaged_partition_whose_raw_file_was_deleted_is_named_and_not_left_out(own):
    folder = own.path("data/raw/swan_sf")
    shutil.copytree(own.path(RAW), folder, ignore=shutil.ignore_patterns("*.json"))
    own.set("{branches: [stealth], source: {swan_sf: local}}")
    own.run("--cores", "2", "swan_sf")
    shutil.rmtree(folder)
    assert own.stale("swan_sf") == set()
    own.path("data/interim/swan_sf/partition2/steps.parquet.manifest.json").unlink()
    said_now = said(own.run("-n", "swan_sf", succeeds=False))
    assert "partition2/steps.parquet is out of date: its manifest is missing" in said_now
    assert "Deleted: data/raw/swan_sf/partition2_instances.tar.gz" in said_now
