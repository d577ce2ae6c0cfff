"""Features equal a plain pandas computation, use one record only, and are always finite."""

import warnings
from collections import Counter
from copy import deepcopy

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import (
    ABSENT,
    Ingested,
    contents_of,
    described,
    load_config,
    physical_values,
    record,
    same_bits,
    write_raw,
)

from skymill.engine.errors import SkymillError
from skymill.engine.tables import write_table
from skymill.magnetic import features as module
from skymill.magnetic.catalogue_table import REASONS
from skymill.magnetic.features import (
    FeatureSet,
    difference,
    fill_missing,
    lag,
    promised_counts,
    records_of_split,
    rolling_mean,
    rolling_std,
    warn_of_unmeasured,
    write_features,
)
from skymill.magnetic.ids import assign_ids
from skymill.magnetic.inputs import PARTITION_NAMES
from skymill.magnetic.schema import (
    CLASSES,
    EXTENSIVE_PARAMETERS,
    INDEX,
    PARAMETERS,
    SPLITS,
    STEPS,
    XR_MAX_MISSING,
)
from skymill.magnetic.store import RecordStore, pieces
from skymill.magnetic.write import write_clean

DEFAULT = load_config("config.yaml")["features"]
CURATED = [
    *("USFLUX_log", "TOTPOT_log", "PIL_LEN_log", "MEANSHR", "TOTFZ", "EPSZ", "R_VALUE"),
    *("USFLUX_log_roll_mean5", "USFLUX_log_roll_std5", "TOTPOT_log_diff1", "MEANSHR_lag3"),
]
EVERYTHING = {
    "fill": "interpolate",
    "log1p": DEFAULT["log1p"],
    "derived": [
        {"operation": operation, "parameter": parameter, "window": window}
        for operation in ("rolling_mean", "rolling_std", "diff", "lag")
        for parameter in ("USFLUX_log", "MEANGBZ", "XR_MAX")
        for window in (1, 2, 5, 60)
    ],
}
EVERYTHING["columns"] = [
    *PARAMETERS,
    *(f"{name}_log" for name in EVERYTHING["log1p"]),
    *(
        f"{d['parameter']}_{short}{d['window']}"
        for d in EVERYTHING["derived"]
        for short in [
            {"rolling_mean": "roll_mean", "rolling_std": "roll_std"}.get(
                d["operation"], d["operation"]
            )
        ]
    ),
]


def raw_records(count, seed, missing=0.1):
    """Return values, shape (33, records, 60), with NaN, zeros, sentinels, unmeasured parameters."""
    rng = np.random.default_rng(seed)
    values = np.stack([physical_values(seed + n) for n in range(count)], axis=1)
    values[INDEX["MEANGBZ"]] *= rng.choice([-1.0, 1.0], values[INDEX["MEANGBZ"]].shape)
    values[rng.random(values.shape) < missing] = np.nan
    values[rng.random(values.shape) < missing] = 0.0
    values[INDEX["XR_MAX"]][rng.random((count, STEPS)) < missing] = XR_MAX_MISSING
    for filler in (np.nan, 0.0):
        values[rng.random(values.shape[:2]) < missing / 2] = filler
    return values


