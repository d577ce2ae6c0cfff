"""Trials find a planted leak, find none without one, and use the divisions of the plan."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits

from skymill.baseline import models, trials
from skymill.baseline.divisions import AUGMENTED, BEFORE, CLEAN, divide_alerts, divide_records
from skymill.baseline.models import (
    DAY,
    Forecast,
    NothingToLearn,
    Scale,
    climatology,
    forecast,
    last_known,
    persistence,
)
from skymill.baseline.records import KEYS
from skymill.baseline.report import csv_text, described, leaks, page
from skymill.baseline.samples import known_rows, magnetic_sample, stamps_sample
from skymill.baseline.trials import Sample, references, run_trials
from skymill.engine.errors import SkymillError
from skymill.engine.tables import write_table
from skymill.magnetic.ids import read_ids
from skymill.magnetic.plan import make_plan
from skymill.magnetic.schema import LABELS, TRAIN_PARTITIONS

REGIONS, WINDOWS = 120, 6
SETTINGS = {
    "seed": 1,
    "augmentation": {"X": {"warp": 2, "duplicate": {"fraction": 1.0, "times": 1}}},
    "magnetic.quiet_per_flare": None,
    "split.fractions": {"train": 0.6, "dev": 0.2, "test": 0.2},
    "split.partitions": dict(zip(TRAIN_PARTITIONS, ("train", "dev", "test"), strict=True)),
}


@pytest.fixture(autouse=True, scope="module")
def _few_trees():
    """Stop boosting early: forty trees are enough for these tests."""
    with pytest.MonkeyPatch.context() as patch:
        make = models._trees
        patch.setattr(models, "_trees", lambda: make().set_params(max_iter=40))
        yield


def originals(regions=REGIONS, windows=WINDOWS):
    """Return records for the plan: regions of one class each, X or Q, in three files."""
    region = np.repeat(np.arange(regions), windows)
    record = np.arange(len(region)) + 1
    return pd.DataFrame(
        {
            "record_id": record,
            "partition": np.array(TRAIN_PARTITIONS, dtype=object)[region % 3],
            "label": np.where(region % 4 < 2, "X", "Q").astype(object),
            "region": region * windows + 1,
            "content": [f"{number:016d}".encode() for number in record],
        }
    )


def statistics_table(records, values, copies):
    """Return a table of statistics: a row for each record, then one for each copy of an X."""
    keys = [(record, "original", 0) for record in records["record_id"]]
    rows = [values]
    members = np.flatnonzero(records["label"] == "X")
    for number in members if copies else ():
        keys += [(records["record_id"][number], "warp", copy) for copy in range(1, copies + 1)]
        rows.append(np.repeat(values[number : number + 1], copies, axis=0))
    values = np.concatenate(rows).astype(np.float32)
    columns = [
        pa.array(column, type=field.type)
        for field, column in zip(KEYS, zip(*keys, strict=True), strict=True)
    ]
    columns += [pa.array(np.ascontiguousarray(column)) for column in values.T]
    names = [field.name for field in KEYS] + [f"p{place}" for place in range(values.shape[1])]
    return pa.table(dict(zip(names, columns, strict=True)))


class Planted:
    """A data set in which each region, or each class, may have a recognisable mark."""

    def __init__(self, folder, *, memory, signal):
        random = np.random.default_rng(5)
        self.originals = originals()
        place = np.arange(REGIONS * WINDOWS) // WINDOWS
        marks = random.normal(size=(REGIONS, 12))[place]
        values = memory * marks + random.normal(size=marks.shape) * 0.3
        values[:, 0] += signal * (self.originals["label"] == "X")
        table = statistics_table(self.originals, values, copies=2)
        self.path = folder / "records.parquet"
        write_table(self.path, table)
        keys = table.select([field.name for field in KEYS]).to_pandas()
        keys["method"] = keys["method"].astype(object)
        row = keys["record_id"].to_numpy() - 1
        label = self.originals["label"].to_numpy(object)[row]
        self.sample = Sample(
            self.path,
            LABELS,
            ("X", "M"),
            code=np.array([LABELS.index(name) for name in label]),
            group=self.originals["region"].to_numpy()[row],
        )
        self.keys = keys
        self.divisions, self.left_out = divide_records(self.originals, keys, SETTINGS)

    def leaks(self, train=CLEAN):
        """Return the gain of each model when windows of a region are in several splits."""
        wanted = [
            one
            for one in self.divisions
            if one.unit in ("region", "record") and one.train_set == train
        ]
        rows = run_trials(self.sample, wanted, 1)
        return {
            entry["model"]: entry
            for entry in leaks(rows, "region", "record")
            if entry["train"] == train
        }


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return Planted(tmp_path_factory.mktemp("planted"), memory=1, signal=0)


def test_a_planted_leak_shows_in_the_models_that_memorise(planted):
    found = planted.leaks()
    for model in ("nearest", "trees"):
        assert found[model]["tss_parted"] > 0.6
        assert abs(found[model]["tss_whole"]) < 0.3
        assert found[model]["difference"] > 0.5
    assert found["logistic"]["difference"] < 0.4


def test_without_memorising_record_and_region_splits_score_the_same(tmp_path):
    found = Planted(tmp_path, memory=0, signal=1).leaks()
    for entry in found.values():
        assert entry["tss_whole"] > 0.6
        assert abs(entry["difference"]) < 0.15


def test_divisions_follow_the_plan(planted):
    for unit in ("region", "record", "partition"):
        split = {
            "unit": unit,
            "augment": "train",
            "fractions": SETTINGS["split.fractions"],
            "partitions": SETTINGS["split.partitions"],
        }
        plan = make_plan(planted.originals, split, {}, 1)[0].to_pandas()
        [clean] = [one for one in planted.divisions if (one.unit, one.train_set) == (unit, CLEAN)]
        for name in ("train", "dev", "test"):
            rows = getattr(clean, name)
            expected = plan["record_id"][plan["split"] == name]
            assert planted.keys["record_id"].to_numpy()[rows].tolist() == expected.tolist()


def test_only_train_is_augmented_and_held_out_records_are_unchanged(planted):
    by_name = {(one.unit, one.train_set): one for one in planted.divisions}
    for unit in ("region", "record", "partition"):
        clean, augmented = by_name[unit, CLEAN], by_name[unit, AUGMENTED]
        assert (clean.dev == augmented.dev).all()
        assert (clean.test == augmented.test).all()
        flares = (planted.sample.code[clean.train] == 0).sum()
        # Two warped copies and one duplicate of each X.
        assert len(augmented.train) == len(clean.train) + 3 * flares
        methods = planted.keys["method"].to_numpy()
        assert (methods[augmented.train] == "warp").sum() == 2 * flares
        parents = planted.keys["record_id"].to_numpy()
        assert not {*parents[augmented.train]} & {*parents[augmented.test]}


def test_the_published_order_puts_copies_of_a_record_into_several_splits(planted):
    [before] = [one for one in planted.divisions if one.train_set == BEFORE]
    parents = planted.keys["record_id"].to_numpy()
    assert {*parents[before.train]} & {*parents[before.test]}


def test_a_unit_without_a_division_is_skipped_with_its_reason():
    records = originals()
    table = statistics_table(records, np.zeros((len(records), 1)), copies=2)
    keys = table.select([field.name for field in KEYS]).to_pandas()
    settings = SETTINGS | {"split.partitions": dict.fromkeys(TRAIN_PARTITIONS, "train")}
    found, left_out = divide_records(records, keys, settings)
    assert {one.unit for one in found} == {"region", "record"}
    assert "split.partitions leaves dev without a record" in left_out["partition"]


def test_without_any_division_the_error_gives_the_reasons():
    records = originals()
    table = statistics_table(records, np.zeros((len(records), 1)), copies=2)
    keys = table.select([field.name for field in KEYS]).to_pandas()
    settings = SETTINGS | {
        "split.fractions": {"train": 0.8, "dev": 0, "test": 0.2},
        "split.partitions": dict.fromkeys(TRAIN_PARTITIONS, "train"),
    }
    with pytest.raises(SkymillError, match=r"region: split\.fractions leaves dev"):
        divide_records(records, keys, settings)


def test_an_event_that_no_record_can_have_is_refused(tmp_path):
    with pytest.raises(SkymillError, match=r"baseline\.positive names Z"):
        Sample(tmp_path, LABELS, ("Z",), np.zeros(1, int), np.zeros(1, int))


def test_models_learn_only_from_train_and_are_reproducible():
    random = np.random.default_rng(2)
    train, test = random.normal(size=(80, 4)), random.normal(size=(30, 4))
    train[3, 1] = test[5, 2] = np.nan
    code = (train[:, 0] > 0).astype(np.int64)
    for name in models.MODELS:
        one, other = (
            forecast(name, train.astype(np.float32), code, [part], np.array([1]), 1)[0]
            for part in (test.astype(np.float32), test.astype(np.float32)[:10])
        )
        assert ((one.score > 0.5) == (test[:, 0] > 0)).mean() > 0.8
        assert one.score[:10] == pytest.approx(other.score)
        assert (one.code[:10] == other.code).all()


def test_the_number_of_threads_changes_no_forecast():
    random = np.random.default_rng(2)
    rows = random.normal(size=(600, 8)).astype(np.float32)
    code = np.digitize(rows[:, 0] + random.normal(size=600), [-1, 0, 1])
    for name in models.MODELS:
        found = []
        for threads in (1, 2):
            with threadpool_limits(threads):
                found += forecast(name, rows[:400], code[:400], [rows[400:]], np.array([0]), 1)
        assert (found[0].score == found[1].score).all()
        assert (found[0].code == found[1].code).all()


def test_scaling_uses_only_train():
    train = np.array([[1, np.nan], [3, np.nan], [np.nan, np.nan]], dtype=np.float32)
    scale = Scale.of(train)
    assert scale.median.tolist() == [2, 0]
    filled = scale.apply(np.array([[np.nan, np.nan], [1e6, 5]], dtype=np.float32))
    assert filled[0].tolist() == [0, 0]
    assert filled[1, 1] == 5


def test_the_nearest_neighbour_is_searched_in_a_seeded_sample(monkeypatch):
    monkeypatch.setattr(models, "NEAREST_RECORDS", 10)
    drawn = models._drawn(1000, 1)
    assert len(drawn) == 10
    assert (drawn == models._drawn(1000, 1)).all()
    assert (drawn != models._drawn(1000, 2)).any()
    assert models._drawn(5, 1).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("code", [[0, 0, 0], [1, 1, 1]])
def test_models_learn_nothing_without_events_or_from_events_only(code):
    with pytest.raises(NothingToLearn):
        forecast("trees", np.zeros((3, 1), np.float32), np.array(code), [], np.array([1]), 1)


def test_climatology_forecasts_the_shares_of_classes_in_train():
    said = climatology(np.array([0, 2, 2, 2]), 2, np.array([0, 1, 4]))
    assert said.score.tolist() == [0.25, 0.25]
    assert said.code.tolist() == [2, 2]


def test_persistence_forecasts_the_latest_window_whose_day_is_over():
    series = np.array([1, 1, 1, 2, 1])
    end = np.array([0, 1, DAY, DAY + 5, DAY + 1])
    known = last_known(series, end)
    # No earlier window; the first one; no window in the other series; the second one.
    assert known.tolist() == [-1, -1, 0, -1, 1]
    otherwise = Forecast(np.full(5, 0.1), np.full(5, 4))
    said = persistence(known, np.array([0, 4, 1, 1, 1]), otherwise, np.array([0, 1]))
    assert said.score.tolist() == [0.1, 0.1, 1, 0.1, 0]
    assert said.code.tolist() == [4, 4, 0, 4, 4]


def test_alerts_of_one_group_stay_together_and_single_alerts_do_not():
    group = np.repeat([f"g{number}" for number in range(200)], 4)
    keys = pa.table({"group": group, "candid": np.arange(800)})
    whole, parted = divide_alerts(keys, {"validation": 0.2, "test": 0.2}, 1)
    for division, shares in ((whole, False), (parted, True)):
        parts = [{*group[rows]} for rows in (division.train, division.dev, division.test)]
        assert sum(map(len, (division.train, division.dev, division.test))) == 800
        assert bool(parts[0] & parts[2]) == shares
        assert all(parts)


@pytest.mark.parametrize("alerts", [1, 2, 4])
def test_a_few_alerts_give_scores_or_reasons(tmp_path, alerts):
    names = [f"a{number}" for number in range(alerts)]
    columns = {"candid": np.arange(alerts), "group": names, "label": ["YSO", "Otro"] * 2}
    columns["label"] = columns["label"][:alerts]
    columns |= {"science_flux": pa.array(np.arange(alerts, dtype=np.float32))}
    write_table(tmp_path / "stamps.parquet", pa.table(columns))
    settings = {
        "seed": 1,
        "ztf.split": {"validation": 0.1, "test": 0.1},
        "labels.map": {"YSO": "YSO"},
        "labels.other": "Otro",
        "baseline": {"positive": {"ztf": ["YSO"]}},
    }
    sample, divisions, left_out = stamps_sample(tmp_path / "stamps.parquet", settings)
    rows = run_trials(sample, divisions, 1)
    assert {row["unit"] for row in rows} == {"group", "alert"}
    content = described("ztf", sample, divisions, left_out, rows)
    assert "undefined" in page({"source": "local", "data_sets": {"ztf": content}})


def test_without_stamps_there_is_no_ztf_baseline(tmp_path):
    empty = {"candid": pa.array([], pa.int64())}
    empty |= {name: pa.array([], pa.string()) for name in ("group", "label")}
    write_table(tmp_path / "stamps.parquet", pa.table(empty))
    with pytest.raises(SkymillError, match="no stamps"):
        stamps_sample(tmp_path / "stamps.parquet", {})


def test_scikit_learn_is_only_imported_to_fit_a_model():
    program = (
        "import sys, skymill.command.app, skymill.command.score, skymill.baseline.trials;"
        "import skymill.baseline.samples, skymill.baseline.predictions, skymill.baseline.report;"
        "sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture(scope="module")
def content(planted):
    divisions = [one for one in planted.divisions if one.unit == "region"]
    rows = run_trials(planted.sample, divisions, 1)
    part = described("magnetic", planted.sample, divisions, {"partition": "why <not>"}, rows)
    return {"source": "sample", "data_sets": {"magnetic": part}}


def test_the_first_line_says_that_simulated_numbers_mean_nothing(content):
    assert "mean nothing about the Sun" in page(content).splitlines()[0]
    assert "SIMULATED" not in page({**content, "source": "archive"})


def test_the_page_has_a_row_for_each_score_and_explains_the_scores(content):
    text = page(content)
    scores = content["data_sets"]["magnetic"]["scores"]
    assert len(scores) == 3 + 1 + 3
    assert text.count("| region ") == len(scores)
    assert "unit partition is left out: why &#60;not&#62;" in text
    assert "no persistence" in text
    assert "test has no M, C, B" in text


def test_the_table_has_a_row_for_each_score(content):
    header, *rows = [line.split(",") for line in csv_text(content).splitlines()]
    assert len(rows) == 7
    first = dict(zip(header, rows[0], strict=True))
    assert first["model"] == "nearest"
    assert float(first["tss"]) == content["data_sets"]["magnetic"]["scores"][0]["tss"]["value"]


def test_a_train_set_without_events_gives_a_reason_instead_of_a_score(planted):
    [division] = [
        one for one in planted.divisions if (one.unit, one.train_set) == ("region", CLEAN)
    ]
    sample = Sample(planted.path, LABELS, ("B",), planted.sample.code, planted.sample.group)
    rows = run_trials(sample, [division], 1)
    assert all("nothing to learn" in row["reason"] for row in rows if row["model"] != "climatology")
    reference = next(row for row in rows if row["model"] == "climatology")
    assert reference["tss"]["value"] is None
    assert reference["threshold_from"] == "default"
    content = described("magnetic", sample, [division], {}, rows)
    assert "undefined" in page({"source": "local", "data_sets": {"magnetic": content}})
    assert content["leaks"] == []


def test_scores_are_the_same_for_any_number_of_workers(planted, monkeypatch):
    # A workflow test covers the trees: workers do not have the patch above.
    monkeypatch.setattr(trials, "MODELS", ("nearest", "logistic"))
    divisions = [one for one in planted.divisions if (one.unit, one.train_set) == ("region", CLEAN)]
    alone, together = (
        run_trials(planted.sample, divisions, 1, workers=workers) for workers in (1, 2)
    )
    assert alone == together


def test_windows_of_swan_sf_know_their_previous_window_and_copies_that_of_the_parent():
    times = np.array([0, 10, DAY + 5], dtype="M8[s]").astype("M8[ms]")
    ids = pa.table({"harp": pa.array([7, 8, 7], pa.int32()), "end_tai": times})
    place = np.array([0, 1, 2, 2])
    assert known_rows(ids, place).tolist() == [-1, -1, 0, 0]


def test_records_of_2020_have_no_order(small_run, tmp_path):
    records = tmp_path / "statistics.parquet"
    ids = read_ids(small_run.ids["train"])
    table = statistics_table(ids, np.zeros((len(ids), 2)), copies=0)
    write_table(records, table)
    settings = SETTINGS | {"augmentation": {}, "baseline": {"positive": {"magnetic": ["X", "M"]}}}
    sample, divisions, left_out = magnetic_sample(
        records, small_run.ids["train"], small_run.regions, settings
    )
    assert sample.known is None
    assert "persistence" not in references(sample, divisions[0])
    assert [LABELS[code] for code in sample.code] == ids["label"].tolist()
    assert {one.unit for one in divisions} | {*left_out} == {"region", "record", "partition"}
