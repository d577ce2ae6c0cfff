"""Libraries that read cards load the finished products."""

import itertools
import json

import mlcroissant
import pandas as pd
import pyarrow.parquet as pq
import pytest

import skymill
from loaders import loads_croissant
from skymill.magnetic.schema import SPLITS

SETS = ("magnetic_data", "sdo", "ztf")
HUB_NAMES = {"dev": "validation"}


@pytest.fixture(name="processed")
def _processed(looked_at):
    return looked_at.path("data/processed")


def test_the_library_of_the_hub_keeps_the_splits_of_the_magnetic_set_separate(
    processed, load_dataset
):
    folder = processed / "magnetic_data"
    loaded = load_dataset(folder)
    files = {name: pq.read_table(folder / name) for name in SPLITS}
    assert {name: split.num_rows for name, split in loaded.items()} == {
        HUB_NAMES.get(name, name): table.num_rows for name, table in files.items() if table.num_rows
    }
    held_out = loaded["holdout_test"]
    assert held_out["record_id"][:] == files["holdout_test"]["record_id"].to_pylist()
    assert {*held_out["label"][:]} == {"unknown"}
    assert loaded["train"]["USFLUX_log"][:] == files["train"]["USFLUX_log"].to_pylist()
    records = load_dataset(folder, "records")["records"]
    assert records.num_rows == pq.read_metadata(folder / "records.parquet").num_rows


def test_the_library_of_the_hub_loads_one_split_of_stamps_or_asks_for_a_split(
    processed, load_dataset
):
    folder = processed / "ztf"
    everything = pd.read_parquet(folder / "stamps.parquet")
    train = load_dataset(folder, "train")
    assert [*train] == ["train"]
    expected = everything[everything["split"] == "train"]
    assert train["train"]["candid"][:] == expected["candid"].tolist()
    assert train["train"][0]["stamps"] == expected["stamps"].iloc[0].tolist()
    with pytest.raises(ValueError, match="Config name is missing"):
        load_dataset(folder)


def test_the_library_of_the_hub_keeps_validation_samples_out_of_training(processed, load_dataset):
    loaded = load_dataset(processed / "sdo")
    assert {*loaded} == {"official_train", "official_test"}
    index = pd.read_csv(processed / "sdo" / "train_metadata.csv")
    assert loaded["official_train"]["split"][:] == index["split"].tolist()


@loads_croissant
@pytest.mark.parametrize("name", SETS)
def test_mlcroissant_finds_no_errors_in_a_card(processed, name):
    dataset = mlcroissant.Dataset(processed / name / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    assert "SIMULATED" in dataset.metadata.name


@loads_croissant
def test_mlcroissant_loads_the_values_of_the_files(processed):
    frame = pd.read_parquet(processed / "magnetic_data" / "dev")
    dataset = mlcroissant.Dataset(processed / "magnetic_data" / "croissant.json")
    steps = dataset.records("steps", filters={"steps/split": "dev"})
    for step, expected in zip(itertools.islice(steps, 70), frame.itertuples(), strict=False):
        assert step["steps/record_id"] == expected.record_id
        assert step["steps/seq_id"] == expected.seq_id
        assert step["steps/label"].decode() == expected.label
        assert step["steps/USFLUX_log"] == expected.USFLUX_log
        assert step["steps/split"] == b"dev"
    stamps = pd.read_parquet(processed / "ztf" / "stamps.parquet")
    dataset = mlcroissant.Dataset(processed / "ztf" / "croissant.json")
    alerts = [*dataset.records("alerts")]
    assert [alert["alerts/candid"] for alert in alerts] == stamps["candid"].tolist()
    assert alerts[0]["alerts/stamps"] == stamps["stamps"].iloc[0].tolist()
    index = pd.read_csv(processed / "sdo" / "test_metadata.csv")
    dataset = mlcroissant.Dataset(processed / "sdo" / "croissant.json")
    samples = [*dataset.records("official_test")]
    assert [sample["official_test/peak_flux"] for sample in samples] == index["peak_flux"].tolist()


def test_statistics_are_those_of_the_original_training_records(processed):
    found = skymill.statistics("magnetic", processed.parent)
    train = skymill.load("magnetic", "train", processed.parent)
    originals = train.X[train.method == "original"]
    assert found["records"] == len(originals) < len(train)
    for place, name in enumerate(train.columns):
        assert found["columns"][name]["mean"] == pytest.approx(originals[:, :, place].mean())
    assert {*skymill.statistics("sdo", processed.parent)["channels"]} >= {"94", "magnetogram"}
    assert {*skymill.statistics("ztf", processed.parent)["kinds"]} == {
        *("science", "template", "difference")
    }


def test_cards_have_no_paths_of_the_machine_and_no_times(processed):
    for name in SETS:
        for file in ("README.md", "croissant.json", "statistics.json"):
            text = (processed / name / file).read_text()
            assert str(processed.parents[1]) not in text
        dates = {
            value
            for key, value in json.loads((processed / name / "croissant.json").read_text()).items()
            if key.startswith("date")
        }
        assert dates == {"2026-11-21"}


def test_a_disabled_branch_gets_no_card(project):
    project.set("branches: [stealth]")
    assert not {"write_card", "measure_ztf", "measure_magnetic"} & project.stale()
