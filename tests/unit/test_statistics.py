"""Statistics of the training data are exact, ignore copies, and do not depend on workers."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from skymill.aligned import statistics as aligned
from skymill.engine.digests import ordered_digest
from skymill.engine.errors import SkymillError
from skymill.engine.statistics import (
    PERCENTS,
    Moments,
    Selection,
    add_counts,
    class_weights,
    lower_halves,
    summarise,
    summarise_levels,
    upper_halves,
)
from skymill.magnetic import statistics as magnetic
from skymill.sdo import statistics as sdo
from skymill.sdo.names import CHANNELS
from skymill.sdo.plan import PLAN_SCHEMA
from skymill.ztf import statistics as ztf

FLOATS = st.floats(-1e6, 1e6, width=32)
SINGLES = st.floats(-(2.0**100), 2.0**100, width=32)


def require_summary(found, values):
    """Compare a summary with NumPy's results for the values."""
    values = np.asarray(values, dtype=np.float64)
    assert found["count"] == len(values)
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-12, abs=1e-9)
    assert found["deviation"] == pytest.approx(values.std(), rel=1e-9, abs=1e-9)
    assert (found["minimum"], found["maximum"]) == (values.min(), values.max())
    expected = np.percentile(values, PERCENTS)
    assert list(found["quantiles"].values()) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@given(st.lists(FLOATS, min_size=1, max_size=300))
def test_a_summary_agrees_with_numpy(values):
    require_summary(summarise(np.array(values)), values)


def test_the_deviation_of_values_far_from_zero_is_exact():
    # Sums of squares would lose all 16 digits.
    values = 1e12 + np.array([-1.0, 0.0, 1.0])
    assert summarise(values)["deviation"] == pytest.approx(np.sqrt(2 / 3), rel=1e-12)
    apart = Moments.of(values[:1]) + Moments.of(values[1:])
    assert apart.deviation == pytest.approx(np.sqrt(2 / 3), rel=1e-12)


def test_an_empty_summary_can_be_written():
    for found in (summarise(np.array([]), missing=3), summarise_levels(np.zeros(256), missing=3)):
        assert (found["count"], found["missing_share"], found["mean"]) == (0, 1.0, None)
        json.dumps(found, allow_nan=False)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=300))
def test_a_summary_of_levels_equals_that_of_the_values(levels):
    counts = np.bincount(levels, minlength=256)
    require_summary(summarise_levels(counts), levels)


@given(st.lists(st.lists(SINGLES, max_size=60), min_size=1, max_size=5))
def test_a_summary_computed_in_parts_equals_that_of_all_values(parts):
    parts = [np.array(part, dtype=np.float32) for part in parts]
    whole = np.concatenate(parts)
    selection = Selection(add_counts(map(upper_halves, parts)))
    lower = [lower_halves(part, selection.halves) for part in parts]
    found = selection.summary(
        sum(map(Moments.of, parts), Moments(0, 0.0, 0.0)),
        0,
        {half: add_counts(part[half] for part in lower) for half in selection.halves},
    )
    expected = summarise(whole)
    assert {**found, "mean": 0, "deviation": 0} == {**expected, "mean": 0, "deviation": 0}
    if len(whole):
        scale = max(abs(whole.astype(float)))
        for name in ("mean", "deviation"):
            assert found[name] == pytest.approx(expected[name], rel=1e-9, abs=1e-9 * scale)


def test_rare_classes_have_larger_weights_and_absent_classes_none():
    weights = class_weights({"X": 1, "M": 3, "C": 0})
    assert weights == {
        "X": {"count": 1, "weight": 4 / 3},
        "M": {"count": 3, "weight": 4 / 9},
        "C": {"count": 0, "weight": 0.0},
    }


