"""Statistics of records and stamps, with and without missing values."""

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skymill.baseline.records import STATISTICS, describe_records, describe_series
from skymill.baseline.stamps import STATISTICS as OF_STAMPS
from skymill.baseline.stamps import describe_images
from skymill.magnetic.ids import read_ids
from skymill.magnetic.schema import INDEX, PARAMETERS, STEPS
from skymill.magnetic.store import RecordStore

PLACE = {name: number for number, name in enumerate(STATISTICS)}


def statistics_of(series, missing=None):
    """Return the statistics of one series by name."""
    series = np.atleast_2d(np.asarray(series, dtype=np.float64))
    missing = np.isnan(series) if missing is None else np.atleast_2d(missing)
    [found] = describe_series(series, missing)
    return dict(zip(STATISTICS, found.tolist(), strict=True))


def test_statistics_use_only_measured_steps():
    nan = np.nan
    found = statistics_of([nan, 4.0, nan, 8.0, 1.0, nan])
    assert found["mean"] == pytest.approx(13 / 3)
    assert found["deviation"] == pytest.approx(np.std([4, 8, 1]))
    assert (found["minimum"], found["maximum"], found["median"]) == (1, 8, 4)
    assert (found["first"], found["last"]) == (4, 1)
    assert found["slope"] == pytest.approx(np.polyfit([1, 3, 4], [4, 8, 1], 1)[0])
    assert found["missing"] == pytest.approx(0.5)


@given(arrays(np.float64, STEPS, elements=st.floats(-1e6, 1e6)))
def test_without_missing_steps_statistics_equal_those_of_numpy(series):
    found = statistics_of(series)
    expected = {
        "mean": series.mean(),
        "deviation": series.std(),
        "minimum": series.min(),
        "maximum": series.max(),
        "median": np.median(series),
        "first": series[0],
        "last": series[-1],
        "slope": np.polyfit(np.arange(STEPS), series, 1)[0],
        "missing": 0,
    }
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-2)


def test_a_series_without_values_has_only_its_share_of_missing_steps():
    found = statistics_of(np.full(STEPS, np.nan))
    assert found.pop("missing") == 1
    assert all(np.isnan(value) for value in found.values())


def test_one_measured_step_has_no_slope():
    found = statistics_of([np.nan, 3.0, np.nan])
    assert found["mean"] == found["median"] == found["first"] == found["last"] == 3
    assert np.isnan(found["slope"])


def test_infinite_and_huge_values_give_no_infinite_statistic():
    found = statistics_of([np.inf, 1e300, -1e300])
    assert found["missing"] == pytest.approx(1 / 3)
    assert not np.isinf(list(found.values())).any()


@pytest.fixture(scope="module")
def table(small_run):
    config = small_run.config
    return describe_records(
        read_ids(small_run.ids["train"]),
        small_run.products[small_run.clean["train"]],
        config["augmentation"],
        seed=config["seed"],
        parameters=PARAMETERS,
    )


def test_originals_come_first_in_the_order_of_the_ids(small_run, table):
    ids = read_ids(small_run.ids["train"])
    originals = table.filter(pc.equal(table["copy"], 0))
    assert table["record_id"].to_pylist()[: len(ids)] == ids["record_id"].tolist()
    assert originals.num_rows == len(ids)


def test_every_possible_copy_of_a_plan_has_a_row(small_run, table):
    planned = small_run.planned[small_run.planned["method"].isin(["warp", "scale"])]
    wanted = {*zip(planned["parent"], planned["method"], planned["copy"], strict=True)}
    keys = table.select(["record_id", "method", "copy"]).to_pydict()
    assert wanted <= {*zip(*keys.values(), strict=True)}


def test_statistics_of_copies_equal_those_of_written_copies(small_run, table):
    planned = small_run.planned[small_run.planned["split"] == "train"].reset_index(drop=True)
    copy = int(np.flatnonzero(planned["method"] == "warp")[0])
    store = RecordStore(small_run.products[small_run.augmented])
    [[series]] = store.read(np.array([copy]), ["TOTUSJH"])
    row = planned.iloc[copy]
    found = table.filter(
        pc.and_(
            pc.and_(
                pc.equal(table["record_id"], int(row["parent"])),
                pc.equal(table["method"].cast("string"), "warp"),
            ),
            pc.equal(table["copy"], int(row["copy"])),
        )
    )
    assert found["TOTUSJH_mean"].to_pylist() == pytest.approx([series.mean()])
    assert found["TOTUSJH_last"].to_pylist() == pytest.approx([series[-1]])


def test_an_unmeasured_zero_counts_as_missing(small_run, table):
    ids = read_ids(small_run.ids["train"])
    store = RecordStore(small_run.products[small_run.clean["train"]])
    values = store.read(np.arange(len(ids)), ["USFLUX"])[0]
    expected = ((values == 0) | np.isnan(values)).mean(axis=1)
    found = table["USFLUX_missing"].to_numpy()[: len(ids)]
    assert found == pytest.approx(expected)
    assert table.num_columns == 3 + len(INDEX) * len(STATISTICS)


def test_statistics_are_the_same_for_any_number_of_workers(small_run, table):
    again = describe_records(
        read_ids(small_run.ids["train"]),
        small_run.products[small_run.clean["train"]],
        small_run.config["augmentation"],
        seed=small_run.config["seed"],
        parameters=PARAMETERS,
        workers=2,
    )
    assert again.equals(table)


def test_concentration_is_high_for_a_point_source_and_undefined_for_an_empty_stamp():
    images = np.zeros((2, 21, 21), dtype=np.float32)
    images[0, 10, 10] = 9
    found = dict(
        zip(OF_STAMPS, describe_images(images, np.array([0, 441])).T.tolist(), strict=True)
    )
    assert found["flux"] == [9, 0]
    assert found["centre"] == [1, 0]
    assert found["centre_minus_ring"] == [1, 0]
    assert found["concentration"][0] == 1
    assert np.isnan(found["concentration"][1])
    assert found["missing"] == [0, 1]
