"""Plan, index, tensors and report of SDOBenchmark."""

import csv
import shutil

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from records import described
from sdo_files import image_name, jpeg, row, write_tree

from skymill.engine.errors import SkymillError
from skymill.engine.parallel import map_pieces
from skymill.engine.products import Product
from skymill.engine.tables import read_frame, write_table
from skymill.sdo import tensors
from skymill.sdo.catalogue import catalogue
from skymill.sdo.goes import LABELS
from skymill.sdo.images import pixels
from skymill.sdo.index import COLUMNS, ends_at_peak, make_index, overlaps, write_index
from skymill.sdo.plan import cut_validation, make_plan, require_no_shared_region
from skymill.sdo.report import describe
from skymill.sdo.tables import read_set
from skymill.sdo.tensors import write_tensors

TRAIN = [row(11390 + day // 2, f"2012-01-{day:02} 17:06:01", "2e-06") for day in range(1, 20)]
TEST = [row(11500, "2012-02-05 17:06:01"), row(11500, "2012-02-05 20:06:01")]
PLAN = {"flux_scale": 0.85, "validation_fraction": 0.2, "seed": 1}


@pytest.fixture(name="built")
def _built(tmp_path):
    """Return a folder with a tree `data/raw/sdo`, its catalogue and its plan."""
    start = TRAIN[0][1]
    images = {
        TRAIN[0][0]: {
            image_name(start, 0, "94"): jpeg(1),
            image_name(start, 420, "171"): jpeg(2, description="flagged"),
            image_name(start, 630, "193"): jpeg(3)[:-20],
        },
        TRAIN[1][0]: None,
    }
    folder = tmp_path / "data" / "raw" / "sdo"
    write_tree(folder / "full", TRAIN, TEST, images)
    content = catalogue(
        folder,
        "full",
        samples=tmp_path / "samples.parquet",
        images=tmp_path / "images.parquet",
        problems=tmp_path / "problems.jsonl",
    )
    plan, counts = make_plan(read_frame(tmp_path / "samples.parquet"), **PLAN)
    planned = write_table(tmp_path / "plan.parquet", plan)
    described(tmp_path / "samples.parquet", **content, source="sample")
    described(tmp_path / "plan.parquet", [planned], counts=counts, source="sample")
    return tmp_path


def frames(built, name):
    return [read_set(built / f"{part}.parquet", name) for part in ("samples", "images", "plan")]


def index_of(built, name):
    return make_index(*frames(built, name), tree="data/raw/sdo", root=str(built))


def tensors_of(built, name, output, **options):
    samples, images, _ = frames(built, name)
    return write_tensors(built / "data" / "raw" / "sdo", samples, images, output, **options)


@st.composite
def regions(draw):
    """Draw (region, label) of samples."""
    region, labels = [], []
    for name in draw(st.lists(st.integers(1, 10**5), min_size=1, max_size=25, unique=True)):
        for label in draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=6)):
            region.append(name)
            labels.append(label)
    return np.array(region, np.int64), np.array(labels, dtype=object)


@given(regions(), st.floats(0, 0.9), st.integers(0, 5), st.randoms())
def test_validation_takes_whole_regions_whatever_the_order(drawn, fraction, seed, random):
    region, labels = drawn
    held_out = cut_validation(region, labels, fraction, seed)
    require_no_shared_region(region, np.where(held_out, "validation", "train"))
    order = list(range(len(region)))
    random.shuffle(order)
    again = cut_validation(region[order], labels[order], fraction, seed)
    assert (again == held_out[order]).all()


@given(regions(), st.floats(0.01, 0.9), st.integers(0, 5))
def test_a_class_of_two_regions_or_more_is_in_training_and_in_validation(drawn, fraction, seed):
    region, labels = drawn
    held_out = cut_validation(region, labels, fraction, seed)
    strongest = {
        name: min(LABELS.index(label) for label in labels[region == name])
        for name in np.unique(region)
    }
    for stratum in set(strongest.values()):
        members = [name for name, strength in strongest.items() if strength == stratum]
        taken = {bool(held_out[region == name][0]) for name in members}
        assert taken == ({True, False} if len(members) > 1 else {False})