@pytest.fixture(name="split")
def _split(tmp_path):
    """Return the files of a training split of four records, and the table of records."""
    ids = np.repeat([3, 5, 7, 9], 60)
    values = np.arange(240.0)
    files = []
    for place, rows in enumerate((slice(0, 120), slice(120, 240))):
        table = pa.table(
            {
                "record_id": ids[rows],
                "seq_id": np.tile(np.arange(60, dtype=np.int8), 2),
                "label": ["X"] * 120,
                "A": values[rows],
                "B": -values[rows],
            }
        )
        files.append(tmp_path / f"part-{place}.parquet")
        pq.write_table(table, files[-1])
    records = {
        "record_id": [1, 3, 5, 7, 9, 3],
        "split": ["dev", "train", "train", "train", "train", "holdout_test"],
        "method": ["original", "original", "warp", "original", "duplicate", "original"],
        "label": ["B", "X", "X", "Q", "Q", "unknown"],
    }
    pq.write_table(pa.table(records), tmp_path / "records.parquet")
    return files, tmp_path / "records.parquet"


def test_copies_and_other_splits_are_not_measured(split):
    found = magnetic.measure(*split)
    originals = np.r_[0:60, 120:180].astype(float)
    assert found["records"] == 2
    require_summary(found["columns"]["A"], originals)
    require_summary(found["columns"]["B"], -originals)
    assert {name: entry["count"] for name, entry in found["classes"].items()} == {
        **dict.fromkeys("MCB", 0),
        "X": 1,
        "Q": 1,
    }


def test_the_number_of_workers_does_not_change_the_statistics(split):
    assert magnetic.measure(*split, workers=2) == magnetic.measure(*split)


def test_a_split_that_differs_from_the_table_is_refused(split):
    files, records = split
    with pytest.raises(SkymillError, match="does not have the records"):
        magnetic.measure(files[:1], records)


def test_missing_steps_of_pairs_are_skipped_and_counted(tmp_path):
    series = np.arange(2 * 60 * 2, dtype=np.float32).reshape(2, 60, 2)
    series[0, :30, 1] = np.nan
    metadata = {"shape": "[60, 2]", "parameters": '["TOTPOT", "EPSZ"]'}
    schema = pa.schema(
        [
            pa.field("label", pa.string()),
            pa.field("series", pa.list_(pa.float32(), 120), metadata=metadata),
            pa.field("EPSZ", pa.list_(pa.float32(), 60), metadata={"shape": "[60]"}),
        ]
    )
    columns = [
        pa.array(["M", "C"]),
        pa.FixedSizeListArray.from_arrays(pa.array(series.reshape(-1)), 120),
        pa.FixedSizeListArray.from_arrays(pa.array(np.ones(120, np.float32)), 60),
    ]
    pq.write_table(pa.table(columns, schema=schema), tmp_path / "pairs.parquet")
    found = aligned.measure([tmp_path / "pairs.parquet"])
    assert found["parameters"]["EPSZ"]["missing_share"] == 0.25
    require_summary(found["parameters"]["EPSZ"], series[:, :, 1][~np.isnan(series[:, :, 1])])
    require_summary(found["columns"]["EPSZ"], np.ones(120))
    assert found["classes"]["M"]["weight"] == 0.5


@pytest.fixture(name="samples")
def _samples(tmp_path):
    """Return the plan and the tensors of 20 samples, images of 4 x 4 pixels."""
    count, rng = 20, np.random.default_rng(1)
    splits = ["train" if row % 3 else "validation" for row in range(count)]
    ids = [f"1_{row}" for row in range(count)]
    rows = {
        "set": ["train"] * count,
        "row": range(count),
        "sample_id": ids,
        "ar_num": [1] * count,
        "label": ["M"] * count,
        "goes_class": ["M1.0"] * count,
        "split": splits,
        "group": [1] * count,
        "harps": [""] * count,
    }
    columns = [pa.array(rows[field.name]).cast(field.type) for field in PLAN_SCHEMA]
    pq.write_table(pa.Table.from_arrays(columns, schema=PLAN_SCHEMA), tmp_path / "plan.parquet")
    shape = (count, 4, len(CHANNELS), 4, 4)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    available = rng.random(shape[:3]) < 0.7
    available[:, :, 3] = False
    images[~available] = 0
    group = zarr.create_group(tmp_path / "train.zarr", attributes={"identity": ordered_digest(ids)})
    group.create_array("images", data=images)
    group.create_array("available", data=available)
    return tmp_path / "plan.parquet", tmp_path / "train.zarr", images, available, splits