def plain_features(values, settings):
    """Return the columns as pandas computes them, one row per step."""
    count = values.shape[1]
    frame = pd.DataFrame({name: values[INDEX[name]].reshape(-1) for name in PARAMETERS})
    record = pd.Series(np.repeat(np.arange(count), STEPS))
    if settings["fill"] == "interpolate":
        frame[list(EXTENSIVE_PARAMETERS)] = frame[list(EXTENSIVE_PARAMETERS)].replace(0.0, np.nan)
        frame["XR_MAX"] = frame["XR_MAX"].replace(XR_MAX_MISSING, np.nan)
        frame = frame.groupby(record, group_keys=False)[list(PARAMETERS)].apply(
            lambda steps: steps.interpolate(limit_direction="both")
        )
    frame = frame.fillna(0.0)
    for name in settings["log1p"]:
        frame[f"{name}_log"] = np.log1p(frame[name].clip(lower=0))
    for derived in settings["derived"]:
        name, window = derived["parameter"], derived["window"]
        series = frame[name].groupby(record, group_keys=False)
        operation = derived["operation"]
        if operation.startswith("rolling"):
            what = operation.removeprefix("rolling_")
            rolled = getattr(series.rolling(window, min_periods=1), what)()
            column, short = rolled.reset_index(level=0, drop=True).sort_index(), f"roll_{what}"
        elif operation == "diff":
            column, short = series.diff(window), "diff"
        else:
            column, short = series.shift(window), "lag"
        frame[f"{name}_{short}{window}"] = column.fillna(0.0)
    return frame[settings["columns"]]


def computed(values, settings):
    """Return (columns, never measured) of raw values of shape (33, records, 60)."""
    features = FeatureSet(settings)
    chosen = values[[INDEX[name] for name in features.parameters]].copy()
    return features.compute(chosen)


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.1, 0.5, 0.95]),
    st.sampled_from(["interpolate", "zero"]),
    st.sampled_from([DEFAULT, EVERYTHING]),
)
def test_features_equal_those_of_plain_pandas(seed, missing, fill, configured):
    configured = {**configured, "fill": fill}
    values = raw_records(3, seed, missing)
    columns, _ = computed(values, configured)
    expected = plain_features(values, configured)
    assert list(columns) == list(expected.columns)
    for name, column in columns.items():
        assert column.shape == (3, STEPS)
        assert np.isfinite(column).all()
        tolerance = 1e-6 if "roll_std" in name else 1e-9
        # A difference of nearly equal numbers has the absolute precision of the numbers.
        scale = np.abs(expected[name.split("_diff")[0].split("_roll")[0]]).max()
        np.testing.assert_allclose(
            column.reshape(-1), expected[name], rtol=tolerance, atol=tolerance * scale, err_msg=name
        )


def test_the_default_columns_are_the_curated_ones_in_order():
    assert DEFAULT["columns"] == CURATED
    names = ["record_id", "seq_id", "label", *CURATED]
    assert FeatureSet(DEFAULT).schema().names == names
    assert len(names) == 14


def test_every_feature_is_float64():
    types = {field.name: field.type for field in FeatureSet(DEFAULT).schema()}
    assert all(types[name] == pa.float64() for name in CURATED)
    assert types["record_id"] == pa.int64()


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(["interpolate", "zero"]))
def test_nothing_crosses_from_one_record_to_another(seed, fill):
    configured = {**EVERYTHING, "fill": fill}
    values = raw_records(4, seed, 0.3)
    together, never = computed(values, configured)
    alone = [computed(values[:, [n]], configured) for n in range(4)]
    for name, column in together.items():
        assert same_bits(column, np.concatenate([columns[name] for columns, _ in alone]))
    for name, count in never.items():
        assert count == sum(counts[name] for _, counts in alone)


@given(st.integers(0, STEPS - 1), st.integers(0, 10**6))
def test_a_feature_uses_only_earlier_steps(step, seed):
    values = raw_records(1, seed, 0.0)
    changed = values.copy()
    changed[:, :, step] *= 1.5
    before, after = computed(values, EVERYTHING)[0], computed(changed, EVERYTHING)[0]
    for name, column in before.items():
        assert same_bits(column[:, :step], after[name][:, :step])


@pytest.mark.parametrize("name", PARAMETERS)
def test_gaps_are_interpolated_and_edges_take_the_nearest_value(name):
    series = np.full((1, STEPS), np.nan)
    series[0, [10, 14, 30]] = [2.0, 4.0, -4.0]
    assert fill_missing(series, name, "interpolate") == 0
    assert series[0, :15].tolist() == [2.0] * 11 + [2.5, 3.0, 3.5, 4.0]
    assert series[0, 22] == 0.0
    assert series[0, 30:].tolist() == [-4.0] * 30


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_exact_zero_is_missing_in_an_extensive_parameter_only(name):
    series = np.full((1, STEPS), 3.0)
    series[0, 5] = 0.0
    fill_missing(series, name, "interpolate")
    assert series[0, 5] == (3.0 if name in EXTENSIVE_PARAMETERS else 0.0)


