"""A simulated sky has known places: every location is right, and no findable record is missed."""

import numpy as np
import pandas as pd
import pytest
from aligned_damage import DAMAGES
from hypothesis import given, settings
from hypothesis import strategies as st
from swan_files import Catalogued

from skymill.aligned.join import read_windows
from skymill.aligned.keys import keys
from skymill.aligned.locate import locate
from skymill.aligned.plan import make_pairs
from skymill.aligned.steps import Steps, key_steps
from skymill.clock import clock_for
from skymill.magnetic.schema import INDEX, LABELS, STEPS, TEST_PARTITION
from skymill.sdo.goes import goes_class, label
from skymill.simulate.magnetic import region_series
from skymill.simulate.sky import draw_sky, records, tai
from skymill.simulate.swan_sf import write_partition
from skymill.swan_sf.schema import PARAMETERS, PARTITIONS, STEP_SECONDS

SIZE = {
    "magnetic": {"records": 500, "test_records": 60, "seed": 20},
    "sdo": {"training_samples": 40, "test_samples": 15, "copies": 1, "seed": 20},
    "coverage": 0.5,
    "seed": 3,
}


class World:
    """A sky, the catalogue of its SWAN-SF, and its records of 2020 with the truth."""

    def __init__(self, folder):
        self.sky = draw_sky(**SIZE)
        tables, self.windows = [], []
        for name in PARTITIONS:
            place = folder / name
            place.mkdir()
            write_partition(place / "raw.tar.gz", name, **SIZE)
            Catalogued(place / "raw.tar.gz", place)
            tables.append(key_steps(place / "steps.parquet"))
            self.windows.append(place / "windows.parquet")
        self.steps = Steps(tables)
        truth = [row for row in records(self.sky) if row["partition"] != TEST_PARTITION]
        self.truth = pd.DataFrame(truth)
        self.values = self._values(len(truth))

    def _values(self, count):
        """Return the values of the records of the training files: (records, 24, 60)."""
        files = self.sky.layout
        own = [INDEX[name] for name in PARAMETERS]
        found, series = np.empty((count, len(own), STEPS)), {}
        for row, window in enumerate(files.window[:count].tolist()):
            region = int(np.searchsorted(files.region_start, window, side="right") - 1)
            if region not in series:
                series[region] = region_series(files, region)[own]
            step = (window - int(files.region_start[region])) * int(files.stride[region])
            found[row] = series[region][:, step : step + STEPS]
        return found

    def locate(self, values, rows):
        """Locate some records after their values were replaced."""
        exact, rounded = (
            part.reshape(-1, STEPS)
            for part in keys(np.moveaxis(values, 1, 0).reshape(len(PARAMETERS), -1))
        )
        ids = self.truth.iloc[rows][["partition", "label"]].assign(record_id=rows)
        table, _ = locate(ids, exact, rounded, self.steps, clock_for(self.steps.time))
        return table.to_pandas()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("sky"))


def wrong(found, truth):
    """Return the rows that are located at a wrong place."""
    located = (found["status"] == "located").to_numpy()
    right = (found["harp"].to_numpy() == truth["harp"].to_numpy()) & (
        found["start_tai"].to_numpy("M8[s]").astype(np.int64) == truth["start"].to_numpy()
    )
    return np.flatnonzero(located & ~(right & (truth["status"] == "located").to_numpy())).tolist()


def test_every_record_has_its_true_status_and_place(world):
    found = world.locate(world.values, np.arange(len(world.truth)))
    assert found["status"].tolist() == world.truth["status"].tolist()
    assert wrong(found, world.truth) == []
    for tier in ("exact", "rounded"):
        assert ((found["tier"] == tier) & (found["status"] == "located")).sum() > 10
    assert {"ambiguous", "absent"} <= set(found["status"])


@settings(max_examples=40)
@given(st.data())
def test_precision_is_one_after_any_damage(world, data):
    rows = np.array(
        data.draw(st.lists(st.integers(0, len(world.truth) - 1), min_size=1, max_size=30))
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values = world.values[rows].copy()
    for number in range(len(rows)):
        other = world.values[rng.integers(len(world.truth))]
        for damage in rng.choice(len(DAMAGES), rng.integers(0, 4)):
            values[number] = DAMAGES[damage](values[number], rng, other)
    found = world.locate(values, rows)
    assert wrong(found, world.truth.iloc[rows]) == []


def test_pairs_agree_with_the_sky(world):
    listed = [sample for sample in world.sky.samples if sample.has_row]
    end = np.array([sample.end for sample in listed], dtype="M8[ns]")
    samples = pd.DataFrame(
        {
            "set": ["test" if s.collection == "test" else "train" for s in listed],
            "row": range(len(listed)),
            "sample_id": [f"{s.region}_{s.folder}" for s in listed],
            "ar_num": [s.region for s in listed],
            "time_id": [s.folder for s in listed],
            "start": end - np.timedelta64(12, "h"),
            "end": end,
            "label": [label(repr(s.peak_flux), 0.85) for s in listed],
            "goes_class": [goes_class(repr(s.peak_flux), 0.85) for s in listed],
        }
    )
    located = world.locate(world.values, np.arange(len(world.truth)))
    seconds = samples["end"].to_numpy("M8[s]").astype(np.int64)
    pairs, others, counts = make_pairs(
        samples,
        world.steps,
        read_windows(world.windows),
        clock_for(world.steps.time, seconds),
        located,
        follow_official=True,
        fractions={"validation": 0.2, "test": 0},
        seed=1,
    )
    assert pairs.num_rows + others.num_rows == len(listed)
    assert {row["reason"] for row in others.to_pylist()} >= {"no_harp", "too_little_overlap"}
    holds = {}
    for stretch in world.sky.stretches:
        length = region_series(world.sky.layout, stretch.region).shape[1]
        span = (stretch.start, stretch.start + (length - 1) * STEP_SECONDS)
        for number, since in stretch.numbers:
            holds.setdefault(number, []).append((stretch.harp, max(span[0], since), span[1]))
    place = {s.region: s for s in listed}
    for row in pairs.to_pylist():
        assert row["ar_num"] in place
        last = int(np.datetime64(row["end_tai"], "s").astype(int))
        ended = tai(int(np.datetime64(row["sample_end"], "s").astype(int)))
        assert 720 <= ended - last < 1440 + 1
        # The HARP really contained the region for most of this time.
        held = [
            (min(last, until) - max(last - 59 * STEP_SECONDS, since)) // STEP_SECONDS + 1
            for harp, since, until in holds[row["ar_num"]]
            if harp == row["harp"]
        ]
        assert sum(max(0, steps) for steps in held) >= 30
        if row["record_id"] is not None:
            truth = world.truth.iloc[row["record_id"]]
            assert truth["harp"] == row["harp"]
            before = ended - truth["start"] - 59 * STEP_SECONDS
            assert 0 <= before <= 3600
            assert truth["label"] == row["label_2020"] in LABELS
    assert counts["groups_in_two_splits"] == []
    assert counts["pairs_with_record"] > 0
    # One HARP contains a region of the test set and a region of the training set.
    assert counts["by_split"]["excluded"]["pairs"] > 0
