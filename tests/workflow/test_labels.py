"""Lists of labels: a user's list, lists without matches, bad lists, two lists in one place."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from projects import said

TINY = """
branches: [ztf]
simulate: {ztf: {alerts: 20, objects: 86, seed: 20}}
ztf: {nights: [20180601]}
limits: {max_corrupt_fraction: 0.5}
"""
LABELS = "data/preprocessed/ztf/labels.parquet"
CHECKED = "data/interim/ztf/labels.receipt.json"
MEMBER = "ALeRCE_lc_classifier_outputs_ZTF_unlabeled_set_20200609.csv"
TARBALL = "files_for_lc_classifier_SanchezSaez2020.tar.gz"


@pytest.fixture(scope="session")
def _made(made_once):
    return made_once("labels", TINY)


@pytest.fixture
def made(_made, tmp_path):
    """Return a finished project of one small simulated night."""
    return _made.copy(tmp_path / "made")


def own_list(project, name="lists/own list.csv.gz", **changes):
    """Write the labels of a project to a user's list, and name the list in the configuration."""
    known = pd.read_parquet(project.path(LABELS))
    table = pd.DataFrame({"ZTFID": known["object_id"], "type": known["alerce_class"]})
    path = project.path(name)
    path.parent.mkdir(exist_ok=True)
    table.assign(**changes).to_csv(path, index=False)
    project.set(f"labels: {{file: '{name}'}}")
    return path


def document(project, product):
    return json.loads(project.path(f"{product}.manifest.json").read_text())


def test_a_users_list_is_read_in_any_folder_and_null_removes_an_entry_of_the_map(made):
    before = pd.read_parquet(made.path("data/processed/ztf/stamps.parquet"))
    path = own_list(made)
    assert made.stale() >= {"read_labels", "check_labels", "extract_night"}
    made.set("labels: {map: {AGN: null}}")
    done = made.run("--cores", "2")
    assert "SIMULATED DATA" in said(done)
    assert "ztf_avro_Grande_AGN.csv" in said(done)  # as a leftover
    after = pd.read_parquet(made.path("data/processed/ztf/stamps.parquet"))
    assert after["candid"].tolist() == before["candid"].tolist()
    labels, plan = document(made, LABELS), document(made, "data/preprocessed/ztf/plan.parquet")
    assert labels["labels"].keys() == {"Otro", "QSO", "YSO"}
    assert (labels["source"], labels["raw"]["name"]) == ("local", "file:lists/own list.csv.gz")
    assert (plan["source"], plan["sources"]) == ("sample", ["local", "sample"])
    assert "Source: local, sample" in made.path("data/processed/ztf/report.md").read_text()
    assert made.stale() == set()
    # A list of another size is another list. A list may be deleted after it was read.
    path.rename(path.with_name("away"))
    assert made.stale() == set()
    path.write_bytes(path.with_name("away").read_bytes() + b"\n")
    assert made.stale(LABELS) >= {"read_labels"}


def test_a_list_of_the_same_name_and_size_in_another_folder_is_another_list(made, tmp_path):
    path = own_list(made, "own.csv")
    made.run("--cores", "2", LABELS)
    other = tmp_path / "other/data/raw/own.csv"
    other.parent.mkdir(parents=True)
    other.write_bytes(path.read_bytes())
    os.utime(other, (10**9, 10**9))
    shutil.rmtree(made.path(".snakemake"))
    assert made.stale(LABELS) == set()
    made.set(f"labels: {{file: {other}}}")
    assert made.stale(LABELS) == {"read_labels"}
    made.run("--cores", "2", LABELS)
    assert document(made, LABELS)["raw"]["name"] == f"file:{other}"
    verify = [sys.executable, "-m", "skymill", "verify", "data"]
    given = {"cwd": made.folder, "env": made.environment(), "capture_output": True, "text": True}
    assert "Nothing is damaged or missing" in said(subprocess.run(verify, **given))
    other.write_bytes(bytes(reversed(other.read_bytes())))
    assert str(other) in said(subprocess.run(verify, **given))


def test_a_list_without_matches_stops_the_run_and_suggests_a_spelling(made):
    own_list(made)
    made.edit("config/small.yaml", "own list.csv.gz", "lower.csv")
    known = pd.read_parquet(made.path(LABELS))
    known.assign(oid=known["object_id"].str.lower()).drop(columns="object_id").to_csv(
        made.path("lists/lower.csv"), index=False
    )
    for extract in ("labelled", "all"):
        made.set(f"ztf: {{extract: {extract}}}")
        done = made.run("--cores", "2", succeeds=False)
        assert "would match if the list used ZTF's spelling of names (it has ztf1" in said(done)


def test_rejected_rows_stop_the_run_with_the_name_of_their_limit_and_make_nothing_stale(made):
    path = own_list(made, "own.csv")
    path.write_text(path.read_text() + "garbage\n" * 30)
    done = made.run("--cores", "2", CHECKED, succeeds=False)
    assert "limits.max_rejected_labels_fraction" in said(done)
    assert "wrong_fields 30" in said(done)
    made.set("limits: {max_rejected_labels_fraction: 0.9}")
    made.run("--cores", "2", CHECKED)
    made.set("limits: {max_rejected_labels_fraction: 0.8}")
    assert made.stale(CHECKED) == set()
    made.set("limits: {max_rejected_labels_fraction: 0.01}")
    assert made.stale(CHECKED) == {"check_labels"}


def test_unknown_classes_stop_the_run_with_their_names(made):
    own_list(made, "own.csv", type="Quasar, perhaps")
    done = made.run("--cores", "2", LABELS, succeeds=False)
    assert "Quasar, perhaps (" in said(done)
    made.set("labels: {map: {'quasar perhaps': Perhaps}}")
    made.run("--cores", "2", LABELS)
    assert document(made, LABELS)["labels"].keys() == {"Perhaps"}


def test_two_lists_in_one_place_are_refused(made):
    there = made.path("data/raw/ztf/labels")
    there.mkdir(parents=True)
    shutil.copy(made.path(f"data/sample/raw/ztf/labels/{TARBALL}"), there)
    (there / MEMBER).write_text("oid,class\nZTF18abcdefg,QSO\n")
    night = "ztf_public_20180601.tar.gz"
    shutil.copy(made.path(f"data/sample/raw/ztf/{night}"), there.parent)
    made.set("source: local")
    done = made.run("-n", succeeds=False)
    assert TARBALL in said(done)
    assert MEMBER in said(done)
    made.set(f"labels: {{file: data/raw/ztf/labels/{TARBALL}}}")
    made.run("-n")