def test_the_fraction_is_approached():
    region = np.repeat(np.arange(400), 8)
    labels = np.array(["Q"] * len(region), dtype=object)
    labels[region < 40] = "M"
    held_out = cut_validation(region, labels, 0.1, 3)
    assert held_out.mean() == pytest.approx(0.1, abs=0.005)
    assert held_out[region < 40].mean() == pytest.approx(0.1, abs=0.02)
    assert not cut_validation(region, labels, 0, 3).any()


def test_a_plan_has_every_sample_in_order_and_leaves_the_test_set_alone(built):
    samples, plan = read_frame(built / "samples.parquet"), read_frame(built / "plan.parquet")
    assert plan["sample_id"].tolist() == samples["sample_id"].tolist()
    assert set(plan.loc[plan["set"] == "test", "split"]) == {"test"}
    assert set(plan.loc[plan["set"] == "train", "split"]) == {"train", "validation"}
    assert set(plan["goes_class"]) == {"C1.7", "quiet"}


def test_a_region_in_two_splits_is_refused():
    with pytest.raises(SkymillError, match="11390 in test and train"):
        require_no_shared_region(np.array([11390, 11390, 1]), np.array(["train", "test", "test"]))


def test_the_index_has_a_row_for_every_sample(built):
    index = index_of(built, "train")
    assert list(index.columns) == list(COLUMNS)
    assert len(index) == len(TRAIN)
    first, second = index.iloc[0], index.iloc[1]
    assert first["images"] == first["images_94"] + first["images_171"] == 2
    assert (first["images_step0"], first["images_step1"], first["images_step2"]) == (1, 1, 0)
    assert (first["flagged_images"], second["images"]) == (1, 0)
    assert first["location"] == str(built / "data" / first["location_relative"])
    assert (index["start"].tolist(), index["peak_flux"].tolist()) == (
        [cells[1] for cells in TRAIN],
        [cells[3] for cells in TRAIN],
    )


