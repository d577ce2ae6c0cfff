"""The table of records: each row has the place, the origin and the missing values of a record."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from records import described

from skymill.engine.tables import write_parquet
from skymill.magnetic import records as module
from skymill.magnetic.ids import read_ids
from skymill.magnetic.missing import missing_steps
from skymill.magnetic.plan_table import METHODS
from skymill.magnetic.records import (
    count_records,
    missing_shares,
    records_schema,
    records_table,
)
from skymill.magnetic.schema import (
    EXTENSIVE_PARAMETERS,
    PARAMETERS,
    SPLITS,
    STEPS,
    XR_MAX_MISSING,
)
from skymill.magnetic.store import pieces, step_table
from skymill.magnetic.write import clean_schema


@pytest.fixture(params=["small_run", "published_run"])
def run(request):
    return request.getfixturevalue(request.param)


def test_each_record_of_each_split_has_one_row(run):
    table = run.records.to_pandas()
    assert run.records.schema == records_schema()
    assert not table.duplicated(["split", "record_id"]).any()
    for split in SPLITS:
        steps = run.read(run.features(split)).to_pandas()
        rows = table[table["split"] == split].set_index("record_id")
        assert sorted(rows.index) == sorted(steps["record_id"].unique())
        label = steps.groupby("record_id")["label"].first()
        assert rows.loc[label.index, "label"].tolist() == label.tolist()
    assert set(table["split"]) == set(SPLITS)
    assert count_records(run.records) == {
        "records": len(table),
        "by_split": {split: int((table["split"] == split).sum()) for split in SPLITS},
    }


def test_a_row_has_the_origin_of_its_record(run):
    table = run.records.to_pandas()
    planned = table[table["split"] != "holdout_test"].set_index("record_id")
    plan = run.planned.set_index("record_id")
    for name in ("region", "partition", "method", "label", "split"):
        assert planned[name].tolist() == plan[name].tolist()
    assert planned["parent"].isna().tolist() == (plan["method"] == "original").tolist()
    assert set(planned["method"]) == set(METHODS)
    held_out = table[table["split"] == "holdout_test"]
    assert held_out["record_id"].tolist() == read_ids(run.ids["test"])["record_id"].tolist()
    assert set(held_out["partition"]) == {"test_4_5_data"}
    assert set(held_out["method"]) == {"original"}
    assert held_out[["region", "parent", "fold"]].isna().all(axis=None)


def test_m_and_x_are_1_other_classes_0_and_unknown_classes_null(small_run):
    table = small_run.records.to_pandas()
    for label, value in {"X": 1, "M": 1, "C": 0, "B": 0, "Q": 0}.items():
        assert set(table.loc[table["label"] == label, "m_or_x"]) == {value}
    assert table.loc[table["label"] == "unknown", "m_or_x"].isna().all()


def test_nan_an_unmeasured_zero_and_the_sentinel_count_as_missing():
    series = np.array([[np.nan, 0.0, XR_MAX_MISSING, 1.0]])
    for name in PARAMETERS:
        expected = [True, name in EXTENSIVE_PARAMETERS, name == "XR_MAX", False]
        assert missing_steps(series, name).tolist() == [expected], name


def store_of(folder, values):
    """Return a store of clean records, values of shape (33, records, 60)."""
    records = values.shape[1]
    columns = {
        "record_id": np.arange(records),
        "seq_id": np.tile(np.arange(STEPS, dtype=np.int8), (records, 1)),
        "safe_index": np.arange(records * STEPS).reshape(records, STEPS),
        "source_id": np.arange(records),
        "label": pa.array(["Q"] * records),
        "partition": pa.array(["train_partition1_data"] * records),
        **dict(zip(PARAMETERS, values, strict=True)),
    }
    folder.mkdir()
    table = step_table(columns, clean_schema())
    entry = write_parquet(folder / "part-00000.parquet", table, rows_per_group=2 * STEPS)
    return described(folder, [entry])


@pytest.mark.parametrize("workers", [1, 2])
def test_the_share_of_missing_steps_is_counted_by_record_and_parameter(
    tmp_path, monkeypatch, workers
):
    monkeypatch.setattr(module, "pieces", lambda total: pieces(total, 3))
    rng = np.random.default_rng(5)
    values = rng.normal(3, 1, (len(PARAMETERS), 10, STEPS))
    gone = rng.random(values.shape) < rng.random((len(PARAMETERS), 10, 1))
    values[gone] = np.nan
    shares = missing_shares(store_of(tmp_path / "clean", values), workers=workers)
    assert shares.dtype == np.float32
    assert np.array_equal(shares, gone.mean(axis=2).T.astype(np.float32))


def test_a_synthetic_record_has_the_missing_values_of_its_parent(run):
    table = run.records.to_pandas()
    names = [f"missing_{name}" for name in PARAMETERS]
    # The written values prove this.
    augmented = run.read(run.augmented).to_pandas()
    rows = table[table["split"] != "holdout_test"].set_index("record_id")
    for record_id, steps in augmented.groupby("record_id"):
        written = [missing_steps(steps[name].to_numpy(), name).mean() for name in PARAMETERS]
        assert rows.loc[record_id, names].tolist() == pytest.approx(written)


def test_shares_belong_to_their_records_for_any_ids():
    clean = pd.DataFrame({"record_id": [3, 7, 20]})
    plan = pd.DataFrame(
        {
            "record_id": [3, 20, 21],
            "split": ["dev", "train", "train"],
            "fold": pd.array([1, 0, 0], dtype="Int64"),
            "region": [3, 20, 7],
            "partition": "train_partition1_data",
            "parent": pd.array([pd.NA, pd.NA, 7], dtype="Int64"),
            "method": ["original", "original", "warp"],
            "label": ["Q", "M", "X"],
        }
    )
    missing = np.tile(np.array([[0.1], [0.2], [0.3]], np.float32), len(PARAMETERS))
    table = records_table(plan, clean, missing)  # there is no test file
    assert table["missing_USFLUX"].to_pylist() == pytest.approx([0.1, 0.3, 0.2])
    assert table["fold"].to_pylist() == [1, 0, 0]
    assert table["parent"].to_pylist() == [None, None, 7]
    assert table["m_or_x"].to_pylist() == [0, 1, 1]