def test_extensive_parameters_are_those_of_the_archive():
    extensive = {"USFLUX", "ABSNJZH", "SAVNCPP", *(n for n in PARAMETERS if n.startswith("TOT"))}
    assert set(EXTENSIVE_PARAMETERS) == extensive


def test_the_sentinel_of_xr_max_is_missing():
    series = np.array([[1.0, XR_MAX_MISSING, 3.0, *[3.0] * (STEPS - 3)]])
    fill_missing(series, "XR_MAX", "interpolate")
    assert series[0, :3].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("filler", [np.nan, 0.0])
def test_a_parameter_never_measured_becomes_zero_and_is_counted(filler):
    series = np.full((3, STEPS), 2.0)
    series[1] = filler
    assert fill_missing(series, "USFLUX", "interpolate") == 1
    assert series.sum(axis=1).tolist() == [120.0, 0.0, 120.0]


@pytest.mark.parametrize("name", ["USFLUX", "XR_MAX", "MEANSHR"])
def test_zero_fill_replaces_nan_by_zero_and_changes_no_other_value(name):
    series = np.array([[1.0, np.nan, XR_MAX_MISSING, 0.0, *[2.0] * 56], [np.nan] * STEPS])
    assert fill_missing(series, name, "zero") == 1
    assert series[0, :5].tolist() == [1.0, 0.0, XR_MAX_MISSING, 0.0, 2.0]
    assert not series[1].any()


def test_negative_values_have_the_logarithm_of_zero():
    values = physical_values(0)[:, None]
    values[INDEX["MEANPOT"], 0, 7] = -5.0
    columns, _ = computed(values, {**DEFAULT, "columns": ["MEANPOT_log"]})
    assert columns["MEANPOT_log"][0, 7] == 0.0


def test_values_undefined_at_the_first_steps_are_zero():
    columns, _ = computed(physical_values(0)[:, None], DEFAULT)
    assert columns["USFLUX_log_roll_std5"][0, 0] == 0.0
    assert columns["TOTPOT_log_diff1"][0, 0] == 0.0
    assert columns["MEANSHR_lag3"][0, :3].tolist() == [0.0] * 3
    assert (columns["MEANSHR_lag3"][0, 3:] == columns["MEANSHR"][0, :-3]).all()


@pytest.mark.parametrize("function", [rolling_mean, rolling_std, difference, lag])
@pytest.mark.parametrize("window", [1, 7, STEPS])
def test_operations_do_not_change_their_input(function, window):
    values = np.random.default_rng(0).normal(size=(2, STEPS))
    before = values.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        function(values, window)
    assert same_bits(values, before)


def test_the_rolling_deviation_of_a_constant_is_zero_even_where_numbers_are_large():
    constant = np.full((1, STEPS), 1e23 / 3)
    deviation = rolling_std(constant, 5)[0, 1:]
    assert (np.abs(deviation) <= 1e-15 * 1e23).all()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"columns": ["USFLUX_log", "MEANSHER"]}, "MEANSHER"),
        ({"columns": ["XR_MAX_log"]}, "XR_MAX_log"),
        ({"columns": ["MEANSHR_lag4"]}, "MEANSHR_lag4"),
        ({"derived": [{"operation": "lag", "parameter": "XR_MAX_log", "window": 1}]}, "XR_MAX_log"),
    ],
)
def test_an_unknown_column_is_refused_by_name(change, named):
    with pytest.raises(SkymillError, match=named):
        FeatureSet({**DEFAULT, **change})