def test_channels_are_measured_over_the_existing_images(samples):
    plan, tensors, images, available, splits = samples
    found = sdo.measure(plan, tensors)
    train = np.array(splits) == "train"
    assert found["records"] == train.sum() == found["classes"]["M"]["count"]
    for place, name in enumerate(CHANNELS):
        there = available[train][:, :, place]
        channel = found["channels"][name]
        assert channel["missing_share"] == pytest.approx(1 - there.mean())
        if there.any():
            require_summary(channel, images[train][:, :, place][there].reshape(-1))
    assert found["channels"][CHANNELS[3]]["count"] == 0
    assert sdo.measure(plan, tensors, workers=2) == found


def test_without_tensors_there_are_only_weights(samples):
    plan = samples[0]
    assert {*sdo.measure(plan, None)} == {"split", "records", "classes"}


def test_tensors_of_other_samples_are_refused(samples):
    plan, tensors, *_ = samples
    zarr.open_group(tensors).attrs["identity"] = "another"
    with pytest.raises(SkymillError, match="other samples than the plan"):
        sdo.measure(plan, tensors)


@pytest.mark.parametrize("piece", [2**26, 200])
def test_pixels_of_stamps_without_a_value_are_skipped(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(ztf, "PIECE_BYTES", piece)
    stamps = np.random.default_rng(2).normal(5, 1, (6, 3, 3, 3)).astype(np.float32)
    stamps[1, 0, 0, :] = 0  # of these two had no value, and one is 0
    missing = np.zeros((6, 3), np.int16)
    missing[1, 0] = 2
    table = {
        "label": ["QSO", "AGN", "AGN", "Otro", "AGN", "QSO"],
        "split": ["train", "train", "validation", "test", "train", "train"],
        "nan_science": missing[:, 0],
        "nan_template": missing[:, 1],
        "nan_difference": missing[:, 2],
    }
    pq.write_table(pa.table(table), tmp_path / "stamps.parquet")
    np.save(tmp_path / "stamps.npy", stamps)
    found = ztf.measure(tmp_path / "stamps.parquet", tmp_path / "stamps.npy")
    train = pd.Series(table["split"]).eq("train").to_numpy()
    science = np.sort(np.r_[stamps[train][:, 0].reshape(-1)])
    require_summary(found["kinds"]["science"], np.r_[0, science[3:]])
    assert found["kinds"]["science"]["missing_share"] == 2 / 36
    require_summary(found["kinds"]["difference"], stamps[train][:, 2].reshape(-1))
    counts = {name: entry["count"] for name, entry in found["classes"].items()}
    assert counts == {"AGN": 2, "Otro": 0, "QSO": 2}
    by_split = ztf.count_splits(tmp_path / "stamps.parquet")
    assert by_split["train"] == {"alerts": 4, "by_label": counts}
    assert by_split["validation"]["by_label"] == {"AGN": 1, "Otro": 0, "QSO": 0}


def test_a_split_without_alerts_has_no_summary(tmp_path):
    empty = {"label": pa.array([], pa.string()), "split": pa.array([], pa.string())}
    names = ("nan_science", "nan_template", "nan_difference")
    kinds = {name: pa.array([], pa.int16()) for name in names}
    pq.write_table(pa.table({**empty, **kinds}), tmp_path / "stamps.parquet")
    np.save(tmp_path / "stamps.npy", np.empty((0, 3, 21, 21), np.float32))
    found = ztf.measure(tmp_path / "stamps.parquet", tmp_path / "stamps.npy")
    assert found["kinds"]["science"]["count"] == 0
