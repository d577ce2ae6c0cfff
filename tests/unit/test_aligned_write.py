"""The aligned data set: pairs with their series, engineered columns, and rows of images."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aligned_tables import BEGIN, CLOCK, Sky, samples_of, series, windows_of
from records import described

from skymill.aligned.catalogue import key_records
from skymill.aligned.join import Windows
from skymill.aligned.keys import keys
from skymill.aligned.plan import make_pairs
from skymill.aligned.records import keys_of_ids, values_of_ids
from skymill.aligned.steps import Steps, key_steps, read_steps, values_of_steps
from skymill.aligned.write import (
    available_columns,
    of_split,
    read_series,
    require_same_tensors,
    write_pairs,
)
from skymill.engine.errors import SkymillError
from skymill.engine.tables import write_parquet, write_table
from skymill.magnetic.catalogue import VALUES_SCHEMA
from skymill.magnetic.features import FeatureSet
from skymill.magnetic.schema import PARAMETERS as PARAMETERS_OF_2020
from skymill.magnetic.store import step_table
from skymill.swan_sf.schema import PARAMETERS, STEP_SECONDS

HARP, NUMBER = 90001, 99001
IDENTITY = {"train": "a" * 64, "test": "b" * 64}


def utc(step):
    """Return an end of a sample whose series ends with a step of the HARP."""
    return str(np.datetime64(BEGIN - 35 + (step + 1) * STEP_SECONDS, "s"))


def pairs_of(paths, ends=(80, 99), numbers=(NUMBER,)):
    steps = Steps(key_steps(path) for path in paths)
    samples = samples_of([(number, utc(end), "C1.0") for number in numbers for end in ends])
    pairs, _, _ = make_pairs(
        samples,
        steps,
        Windows(windows_of([])),
        CLOCK,
        follow_official=True,
        fractions={"validation": 0, "test": 0},
        seed=1,
    )
    return pairs


@pytest.fixture
def sky(tmp_path):
    """A HARP in two partitions: some steps are in both, two are missing, one is not measured."""
    values = series(1, 120)
    values[:, 70] = 0.0
    values[20, 60:65] = np.nan
    first = Sky().add(HARP, values[:, :90], noaa=[NUMBER], missing=[50, 51])
    second = Sky().add(HARP, values[:, 85:], noaa=[NUMBER], begin=BEGIN + 85 * STEP_SECONDS)
    second.add(HARP + 1, series(2, 120), noaa=[NUMBER + 1])
    paths = [first.write(tmp_path / "1.parquet", 13), second.write(tmp_path / "2.parquet", 50)]
    expected = values.copy()
    expected[:, [50, 51, 70]] = np.nan
    return paths, expected


def test_a_series_has_the_steps_of_its_harp_and_nan_for_missing_steps(sky):
    paths, values = sky
    pairs = pairs_of(paths)
    assert pairs["steps_present"].to_pylist() == [57, 57]
    found = read_series(pairs, paths)
    for number, end in enumerate((80, 99)):
        np.testing.assert_array_equal(found[number], values[:, end - 59 : end + 1].T)


def test_the_order_of_pairs_makes_no_difference(sky):
    paths, _ = sky
    pairs = pairs_of(paths, numbers=(NUMBER + 1, NUMBER))
    turned = pairs.take([3, 1, 0, 2])
    np.testing.assert_array_equal(
        read_series(turned, paths), read_series(pairs, paths)[[3, 1, 0, 2]]
    )


def test_a_catalogue_that_does_not_fit_the_plan_is_refused(sky):
    paths, _ = sky
    pairs = pairs_of(paths)
    with pytest.raises(SkymillError, match="has 47 steps in the catalogue of SWAN-SF, but 57"):
        read_series(pairs.slice(1), paths[:1] + paths[:1])


def test_only_columns_whose_parameters_are_in_swan_sf_are_engineered(default_config):
    features = default_config["features"]
    found = available_columns(features)
    assert found == [name for name in features["columns"] if name != "PIL_LEN_log"]


def test_a_written_data_set_can_be_read_back(sky, tmp_path, default_config):
    paths, values = sky
    pairs = pairs_of(paths)
    features = default_config["features"]
    train = of_split(pairs, "train")
    (entry,) = write_pairs(train, paths, tmp_path / "out", features=features, sdo_identity=IDENTITY)
    assert entry["rows"] == 2
    table = pq.read_table(tmp_path / "out")
    for name in pairs.column_names:
        assert (
            table[name].cast(pairs.schema.field(name).type).to_pylist() == pairs[name].to_pylist()
        )
    field = table.schema.field("series")
    shape = json.loads(field.metadata[b"shape"])
    assert (shape, field.type.value_type) == ([60, 24], pa.float32())
    assert json.loads(field.metadata[b"parameters"]) == list(PARAMETERS)
    assert json.loads(table.schema.metadata[b"sdo_identity"]) == IDENTITY
    read = np.stack(table["series"].to_numpy()).reshape(-1, *shape)
    np.testing.assert_array_equal(read[1], values[:, 40:100].T.astype(np.float32))
    names = available_columns(features)
    engineered = FeatureSet({**features, "columns": names})
    chosen = [PARAMETERS.index(name) for name in engineered.parameters]
    expected, _ = engineered.compute(values[chosen, None, 40:100].copy())
    for name in names:
        found = np.stack(table[name].to_numpy())
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found[1], expected[name][0].astype(np.float32))


def test_equal_pairs_give_equal_bytes(sky, tmp_path, default_config):
    paths, _ = sky
    more = {"features": default_config["features"], "sdo_identity": IDENTITY}
    one, other = (
        write_pairs(pairs_of(paths), paths, tmp_path / name, **more) for name in ("one", "other")
    )
    assert one == other


def test_a_split_without_pairs_has_all_columns(sky, tmp_path, default_config):
    paths, _ = sky
    write_pairs(
        of_split(pairs_of(paths), "test"),
        paths,
        tmp_path / "out",
        features=default_config["features"],
        sdo_identity=IDENTITY,
    )
    table = pq.read_table(tmp_path / "out")
    assert table.num_rows == 0
    assert {"series", "USFLUX_log", "row", "set"} <= set(table.column_names)


def test_tensors_of_other_samples_are_refused(tmp_path):
    (tmp_path / "train.zarr").write_text("x")
    product = described(tmp_path / "train.zarr", [], identity="c" * 64)
    require_same_tensors({"train": "c" * 64}, [product])
    with pytest.raises(SkymillError, match="other samples than the catalogue"):
        require_same_tensors(IDENTITY, [product])


def test_steps_with_contradicting_values_in_two_partitions_are_named(sky, tmp_path, caplog):
    paths, values = sky
    other = Sky().add(HARP, values[:, 88:90] * 2, noaa=[7], begin=BEGIN + 88 * STEP_SECONDS)
    tables = []
    for number, path in enumerate([*paths, other.write(tmp_path / "3.parquet")]):
        tables.append(tmp_path / f"keys{number}.parquet")
        write_table(tables[-1], key_steps(path))
    steps = read_steps(tables)
    assert steps.differing == 2
    assert "2 steps have other values in a second partition" in caplog.text
    assert [7] not in steps.numbers_between(np.arange(len(steps)), np.arange(len(steps)) + 1)
    at = values_of_steps(steps, [*paths, tmp_path / "3.parquet"])
    row = np.flatnonzero((steps.harp == HARP) & (steps.time == BEGIN + 88 * STEP_SECONDS))
    assert at[0, row] == values[PARAMETERS.index("TOTUSJH"), 88]


def test_records_are_found_and_read_by_their_ids(tmp_path, default_config):
    rng = np.random.default_rng(4)
    values = 10.0 ** rng.uniform(0, 9, (len(PARAMETERS_OF_2020), 5, 60))
    directory = tmp_path / "train_partition1_data"
    directory.mkdir()
    files = []
    for number, part in enumerate((slice(0, 2), slice(2, 5))):
        shape = values[0, part].shape
        columns = {
            "seq_id": np.tile(np.arange(60, dtype=np.int8), (shape[0], 1)),
            "fingerprint": np.zeros(shape, dtype=np.uint64),
            **dict(zip(PARAMETERS_OF_2020, values[:, part], strict=True)),
        }
        path = directory / f"part-{number}.parquet"
        table = step_table(columns, VALUES_SCHEMA)
        files.append(write_parquet(path, table, rows_per_group=table.num_rows))
    product = described(directory, files)
    place = tmp_path / "keys.parquet"
    write_table(place, key_records(product))
    ids = samples_of([(1, utc(0), "C1.0")] * 3)[["row"]].assign(
        partition="train_partition1_data", position=[4, 0, 2]
    )
    exact, rounded = keys_of_ids(ids, {"train_partition1_data": place})
    own = values[[PARAMETERS_OF_2020.index(name) for name in PARAMETERS]]
    wanted = keys(own[:, [4, 0, 2]].reshape(len(PARAMETERS), -1))
    np.testing.assert_array_equal(exact.reshape(-1), wanted[0])
    np.testing.assert_array_equal(rounded.reshape(-1), wanted[1])
    read = values_of_ids(ids, {"train_partition1_data": product})(np.array([2, 0]))
    np.testing.assert_array_equal(read[0], own[0, [2, 4]])