def test_only_the_parameters_that_are_needed_are_read():
    features = FeatureSet({**DEFAULT, "columns": ["MEANSHR_lag3", "USFLUX_log"]})
    assert features.parameters == ("USFLUX", "MEANSHR")


def write(run, split, folder, *, expected=None, workers=1):
    """Write a split of a run again."""
    store = run.augmented if split == "train" else run.clean["train"]
    records = records_of_split(split, run.ids["train"], run.plan, everything=run.everything)
    if expected is None:
        expected = run.plan_counts["by_split"][split]["by_label"]
    return write_features(
        run.products[store],
        *records,
        run.config["features"],
        folder,
        expected=expected,
        workers=workers,
    )


def test_files_are_the_same_for_one_worker_and_two(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "pieces", lambda total: pieces(total, 40))
    one = write(small_run, "train", tmp_path / "set"), contents_of(tmp_path / "set")
    assert len(one[0][0]) >= 3
    again = write(small_run, "train", tmp_path / "set", workers=2)
    assert (again, contents_of(tmp_path / "set")) == one


def test_counts_that_differ_from_the_plan_are_refused_and_the_old_product_is_kept(
    small_run, tmp_path
):
    write(small_run, "dev", tmp_path / "dev")
    before = contents_of(tmp_path / "dev")
    expected = deepcopy(small_run.plan_counts["by_split"]["dev"]["by_label"])
    expected["Q"] += 1
    with pytest.raises(SkymillError, match="but the plan has"):
        write(small_run, "dev", tmp_path / "dev", expected=expected)
    assert contents_of(tmp_path / "dev") == before


