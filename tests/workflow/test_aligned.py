"""The aligned branch in the workflow: what makes it stale, and its results without others."""

import json
import shutil

import mlcroissant
import numpy as np
import pyarrow.parquet as pq
import pytest

import skymill
from dictionary import compare
from loaders import loads_croissant
from projects import Kept, said
from skymill.baseline.predictions import score_predictions
from skymill.engine.errors import SkymillError
from stale_rules import StaleRules

DATA = {"write_aligned", "measure_aligned", "write_card"}
SECTION = {"illustrate_aligned"}
WRITE = SECTION | DATA
PAIRS = {"plan_aligned", "check_aligned", "report_aligned"} | WRITE
LOCATE = {"locate_records"} | PAIRS
INGEST = {"verify_raw", "ingest_magnetic", "check_ingest", "assign_ids"}
KEYS = {"key_records"} | INGEST | LOCATE
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module", name="kept")
def _kept(made_once, tmp_path_factory):
    made = made_once("aligned", "branches: [magnetic, sdo, aligned]", "aligned")
    return Kept(made.copy(tmp_path_factory.mktemp("joined") / "project"))


@pytest.fixture
def joined(kept):
    """Return a project with the pairs, to be changed at will."""
    return kept.put_back()


def stale(project):
    """Return the rules that would make the branch, without the target itself."""
    return project.stale("aligned") - {"aligned"}


def test_a_second_run_of_the_aligned_branch_does_nothing(joined):
    assert joined.stale("aligned") == set()


def test_the_dictionary_has_every_column(joined):
    unmet = compare(joined.path("data"))
    assert not [one for one in unmet if "aligned/" in one or "swan_sf/" in one]


@pytest.fixture(scope="module", name="declared")
def _declared(kept):
    return StaleRules(kept.put_back(), "aligned")


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("seed: 7", {"plan_sdo"} | PAIRS),
        ("collisions: drop_identical", {"assign_ids"} | LOCATE),
        ("features: {fill: zero}", DATA),
        ("sdo: {flux_scale: 1.0}", {"plan_sdo"} | PAIRS),
        ("sdo: {tensors: false}", WRITE),
        ("aligned: {nearest_tier: true}", LOCATE),
        # The raw test file does not exist yet.
        ("aligned: {locate_test_file: true}", {"simulate_magnetic"} | KEYS),
        ("aligned: {follow_official: false}", PAIRS),
        ("aligned: {split: {validation: 0.3, test: 0.1}}", PAIRS),
        ("limits: {max_rejected_windows_fraction: 0.9}", set()),
    ],
)
def test_a_changed_setting_reruns_the_stages_that_read_it(joined, change, stages):
    joined.set(change)
    assert stale(joined) == stages


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("aligned/locate.py", LOCATE),
        ("aligned/join.py", PAIRS),
        ("aligned/agreement.py", {"report_aligned"} | SECTION),
        ("aligned/pictures.py", SECTION),
        ("aligned/figures.py", SECTION),
        ("aligned/catalogue.py", {"key_records"} | LOCATE),
        ("aligned/keys.py", {"key_records", "key_swan_sf"} | LOCATE),
    ],
)
def test_an_edited_module_reruns_the_stages_that_import_it(declared, module, stages):
    assert declared.after_edit(module) - {"aligned"} == stages


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("aligned/keys.py", {"key_records", "key_swan_sf"} | LOCATE),
    ],
)
def test_a_run_after_an_edit_goes_by_what_rules_declare(joined, module, stages):
    path = joined.path(f"workflow/scripts/skymill/{module}")
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert stale(joined) == stages


def test_pairs_are_loaded_with_series_images_mask_and_label(joined):
    for split in SPLITS:
        pairs = skymill.load("aligned", split, joined.path("data"))
        manifest = json.loads(
            joined.path(f"data/processed/aligned/{split}.manifest.json").read_text()
        )
        assert len(pairs) == sum(manifest["counts"]["records_by_label"].values()) > 0
        ids = [bytes(name).rstrip(b"\0").decode() for name in pairs.images["sample_id"].to_numpy()]
        assert ids == pairs.pairs["sample_id"].tolist()
        items = skymill.Dataset("aligned", split, joined.path("data"))
        for number, (series, images, mask, code) in enumerate(items):
            assert (series.shape, series.dtype) == ((60, 24), np.float32)
            assert np.isfinite(series).any()
            assert (images.shape, images.dtype) == ((4, 10, 256, 256), np.uint8)
            assert (mask.shape, mask.dtype) == ((4, 10), bool)
            assert not images[~mask].any()
            assert items.classes[code] == pairs.pairs["label"][number]