def test_a_moved_project_changes_nothing_but_the_location(built):
    here = index_of(built, "test")
    there = make_index(*frames(built, "test"), tree="data/raw/sdo", root="/elsewhere")
    entries = [write_index(built / "a.csv", here), write_index(built / "b.csv", there)]
    assert entries[0]["sha256"] != entries[1]["sha256"]
    assert entries[0]["sha256_without_location"] == entries[1]["sha256_without_location"]
    with open(built / "a.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [cells["overlapping_samples"] for cells in rows] == ["1", "1"]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 30), st.integers(1, 12)), max_size=30))
def test_overlaps_are_those_of_every_pair(drawn):
    region = np.array([name for name, _, _ in drawn], dtype=np.int64)
    start = np.array([begin for _, begin, _ in drawn], dtype="M8[ns]")
    end = np.array([begin + length for _, begin, length in drawn], dtype="M8[ns]")
    expected = [
        sum(
            i != j and region[i] == region[j] and start[i] < end[j] and start[j] < end[i]
            for j in range(len(drawn))
        )
        for i in range(len(drawn))
    ]
    assert overlaps(region, start, end).tolist() == expected


def test_windows_that_end_at_the_peak_are_told_by_folder_and_end():
    ends = np.array(
        ["2012-01-06T17:19:00", "2012-01-06T17:19:00", "2012-01-06T17:19:04"], dtype="M8[ns]"
    )
    folders = ["2012_01_05_17_19_01_1", "2012_01_05_17_19_01_0", "2012_01_05_17_19_01_1"]
    assert ends_at_peak(folders, ends).tolist() == [True, False, False]


def test_tensors_hold_the_images_and_mask_the_others(built):
    _, counts = tensors_of(built, "train", built / "train.zarr")
    root = zarr.open_group(built / "train.zarr", mode="r")
    assert root["images"].shape == (len(TRAIN), 4, 10, 256, 256)
    available = root["available"][...]
    assert np.argwhere(available[0]).tolist() == [[0, 0], [1, 2]]
    assert np.argwhere(root["flagged"][...]).tolist() == [[0, 1, 2]]
    assert not available[1].any()
    assert counts["images_available"] == available.sum() == 2 + 2 * (len(TRAIN) - 2)
    assert (root["images"][0, 0, 0] == pixels(jpeg(1))).all()
    assert not root["images"][0, 2, 3].any()
    ids = [bytes(name).rstrip(b"\0").decode() for name in root["sample_id"][...]]
    assert ids == [cells[0] for cells in TRAIN]
    assert root["ar_num"][...].tolist() == [int(cells[0][:5]) for cells in TRAIN]


def test_any_number_of_workers_gives_the_same_tensors(built):
    files = [
        tensors_of(built, "train", built / f"{workers}.zarr", workers=workers)[0]
        for workers in (1, 2)
    ]
    assert files[0] == files[1]


def test_a_set_without_samples_has_empty_tensors(built):
    samples, images, _ = frames(built, "test")
    _, counts = write_tensors(built, samples.iloc[:0], images.iloc[:0], built / "empty.zarr")
    assert counts["images_available"] == 0
    assert zarr.open_group(built / "empty.zarr", mode="r")["images"].shape[0] == 0


def test_an_image_that_changed_since_it_was_catalogued_is_refused(built):
    home = built / "data" / "raw" / "sdo" / frames(built, "train")[0]["folder"][0]
    (home / image_name(TRAIN[0][1], 0, "94")).write_bytes(jpeg(9))
    with pytest.raises(SkymillError, match="not the file that was catalogued"):
        tensors_of(built, "train", built / "train.zarr")
    assert not (built / "train.zarr").exists()


def test_what_a_killed_worker_left_of_a_shard_is_no_part_of_the_tensors(built, monkeypatch):
    expected = tensors_of(built, "train", built / "train.zarr")

    def leave_something(function, pieces, **options):
        (pieces[0].group / "images" / ".c.0123.partial").write_bytes(b"half")
        return map_pieces(function, pieces, **options)

    monkeypatch.setattr(tensors, "map_pieces", leave_something)
    assert tensors_of(built, "train", built / "again.zarr") == expected
    assert list((built / "again.zarr").rglob("*.partial")) == []


def test_tensors_need_room_before_they_begin(built, monkeypatch):
    usage = shutil.disk_usage(built)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SkymillError, match=r"GB are free.*sdo\.tensors: false"):
        tensors_of(built, "train", built / "train.zarr")


def test_the_report_tells_counts_problems_and_splits(built):
    text = describe(
        samples=built / "samples.parquet",
        images=built / "images.parquet",
        problems=built / "problems.jsonl",
        catalogue=Product(built / "samples.parquet"),
        plan=Product(built / "plan.parquet"),
        flux_scale=0.85,
    )
    for said in ("8,336", "886", "image_undecodable", TRAIN[1][0], "Source: sample", "0.85"):
        assert said in text
    assert "None." not in text


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(len(TRAIN))))
def test_splits_do_not_depend_on_the_order_of_rows(order):
    samples = pd.DataFrame(
        {
            "set": "train",
            "row": range(len(TRAIN)),
            "sample_id": [cells[0] for cells in TRAIN],
            "ar_num": [int(cells[0][:5]) for cells in TRAIN],
            "peak_flux": [cells[3] for cells in TRAIN],
        }
    )
    plans = [make_plan(frame, **PLAN)[0] for frame in (samples, samples.iloc[list(order)])]
    splits = [
        dict(zip(plan["sample_id"].to_pylist(), plan["split"].to_pylist(), strict=True))
        for plan in plans
    ]
    assert splits[0] == splits[1]