def test_an_infinite_feature_is_refused_with_its_record_and_step(small_run, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    source = small_run.clean["train"]
    table = pq.read_table(source / "part-00000.parquet")
    column = table["MEANSHR"].to_numpy().copy()
    column[65] = np.inf
    index = table.column_names.index("MEANSHR")
    pq.write_table(
        table.set_column(index, table.schema.field(index), pa.array(column)),
        store / "part-00000.parquet",
    )
    size = (store / "part-00000.parquet").stat().st_size
    entry = {"name": "part-00000.parquet", "bytes": size, "rows": len(table)}
    product = described(store, [entry])
    ids = table["record_id"].to_numpy()[::STEPS]
    with pytest.raises(SkymillError, match=f"MEANSHR is inf in record {ids[1]}, step 5"):
        write_features(
            product,
            np.arange(len(ids)),
            ids,
            np.full(len(ids), "Q", object),
            {**DEFAULT, "columns": ["MEANSHR"], "fill": "zero"},
            tmp_path / "split",
            expected={"Q": len(ids)},
        )
    assert not (tmp_path / "split").exists()


@pytest.mark.parametrize("which", ["small_run", "published_run"])
@pytest.mark.parametrize("split", SPLITS)
def test_a_written_split_has_the_planned_records_of_sixty_steps(request, which, split):
    run = request.getfixturevalue(which)
    table = run.read(run.features(split)).to_pandas()
    if split == "holdout_test":
        assert table["record_id"].unique().tolist() == [1, 2, 3, 171_038]
        assert set(table["label"]) == {"unknown"}
        planned = table.drop_duplicates("record_id")
    else:
        planned = run.planned[run.planned["split"] == split]
    assert table["record_id"].tolist() == np.repeat(planned["record_id"], STEPS).tolist()
    assert table["seq_id"].tolist() == list(range(STEPS)) * len(planned)
    assert table["label"].tolist() == np.repeat(planned["label"], STEPS).tolist()
    assert np.isfinite(table[CURATED].to_numpy()).all()


@pytest.mark.parametrize("which", ["small_run", "published_run"])
@pytest.mark.parametrize("split", SPLITS)
def test_a_written_split_is_computed_from_its_own_records(request, which, split):
    run = request.getfixturevalue(which)
    held = split == "train" or (run.everything and split != "holdout_test")
    store = run.augmented if held else run.clean["test" if split == "holdout_test" else "train"]
    table = run.read(run.features(split)).to_pandas()
    raw = run.read(store).to_pandas()
    raw = raw[raw["record_id"].isin(table["record_id"])]
    values = np.stack([raw[name].to_numpy().reshape(-1, STEPS) for name in PARAMETERS])
    expected = plain_features(values, run.config["features"])
    np.testing.assert_allclose(table[CURATED], expected[CURATED], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("split", SPLITS)
def test_a_written_split_has_the_counts_of_ids_and_plan(small_run, split):
    held_out = split == "holdout_test"
    ids = small_run.products[small_run.ids["test" if held_out else "train"]]
    plan = None if held_out else small_run.products[small_run.plan]
    promised = promised_counts(split, ids, plan)
    labels = small_run.read(small_run.features(split))["label"].to_pylist()[::STEPS]
    assert {label: count for label, count in promised.items() if count} == Counter(labels)


def test_labels_in_the_test_file_are_kept(tmp_path):
    """Some copies of the test file have labels. Records without a label stay unknown."""
    lines = [record(1, "M"), record(2, ABSENT), record(3, "FQ"), record(4, None)]
    done = Ingested(write_raw(tmp_path / "test_4_5_data.json", lines), tmp_path, labelled=False)
    ids, counts = assign_ids([done.catalogue], collisions="renumber")
    path = tmp_path / "ids_test.parquet"
    product = described(path, [write_table(path, ids)], counts=counts)
    clean = tmp_path / "test"
    store = described(clean, write_clean(path, {"test_4_5_data": RecordStore(done.store)}, clean))
    records = records_of_split("holdout_test", path, None, everything=False)
    assert records[2].tolist() == ["M", "unknown", "Q", "unknown"]
    expected = promised_counts("holdout_test", product, None)
    write_features(store, *records, DEFAULT, tmp_path / "holdout_test", expected=expected)
    label = pd.read_parquet(tmp_path / "holdout_test")["label"]
    assert label.tolist()[::STEPS] == ["M", "unknown", "Q", "unknown"]


@pytest.mark.parametrize("which", ["small_run", "published_run"])
def test_categories_are_the_same_in_every_file_of_every_product(request, which):
    run = request.getfixturevalue(which)
    expected = {
        "label": ["X", "M", "C", "B", "Q", "unknown"],
        "partition": list(PARTITION_NAMES),
        "method": ["original", "warp", "scale", "duplicate"],
        "split": ["train", "dev", "test", "holdout_test"],
        "status": ["valid", "rejected", "blank"],
        "reason": list(REASONS),
    }
    files = sorted(run.folder.rglob("*.parquet"))
    met = set()
    for path in files:
        frame = pd.read_parquet(path)
        for name in frame.select_dtypes("category").columns:
            met.add(name)
            assert frame[name].cat.categories.tolist() == expected[name], path
            assert len(frame)
    assert met == set(expected)


def test_codes_and_indicators_of_labels_agree_between_the_splits(small_run):
    for split in SPLITS:
        label = pd.read_parquet(small_run.features(split))["label"]
        assert [CLASSES[code] for code in label.cat.codes] == label.tolist()
        assert list(pd.get_dummies(label).columns) == list(CLASSES)


def test_a_parameter_that_most_records_lack_is_a_warning(caplog):
    caplog.set_level("WARNING")
    warn_of_unmeasured("dev", {"USFLUX": 0, "PIL_LEN": 1001, "EPSZ": 1000}, 2000)
    assert caplog.messages == [
        "PIL_LEN has no value in 1,001 of the 2,000 records of dev: "
        "the column is 0 in these records"
    ]


def test_holdout_parameters_never_measured_are_counted(small_run):
    counts = small_run.products[small_run.features("holdout_test")].counts
    assert counts["records"] == 4
    assert set(counts["records_never_measured"].values()) == {0}
