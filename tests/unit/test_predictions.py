"""`skymill score` compares a user's predictions with the products, and refuses wrong ones."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from records import described
from typer.testing import CliRunner

from skymill.baseline.predictions import score_predictions
from skymill.baseline.scores import best_threshold, count_forecasts, true_skill
from skymill.command.app import app
from skymill.engine.errors import SkymillError
from skymill.engine.products import describe_file
from skymill.engine.tables import write_table

LABELS = np.array(["X", "Q", "M", "Q", "C", "Q"] * 5, dtype=object)
SPLITS = np.repeat(["train", "dev", "test"], 10)
IDS = np.arange(30) * 3 + 1


@pytest.fixture
def results(tmp_path):
    """Return a results folder of thirty records, ten in each split."""
    folder = tmp_path / "data" / "processed" / "magnetic_data"
    folder.mkdir(parents=True)
    table = pa.table({"record_id": IDS, "split": SPLITS, "label": LABELS, "region": IDS // 6})
    entry = write_table(folder / "records.parquet", table)
    described(folder / "records.parquet", [entry], source="sample")
    return tmp_path / "data"


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file of predictions."""

    def write(name="predictions.csv", **columns):
        path = tmp_path / name
        frame = pd.DataFrame(columns)
        if path.suffix == ".csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path)
        return path

    return write


def of(*splits):
    return IDS[np.isin(SPLITS, splits)]


def probabilities(ids, seed=1):
    flare = np.isin(LABELS[(ids - 1) // 3], ["X", "M"])
    noise = np.random.default_rng(seed).random(len(ids))
    return 0.6 * noise + 0.4 * flare


@pytest.mark.parametrize("name", ["predictions.csv", "predictions.parquet"])
def test_the_threshold_is_chosen_on_the_validation_split(results, write, name):
    ids = np.random.default_rng(3).permutation(of("dev", "test"))
    path = write(name, record_id=ids, probability=probabilities(np.sort(ids))[np.argsort(ids)])
    given = pd.read_csv(path) if name.endswith("csv") else pd.read_parquet(path)
    given = given.set_index("record_id")["probability"]
    flare = pd.Series(np.isin(LABELS, ["X", "M"]), index=IDS)
    dev, test = of("dev"), of("test")
    threshold = best_threshold(flare[dev].to_numpy(), given[dev].to_numpy())
    verdict = score_predictions(path, results)
    assert verdict.threshold == pytest.approx(threshold)
    counts = count_forecasts(flare[test].to_numpy(), (given[test] >= threshold).to_numpy())
    assert verdict.evaluation.counts == tuple(counts)
    assert verdict.evaluation.tss.value == pytest.approx(float(true_skill(counts)), abs=1e-4)


def test_the_validation_split_may_have_a_separate_file(results, write):
    ids = of("dev", "test")
    both = write(record_id=ids, probability=probabilities(ids))
    test = write("test.csv", record_id=of("test"), probability=probabilities(ids)[10:])
    dev = write("dev.csv", record_id=of("dev"), probability=probabilities(ids)[:10])
    assert score_predictions(test, results, dev=dev) == score_predictions(both, results)


def test_classes_need_no_threshold_and_give_macro_f1(results, write):
    path = write(record_id=of("test"), label=LABELS[20:])
    verdict = score_predictions(path, results)
    assert (verdict.threshold, verdict.threshold_from) == (None, "classes")
    assert verdict.evaluation.tss.value == verdict.evaluation.f1.value == 1


def test_a_position_names_a_row_of_the_split(results, write):
    path = write(position=np.arange(10), probability=probabilities(of("test")))
    by_id = write("ids.csv", record_id=of("test"), probability=probabilities(of("test")))
    found = [score_predictions(one, results, threshold=0.5) for one in (path, by_id)]
    assert found[0] == found[1]
    assert found[0].threshold_from == "given"


def test_other_classes_may_be_the_events(results, write):
    path = write(record_id=of("test"), label=LABELS[20:])
    verdict = score_predictions(path, results, positive=("Q",))
    assert verdict.evaluation.events == (LABELS[20:] == "Q").sum()


def test_the_validation_split_is_not_scored_with_its_own_threshold(results, write):
    path = write(record_id=of("dev"), probability=probabilities(of("dev")))
    with pytest.raises(SkymillError, match="must come from the split dev"):
        score_predictions(path, results, split="dev")


def test_probabilities_without_a_threshold_are_refused(results, write):
    path = write(record_id=of("test"), probability=probabilities(of("test")))
    with pytest.raises(SkymillError, match=r"name a second file with --dev, or set --threshold"):
        score_predictions(path, results)
    with pytest.raises(SkymillError, match="the threshold 7 is not a probability"):
        score_predictions(path, results, threshold=7)


TEST = of("test")


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (TEST[1:], "lacks 1 of the 10 rows of test, such as record_id 61"),
        ([*TEST, 61], "has record_id 61 more than once"),
        ([*TEST, 2, 5], "has 2 rows with an unknown record_id, such as 2, 5"),
        ([*TEST, 1], "has rows of other splits: record_id 1 is in train"),
        ([*TEST, IDS[10]], "lacks 9 of the 10 rows of dev"),
        ([*TEST[:-1], "a"], "row 10: record_id is 'a', not a whole number"),
        ([*TEST[:-1], 88.5], "not a whole number"),
    ],
)
def test_missing_and_additional_rows_are_named(results, write, ids, said):
    path = write(record_id=np.array(ids, dtype=object), probability=0.5)
    with pytest.raises(SkymillError, match=re.escape(said)):
        score_predictions(path, results, threshold=0.5)