def test_pairs_of_other_tensors_are_refused(joined):
    folder = joined.path("data/processed/sdo")
    shutil.rmtree(folder / "train.zarr")
    for end in ("", ".manifest.json"):
        (folder / f"test.zarr{end}").replace(folder / f"train.zarr{end}")
    with pytest.raises(SkymillError, match=r"was joined with other samples than train\.zarr"):
        skymill.load("aligned", "train", joined.path("data"))


@loads_croissant
def test_pairs_are_loaded_by_their_card(joined, load_dataset):
    folder = joined.path("data/processed/aligned")
    files = {split: pq.read_table(folder / split) for split in SPLITS}
    loaded = load_dataset(folder)
    assert {name: split.num_rows for name, split in loaded.items()} == {
        name: table.num_rows for name, table in files.items()
    }
    series = files["test"]["series"].to_pylist()
    assert np.array_equal(loaded["test"]["series"][:], series, equal_nan=True)
    dataset = mlcroissant.Dataset(folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.warnings
    pairs = [*dataset.records("pairs", filters={"pairs/split": "test"})]
    assert np.array_equal([pair["pairs/series"] for pair in pairs], series, equal_nan=True)
    assert [pair["pairs/row"] for pair in pairs] == files["test"]["row"].to_pylist()


def test_without_the_magnetic_branch_pairs_have_no_records(joined):
    joined.set("branches: [sdo, aligned]\nsdo: {tensors: false}")
    assert stale(joined) == PAIRS
    joined.run("--cores", "2", "aligned")
    counts = json.loads(joined.path("data/preprocessed/aligned/pairs.receipt.json").read_text())
    assert counts["counts"]["pairs_with_record"] == 0
    assert counts["counts"]["pairs"] > 0
    page = joined.path("data/processed/aligned/report.md").read_text()
    assert "The magnetic branch is switched off" in page
    assert joined.stale("aligned") == set()


def test_a_split_without_pairs_is_refused_by_the_check(joined):
    joined.edit(
        "workflow/scripts/skymill/aligned/plan.py",
        '    split = np.full(len(group), "train", dtype=object)\n',
        '    return np.full(len(group), "train", dtype=object)\n',
    )
    done = joined.run("--cores", "2", "aligned", succeeds=False)
    assert "none is in validation and test" in said(done)
    assert not joined.path("data/preprocessed/aligned/pairs.receipt.json").exists()


@pytest.mark.parametrize("split", ["train", "test"])
def test_predictions_of_the_pairs_are_scored(joined, tmp_path, split):
    folder = joined.path(f"data/processed/aligned/{split}")
    pairs = pq.read_table(folder, columns=["sample_id", "label", "group"]).to_pandas()
    pairs["label"] = pairs["label"].astype(str)
    predictions = tmp_path / "predictions.csv"
    pairs[["sample_id", "label"]].sample(frac=1, random_state=0).to_csv(predictions, index=False)
    verdict = score_predictions(
        predictions, joined.path("data"), data_set="aligned", split=split, positive=("M", "C")
    )
    found = verdict.evaluation
    events = int(pairs["label"].isin(["M", "C"]).sum())
    assert (found.records, found.groups) == (len(pairs), pairs["group"].nunique())
    assert found.counts == (events, 0, 0, len(pairs) - events)
    assert found.f1.value == 1
    assert verdict.source == "sample"
    # Predictions of another split are refused by name.
    other = {"train": "test", "test": "train"}[split]
    with pytest.raises(SkymillError, match=pairs["sample_id"][0]):
        score_predictions(predictions, joined.path("data"), data_set="aligned", split=other)
