"""The catalogue of SWAN-SF in the workflow: what makes it stale, limits, partitions not there."""

import hashlib
import json
import shutil

import pytest
import yaml

from projects import Project, said
from servers import FileServer

CHECK = {"check_swan_sf", "swan_sf"}
CATALOGUE = {"catalogue_swan_sf"} | CHECK
SIMULATE = {"simulate_swan_sf", "verify_raw"} | CATALOGUE
RAW = "data/sample/raw/swan_sf"


@pytest.fixture(scope="module", name="catalogued")
def _catalogued(tmp_path_factory):
    project = Project.new(tmp_path_factory.mktemp("catalogued"))
    # Large enough for some bad windows.
    project.set("simulate: {swan_sf: {coverage: 1.0}}")
    project.run("--cores", "2", "swan_sf")
    return project


@pytest.fixture(name="own")
def _own(catalogued, tmp_path):
    """Return a copy of a project with the catalogue, for one test."""
    return catalogued.copy(tmp_path / "project")


def test_what_was_catalogued_is_current(catalogued):
    assert catalogued.stale("swan_sf") == set()


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("simulate: {swan_sf: {seed: 21}}", SIMULATE),
        ("simulate: {sdo: {seed: 21}}", SIMULATE),
        ("limits: {max_rejected_windows_fraction: 0.9}", set()),
        ("limits: {max_differing_steps_fraction: 0.9}", set()),
        ("limits: {max_rejected_windows_fraction: 0}", CHECK),
        ("seed: 7", set()),
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
def test_an_edited_module_reruns_the_stages_that_import_it(own, module, stages):
    path = own.path(f"workflow/scripts/skymill/{module}")
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert own.stale("swan_sf") == stages


def test_a_partition_that_lost_too_much_stops_at_its_gate_by_name(own):
    own.set("limits: {max_rejected_windows_fraction: 0}")
    done = own.run("--cores", "2", "swan_sf", succeeds=False)
    assert "windows are rejected" in said(done)
    assert "raise limits.max_rejected_windows_fraction" in said(done)


def test_a_truncated_partition_stops_at_its_gate_and_the_others_are_catalogued(own):
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


def test_a_partition_that_is_not_there_is_named_and_the_rest_is_catalogued(own):
    folder = own.path("data/raw/swan_sf")
    shutil.copytree(own.path(RAW), folder, ignore=shutil.ignore_patterns("*.json"))
    for number in (2, 5):
        (folder / f"partition{number}_instances.tar.gz").unlink()
    own.path("data/raw/sdobenchmark.zip").write_bytes(b"PK\x03\x04")
    shutil.rmtree(own.path("data/interim"))
    own.set("{branches: [sdo, aligned], source: local}")
    done = own.run("--cores", "2", "swan_sf")
    assert (
        "The aligned branch does without partition2_instances.tar.gz, "
        "partition5_instances.tar.gz, not found in data/raw/swan_sf."
    ) in said(done)
    steps = own.path("data/interim/swan_sf").glob("*/steps.parquet")
    assert sorted(path.parent.name for path in steps) == [
        f"partition{number}" for number in (1, 3, 4)
    ]
    assert own.stale("swan_sf") == set()


def test_a_partition_is_fetched_as_its_dataverse_tells(own):
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
