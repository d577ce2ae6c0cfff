"""What reruns on shared file systems: each line of the table in profiles/README.md."""

import os
import shutil

import pytest
from test_staleness import INDEX, PLAN, VERIFY, ZTF_PLAN

from projects import Project, said

RAW = "data/sample/raw/solar_flare_2020/train_partition3_data.json"
HOUR = 3600
LOCATIONS = {"index_sdo", "write_card"}
"""Rules that write locations of images, or the checksum of a file with locations."""


def files(folder):
    """Return the files below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def shift(path, seconds):
    """Change the time of a file by some seconds."""
    then = path.stat().st_mtime + seconds
    os.utime(path, (then, then))


def clone(project, folder, *, records=None):
    """Return another checkout of a project that uses its data, and its records if they are named.

    Files that git checks out have new times.
    """
    ignore = shutil.ignore_patterns("data", ".snakemake", "logs")
    shutil.copytree(project.folder, folder, ignore=ignore, copy_function=shutil.copyfile)
    (folder / "data").symlink_to(project.path("data"))
    if records:
        (folder / ".snakemake").symlink_to(project.path(records))
    return Project(folder)


# Raw files.


def test_a_large_raw_file_copied_without_its_time_is_read_again(finished):
    raw = finished.path(RAW)
    assert raw.stat().st_size > 1_000_000
    content = raw.read_bytes()
    raw.unlink()
    raw.write_bytes(content)
    assert finished.stale() == VERIFY
    # With its old time, or any time before the products, the file is current again.
    shift(raw, -24 * HOUR)
    assert finished.stale() == set()


def test_the_content_of_a_small_raw_file_counts(finished):
    raw = finished.path("data/sample/raw/stealth/data.csv")
    assert raw.stat().st_size < 1_000_000
    os.utime(raw)
    assert finished.stale() == set()
    content = raw.read_bytes()
    raw.write_bytes(content[:-2] + b"\n")
    assert "ingest_stealth" in finished.stale()


def test_raw_files_with_older_times_rerun_nothing(finished):
    for path in files(finished.path("data/sample/raw")):
        shift(path, -24 * HOUR)
    assert finished.stale() == set()


def test_a_raw_file_of_another_size_is_read_again_at_any_time(finished):
    raw = finished.path(RAW)
    then = raw.stat().st_mtime
    raw.write_bytes(b"".join(raw.read_bytes().splitlines(keepends=True)[:-1]))
    os.utime(raw, (then - HOUR, then - HOUR))
    assert finished.stale() >= VERIFY


def test_a_changed_raw_file_with_the_same_size_and_an_older_time_is_not_noticed(finished):
    raw = finished.path(RAW)
    then = raw.stat().st_mtime
    raw.write_bytes(b" " + raw.read_bytes()[1:])
    os.utime(raw, (then - HOUR, then - HOUR))
    assert finished.stale() == set()
    os.utime(raw)
    assert finished.stale() == VERIFY


# Another path, another checkout.


def test_new_times_of_code_and_configuration_rerun_nothing(finished):
    for name in ("workflow", "config", "envs", "profiles"):
        for path in files(finished.path(name)):
            os.utime(path)
    assert finished.stale() == set()


@pytest.fixture(params=["moved", "mounted"])
def elsewhere(request, finished, tmp_path):
    """Return a project under another path: moved or copied with times, or reached by a link."""
    if request.param == "moved":
        return finished.copy(tmp_path / "moved")
    (tmp_path / "mount").symlink_to(finished.folder)
    return Project(tmp_path / "mount")


def test_under_another_path_only_locations_are_written_again(elsewhere):
    expected = LOCATIONS if elsewhere.folder.name == "moved" else set()
    assert elsewhere.stale() == expected


def test_another_checkout_with_data_and_records_writes_locations_again(finished, tmp_path):
    other = clone(finished, tmp_path / "other", records=".snakemake")
    assert other.stale() == LOCATIONS


def test_another_checkout_without_records_judges_by_the_manifests(finished, tmp_path):
    other = clone(finished, tmp_path / "other")
    assert other.stale() == LOCATIONS
    other.set("seed: 7")
    assert other.stale() == PLAN | INDEX | ZTF_PLAN
    # The dry run has changed nothing.
    assert other.stale() == PLAN | INDEX | ZTF_PLAN


def test_other_code_of_another_checkout_is_noticed_without_records(finished, tmp_path):
    other = clone(finished, tmp_path / "other")
    module = other.path("workflow/scripts/skymill/ztf/plan.py")
    module.write_text(module.read_text() + "\nEDITED = True\n")
    assert other.stale() == LOCATIONS | ZTF_PLAN


def test_a_removed_night_is_noticed_without_records(finished, tmp_path):
    other = clone(finished, tmp_path / "other")
    other.set("ztf: {nights: [20180601]}")
    assert other.stale() == LOCATIONS | ZTF_PLAN


def test_products_of_another_checkout_with_other_settings_are_made_again(finished, tmp_path):
    table = "data/processed/ztf/ztf_avro_Grande_Otro.csv"
    before = finished.path(table).read_bytes()
    other = clone(finished, tmp_path / "other")
    shutil.copytree(finished.path(".snakemake"), other.path(".snakemake"))
    other.set("ztf: {sample: {Otro: 3}}")
    other.run("--cores", "2", table)
    assert finished.path(table).read_bytes() != before

    assert finished.stale(table) >= {"plan_ztf", "gather_ztf", "export_ztf"}
    finished.run("--cores", "2", table)
    assert finished.path(table).read_bytes() == before
    assert finished.stale(table) == set()


def test_data_copied_with_times_but_without_records_is_kept(finished, tmp_path):
    copied = finished.copy(tmp_path / "copied")
    shutil.rmtree(copied.path(".snakemake"))
    assert copied.stale() == LOCATIONS
    before = copied.products()
    copied.run("--cores", "2")
    after = copied.products()
    assert {name for name in after if after[name] != before[name]} == {
        *(
            f"data/processed/sdo/{name}_metadata.csv{suffix}"
            for name in ("train", "test")
            for suffix in ("", ".manifest.json")
        ),
        # The checksums of the index.
        *("data/processed/sdo/croissant.json", "data/processed/sdo/README.md.manifest.json"),
        # The digests of these manifests.
        "data/processed/report.html.manifest.json",
    }
    assert copied.stale() == set()


def test_data_copied_without_times_reads_large_files_again(finished):
    now = max(path.stat().st_mtime for path in files(finished.path("data")))
    # The worst order: the newest files are copied first.
    newest_first = sorted(files(finished.path("data")), key=lambda path: -path.stat().st_mtime)
    for number, path in enumerate(newest_first):
        os.utime(path, (now + number, now + number))
    assert finished.stale() >= {"verify_raw", "ingest_magnetic", "write_features"}


# Times.


@pytest.mark.parametrize("seconds", [1, 2])
def test_coarse_times_rerun_nothing(finished, seconds):
    for path in files(finished.path("data")):
        then = path.stat().st_mtime // seconds * seconds
        os.utime(path, (then, then))
    assert finished.stale() == set()


def test_a_clock_that_is_off_for_all_files_reruns_nothing(finished):
    for path in files(finished.path("data")):
        shift(path, HOUR)
    assert finished.stale() == set()


def test_a_raw_file_from_the_future_stops_the_run_by_name(finished):
    raw = finished.path(RAW)
    shift(raw, HOUR)
    receipt = f"data/interim/raw/solar_flare_2020/{raw.name}.receipt.json"
    done = finished.run("--cores", "1", receipt, succeeds=False)
    assert "clock skew" in said(done)
    assert RAW in said(done)
    os.utime(raw)
    finished.run("--cores", "1", receipt)
    assert finished.stale(receipt) == set()