def test_rows_of_test_in_the_file_for_dev_are_refused(results, write):
    test = write(record_id=TEST, probability=0.5)
    dev = write("dev.csv", record_id=of("dev", "test"), probability=0.5)
    with pytest.raises(SkymillError, match=r"dev\.csv has rows of other splits: record_id 61"):
        score_predictions(test, results, dev=dev)
    with pytest.raises(SkymillError, match=r"predictions\.csv has rows of other splits"):
        score_predictions(
            write(record_id=of("dev", "test"), probability=0.5),
            results,
            dev=write("dev.csv", record_id=of("dev"), probability=0.5),
        )


@pytest.mark.parametrize("name", ["predictions.csv", "predictions.parquet"])
@pytest.mark.parametrize("value", [np.nan, -0.1, 1.5, np.inf])
def test_a_value_that_is_no_probability_is_named(results, write, name, value):
    path = write(name, record_id=TEST, probability=[0.5] * 9 + [value])
    with pytest.raises(SkymillError, match=r"1 of 10 probabilities are not numbers .* row 10"):
        score_predictions(path, results, threshold=0.5)


@pytest.mark.parametrize("value", ["Z", "", None])
def test_an_unknown_class_is_named(results, write, value):
    path = write(record_id=TEST, label=["X"] * 9 + [value])
    with pytest.raises(SkymillError, match=r"1 row without a class .* row 10"):
        score_predictions(path, results)


def test_positions_outside_the_split_are_named(results, write):
    path = write(position=np.arange(1, 11), probability=0.5)
    with pytest.raises(SkymillError, match="10 is not a position in the split test"):
        score_predictions(path, results, threshold=0.5)


