"""Results folders: several variants, products of an earlier configuration, targets."""

import json
import subprocess
import sys

import pytest

from projects import said

STEALTH = "branches: [stealth]\nsource: sample\n"


def python(project, *arguments):
    """Run `python -m skymill...` in a project."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
    )


def test_two_variants_exist_together_and_do_not_rerun_each_other(finished):
    default = finished.products()
    finished.run("--cores", "2", "magnetic", "--config", "results=trial", "seed=7")
    assert finished.products() == default
    assert finished.path("trial/processed/magnetic_data/train").is_dir()
    assert finished.path("trial/sample/raw/solar_flare_2020").is_dir()
    assert finished.path("trial/logs/plan_magnetic.log").is_file()
    assert finished.stale("magnetic", "--config", "results=trial", "seed=7") == set()
    assert finished.stale() == set()


def test_a_variant_with_the_same_settings_has_the_same_bytes(finished):
    finished.run("--cores", "2", "stealth", "ztf", "--config", "results=trial")
    for area in ("preprocessed", "processed"):
        for path in finished.path(f"trial/{area}").rglob("*"):
            twin = finished.path("data") / path.relative_to(finished.path("trial"))
            if path.is_file():
                assert path.read_bytes() == twin.read_bytes(), path


def test_simulated_products_can_be_next_to_real_ones(project):
    project.run("--cores", "1", "stealth", "--config", "results=demo")
    assert not project.path("data").exists()
    raw = project.path("data/raw/stealth/data.csv")
    raw.parent.mkdir(parents=True)
    raw.write_bytes(project.path("demo/sample/raw/stealth/data.csv").read_bytes())
    project.set("branches: [stealth]\nsource: local")
    project.run("--cores", "1")
    before = project.products()
    project.run("--cores", "1", "--config", "results=demo", "source=sample")
    assert project.products() == before


def test_the_published_recipe_has_its_own_folder(finished):
    before = finished.products()
    done = finished.run("-n", "--config", "results=published")
    assert "output: published/" in done.stdout
    assert "output: data/" not in done.stdout
    assert finished.products() == before


@pytest.mark.parametrize(
    "results", ["data/raw", "data/raw/x", "data/trial", "..", ".", "a/../b", "trial/", "config"]
)
def test_a_folder_that_cannot_be_a_results_folder_is_refused(project, results):
    done = project.run("-n", "--config", f"results={results}", succeeds=False)
    assert f"results: {results}" in said(done)
    assert "Traceback" not in said(done)
    assert "Snakefile" not in said(done).split("results:")[1]


def test_a_results_folder_in_or_around_another_one_is_refused(project):
    project.set(STEALTH)
    project.run("--cores", "1", "--config", "results=runs/a")
    for results in ("runs/a/b", "runs"):
        done = project.run("-n", "--config", f"results={results}", succeeds=False)
        assert "runs/a" in said(done)


LABELS = "labels: {map: {QSO: QSO, AGN: QSO, YSO: YSO}}"
LEFT = ("processed/ztf/contact_sheet_AGN.png", "processed/ztf/ztf_avro_Grande_AGN.csv")


def test_products_of_an_earlier_configuration_are_named_listed_and_deleted(finished):
    finished.set(LABELS)
    for name in LEFT:
        assert name in said(finished.run("-n"))
    finished.run("--cores", "2")
    # Also when there is nothing to do.
    done = finished.run("--cores", "2")
    assert "Nothing to be done" in said(done)
    assert LEFT[1] in said(done)

    summary = python(finished, "skymill", "summary").stdout
    current, _, left = summary.partition("LEFTOVERS of an earlier configuration")
    assert LEFT[1] in left
    assert LEFT[1] not in current

    listed = python(finished, "skymill", "prune").stdout
    assert all(f"data/{name}" in listed for name in LEFT)
    assert finished.path(f"data/{LEFT[1]}").exists()
    python(finished, "skymill", "prune", "--delete")
    assert not any(path.name.startswith("ztf_avro_Grande_AGN") for path in every_file(finished))
    assert finished.stale() == set()
    assert "earlier configuration" not in said(finished.run("-n"))


def every_file(project):
    """Return the files of the default results folder."""
    return [path for path in project.path("data").rglob("*") if path.is_file()]


def test_disabled_tensors_become_leftovers_and_products_of_other_branches_do_not(finished):
    finished.set("sdo: {tensors: false}\nbranches: [sdo, stealth]")
    done = said(finished.run("--cores", "1"))
    assert "processed/sdo/train.zarr" in done
    assert "processed/ztf" not in done
    python(finished, "skymill", "prune", "--delete")
    assert not finished.path("data/processed/sdo/train.zarr").exists()
    assert finished.path("data/processed/ztf/stamps.npy").exists()
    finished.set("branches: [magnetic, sdo, stealth, ztf]")
    assert finished.stale() == set()


def identity(project, product):
    """Return the identity that the manifest of a product states."""
    return json.loads(project.path(f"{product}.manifest.json").read_text())["identity"]


def test_products_that_pair_row_by_row_have_one_identity(finished):
    import zarr

    sdo = "data/processed/sdo"
    for name in ("train", "test"):
        group = zarr.open_group(finished.path(f"{sdo}/{name}.zarr"), mode="r")
        index = identity(finished, f"{sdo}/{name}_metadata.csv")
        assert index == identity(finished, f"{sdo}/{name}.zarr") == group.attrs["identity"]
    assert len(identity(finished, "data/processed/ztf/stamps.parquet")) == 64


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        ("magnetic", "diagnose_magnetic"),
        ("sdo", "report_sdo"),
        ("stealth", "convert_stealth"),
        ("ztf", "report_ztf"),
        ("data/processed/magnetic_data", "write_features"),
        ("data/processed/magnetic_data/", "write_features"),
    ],
)
def test_a_branch_or_the_folder_of_splits_is_a_target(project, target, rule):
    rules = project.stale(target)
    assert rule in rules
    branches = {"magnetic", "sdo", "stealth", "ztf"}
    assert len({name.rpartition("_")[2] for name in rules} & branches) <= 2


@pytest.mark.parametrize(
    "target",
    ["data/processed/ztf/ztf_avro_Grande_Qso.csv", "data/processed/ztf/contact_sheet_qso.png"],
)
def test_a_mistyped_label_is_no_target(finished, target):
    done = finished.run("--cores", "1", target, succeeds=False)
    assert "No rule to produce" in said(done)
    assert not finished.path(target).exists()


def test_a_file_that_is_no_label_of_this_configuration_is_no_target(finished):
    finished.set(LABELS)
    target = "data/processed/ztf/ztf_avro_Grande_AGN.csv"
    done = finished.run("--cores", "1", "--force", target, succeeds=False)
    assert "No rule to produce" in said(done) or "MissingRule" in said(done)


LIMITS = {
    "magnetic": ("check_ingest", "max_rejected_fraction", 0.0001, 0.05),
    "sdo": ("check_sdo", "max_damaged_fraction", 0, 0.02),
    "ztf": ("check_night", "max_corrupt_fraction", 0, 0.05),
}
"""For each branch a check, and a limit: a value that is exceeded, and one that is kept."""


def test_an_exceeded_limit_fails_by_name_and_a_kept_limit_reruns_nothing(finished):
    for _, limit, exceeded, _ in LIMITS.values():
        finished.set(f"limits: {{{limit}: {exceeded}}}")
    assert {check for check, *_ in LIMITS.values()} <= finished.stale()
    for _ in range(2):
        done = finished.run("--cores", "2", "--keep-going", *LIMITS, succeeds=False)
        for _, limit, *_ in LIMITS.values():
            assert f"limits.{limit}" in said(done)
    for _, limit, _, kept in LIMITS.values():
        finished.set(f"limits: {{{limit}: {kept}}}")
    finished.run("--cores", "2", *LIMITS)
    assert finished.stale(*LIMITS) == set()