def test_files_without_the_columns_are_refused(results, write, tmp_path):
    for columns, said in (
        ({"id": TEST, "probability": 0.5}, "needs one column that identifies the rows"),
        ({"record_id": TEST, "position": 0, "probability": 0.5}, "needs one column"),
        ({"record_id": TEST, "p": 0.5}, "needs a column probability"),
    ):
        with pytest.raises(SkymillError, match=said):
            score_predictions(write(**columns), results)
    (tmp_path / "twice.csv").write_text("record_id,label, label\n1,X,Q\n")
    with pytest.raises(SkymillError, match="has the column label more than once"):
        score_predictions(tmp_path / "twice.csv", results)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(SkymillError, match="cannot be read as CSV"):
        score_predictions(tmp_path / "empty.csv", results)
    with pytest.raises(SkymillError, match="does not exist"):
        score_predictions(tmp_path / "nowhere.csv", results)
    (tmp_path / "broken.parquet").write_text("PAR1")
    with pytest.raises(SkymillError, match=r"broken\.parquet cannot be read as Parquet"):
        score_predictions(tmp_path / "broken.parquet", results)


def test_missing_files_and_products_are_refused(results, write):
    path = write(record_id=TEST, label=LABELS[20:])
    for options, said in (
        ({"data_set": "moon"}, "no data set"),
        ({"split": "holdout"}, "no split"),
        ({"positive": ("Z",)}, "no class"),
    ):
        with pytest.raises(SkymillError, match=said):
            score_predictions(path, results, **options)


def test_a_split_without_labels_cannot_be_scored(tmp_path, write):
    folder = tmp_path / "data" / "processed" / "magnetic_data"
    folder.mkdir(parents=True)
    columns = {"split": ["holdout_test"], "label": ["unknown"], "region": pa.nulls(1, pa.int64())}
    entry = write_table(folder / "records.parquet", pa.table({"record_id": [1], **columns}))
    described(folder / "records.parquet", [entry], source="local")
    path = write(record_id=[1], label=["X"])
    with pytest.raises(SkymillError, match="classes of the split holdout_test are unknown"):
        score_predictions(path, tmp_path / "data", split="holdout_test")


def test_samples_of_sdobenchmark_and_alerts_of_ztf_are_scored_too(tmp_path, write):
    sdo = tmp_path / "data" / "processed" / "sdo"
    sdo.mkdir(parents=True)
    for name, splits in (("train", ["train", "validation"]), ("test", ["test", "test"])):
        path = sdo / f"{name}_metadata.csv"
        frame = pd.DataFrame(
            {
                "ar_num": [11, 12],
                "time_id": [f"2012_{name}_0", f"2012_{name}_1"],
                "split": splits,
                "label": ["X", "Q"],
                "group": [11, 12],
            }
        )
        frame.to_csv(path, index=False)
        described(path, [describe_file(path, 2)], source="archive")
    names = ["11_2012_test_0", "12_2012_test_1"]
    given = write(sample_id=names, probability=[0.9, 0.1])
    verdict = score_predictions(given, tmp_path / "data", data_set="sdo", threshold=0.5)
    assert verdict.evaluation.tss.value == 1

    ztf = tmp_path / "data" / "processed" / "ztf"
    ztf.mkdir()
    candid = [2**60 + 1, 2**60 + 3]
    columns = {"split": ["test"] * 2, "label": ["YSO", "Otro"], "group": ["a", "b"]}
    entry = write_table(ztf / "stamps.parquet", pa.table({"candid": candid, **columns}))
    described(ztf / "stamps.parquet", [entry], source="archive")
    given = write(candid=candid, label=["YSO", "Otro"])
    verdict = score_predictions(given, tmp_path / "data", data_set="ztf")
    assert verdict.positive == ("YSO",)
    assert verdict.evaluation.tss.value == 1


def test_the_command_prints_a_table_or_json(results, write):
    path = write(record_id=TEST, label=LABELS[20:])
    done = CliRunner().invoke(app, ["score", str(path), "--results", str(results)])
    assert done.exit_code == 0, done.output
    assert "mean nothing about the Sun" in done.output.splitlines()[0]
    assert "TSS       1.00 (1.00 to 1.00)" in done.output
    assert "Fewer than 5 groups" in done.output
    done = CliRunner().invoke(app, ["score", str(path), "--results", str(results), "--json"])
    assert json.loads(done.output)["tss"]["value"] == 1
