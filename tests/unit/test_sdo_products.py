"""The plan, the index, the tensors and the report of SDOBenchmark."""

import csv
import re
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
from skymill.raw.registry import load_registry
from skymill.sdo import tensors
from skymill.sdo.catalogue import catalogue
from skymill.sdo.goes import LABELS
from skymill.sdo.images import decode
from skymill.sdo.index import COLUMNS, ends_at_peak, make_index, overlaps, write_index
from skymill.sdo.names import SPLITS
from skymill.sdo.plan import cut_validation, make_plan, require_none_shared
from skymill.sdo.report import describe
from skymill.sdo.sample_images import files_of_sample, read_images
from skymill.sdo.tables import read_set
from skymill.sdo.tensors import CITATION, LICENCE, PIXEL_SCALES, physical, write_tensors

TRAIN = [row(11390 + day // 2, f"2012-01-{day:02} 17:06:01", "2e-06") for day in range(1, 20)]
TEST = [row(11500, "2012-02-05 17:06:01"), row(11500, "2012-02-05 20:06:01")]
PLAN = {"flux_scale": 0.85, "split": "official", "validation_fraction": 0.2, "seed": 1}


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
    located = {
        "root": "full",
        "roots": {"full": 21, "<b>other</b>": 3},
        "ignored": {"compressed_by_deflate64": ["full/a_*b*.jpg"]},
        "counts": {"members": 90, "members_ignored": 1},
    }
    described(tmp_path / "located", [], **located, source="sample")
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
def test_validation_has_whole_regions_in_any_order_of_samples(drawn, fraction, seed, random):
    region, labels = drawn
    held_out = cut_validation(region, labels, fraction, seed)
    require_none_shared(region, np.where(held_out, "validation", "train"), "groups")
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


def test_validation_has_approximately_its_fraction():
    region = np.repeat(np.arange(400), 8)
    labels = np.array(["Q"] * len(region), dtype=object)
    labels[region < 40] = "M"
    held_out = cut_validation(region, labels, 0.1, 3)
    assert held_out.mean() == pytest.approx(0.1, abs=0.005)
    assert held_out[region < 40].mean() == pytest.approx(0.1, abs=0.02)
    assert not cut_validation(region, labels, 0, 3).any()


def test_a_plan_has_every_sample_in_order_and_keeps_the_test_set(built):
    samples, plan = read_frame(built / "samples.parquet"), read_frame(built / "plan.parquet")
    assert plan["sample_id"].tolist() == samples["sample_id"].tolist()
    assert set(plan.loc[plan["set"] == "test", "split"]) == {"test"}
    assert set(plan.loc[plan["set"] == "train", "split"]) == {"train", "validation"}
    assert set(plan["goes_class"]) == {"C1.7", "quiet"}


def test_a_region_in_two_splits_is_refused():
    splits = np.array(["train", "test", "test"])
    with pytest.raises(SkymillError, match="11390 in test and train"):
        require_none_shared(np.array([11390, 11390, 1]), splits, "active regions")


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


def test_moving_a_project_changes_only_the_locations(built):
    here = index_of(built, "test")
    there = make_index(*frames(built, "test"), tree="data/raw/sdo", root="/elsewhere")
    entries = [write_index(built / "a.csv", here), write_index(built / "b.csv", there)]
    assert entries[0]["sha256"] != entries[1]["sha256"]
    assert entries[0]["sha256_without_location"] == entries[1]["sha256_without_location"]
    with open(built / "a.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [cells["overlapping_samples"] for cells in rows] == ["1", "1"]
    assert [cells["window_ends_at_peak"] for cells in rows] == ["False", "False"]
    assert [(cells["group"], cells["harps"]) for cells in rows] == [("11500", "1737")] * 2


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 30), st.integers(1, 12)), max_size=30))
def test_overlaps_agree_with_a_comparison_of_all_pairs(drawn):
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


def at_peak(*windows):
    """Return `at_peak` for windows of one region: (time in the folder's name, k, end, flare)."""
    times, numbers, ends, flares = zip(*windows, strict=True)
    folders = [
        f"{time.replace('-', '_').replace(' ', '_').replace(':', '_')}_{number}"
        for time, number in zip(times, numbers, strict=True)
    ]
    region = np.full(len(windows), 11390)
    said = ends_at_peak(region, folders, np.array(ends, dtype="M8[ns]"), np.array(flares))
    return pd.array(said).to_numpy(dtype=object, na_value=None).tolist()


BEGIN = "2012-01-05 17:19:01"


@pytest.mark.parametrize("number", [1, 2])
def test_a_window_that_ends_a_day_after_its_event_began_ends_at_the_peak(number):
    assert at_peak((BEGIN, number, "2012-01-06T17:19:00", True)) == [True]
    assert at_peak((BEGIN, number, "2012-01-06T17:19:03", True)) == [True]


def test_without_a_recorded_flare_no_window_ends_at_the_peak():
    assert at_peak((BEGIN, 1, "2012-01-06T17:19:00", False)) == [False]


def test_a_window_that_ends_when_its_event_begins_is_before_the_peak():
    assert at_peak((BEGIN, 0, "2012-01-05T17:19:01", True)) == [False]


def test_a_window_before_a_later_window_of_its_event_is_before_the_peak():
    windows = (BEGIN, 1, "2012-01-06T01:00:00", True), (BEGIN, 2, "2012-01-06T09:00:00", True)
    assert at_peak(*windows) == [False, None]


@pytest.mark.parametrize("end", ["2012-01-06T17:18:58", "2012-01-06T17:19:04", "2012-01-06T02:00"])
def test_whether_the_last_window_of_a_shorter_event_ends_at_the_peak_is_unknown(end):
    assert at_peak((BEGIN, 1, end, True)) == [None]


def test_an_unknown_value_is_an_empty_cell_and_missing_in_pandas(built):
    index = index_of(built, "test")
    index["window_ends_at_peak"] = pd.array([None, True], dtype="boolean")
    write_index(built / "a.csv", index)
    again = pd.read_csv(built / "a.csv", dtype={"window_ends_at_peak": "boolean"})
    assert again["window_ends_at_peak"].isna().tolist() == [True, False]
    assert again["window_ends_at_peak"][1]


def catalogued(rows):
    """Return the frame of samples (set, region, start, peak flux) as in the catalogue."""
    start = np.array([begin for _, _, begin, _ in rows], dtype="M8[ns]")
    return pd.DataFrame(
        {
            "set": [name for name, *_ in rows],
            "row": range(len(rows)),
            "sample_id": [f"{region}_{number}" for number, (_, region, *_) in enumerate(rows)],
            "ar_num": [region for _, region, *_ in rows],
            "start": start,
            "end": start + np.timedelta64(12, "h"),
            "peak_flux": [flux for *_, flux in rows],
        }
    )


# HARP 1321 contains 11401, 11402, 11405 and 11407.
ONE_PATCH = catalogued(
    [
        ("train", 11401, "2012-01-20T00:00", "1e-4"),
        ("train", 11401, "2012-01-25T00:00", "1e-9"),
        ("train", 11405, "2012-01-20T00:00", "1e-9"),
        *(("train", 11390 + number, "2012-01-20T00:00", "1e-9") for number in range(3)),
        ("train", 99999, "2012-01-20T00:00", "1e-9"),
        ("test", 11402, "2012-01-20T11:00", "2e-4"),
        ("test", 11402, "2012-01-21T00:00", "2e-4"),
    ]
)


def test_groups_in_both_training_and_test_are_counted_and_kept(caplog):
    plan, counts = make_plan(ONE_PATCH, **PLAN | {"validation_fraction": 0})
    assert plan["split"].to_pylist() == ["train"] * 7 + ["test"] * 2
    assert plan["group"].to_pylist() == [11401] * 3 + [11390, 11391, 11392, 99999] + [11401] * 2
    assert "1321" in plan["harps"].to_pylist()[0].split(";")
    assert counts["shared_with_test"] == {
        "training_samples_by_group": 3,
        "training_samples_by_harp": 3,
        "test_samples_by_harp": 2,
        "test_samples_by_harp_and_time": 1,
        "samples_without_harp": 1,
    }
    assert "3 training samples share a group" in caplog.text


def test_the_setting_cleaned_excludes_groups_with_test_samples(caplog):
    plan, counts = make_plan(ONE_PATCH, **PLAN | {"split": "cleaned"})
    splits = plan["split"].to_pylist()
    assert splits[:3] == ["excluded"] * 3
    assert set(splits[3:7]) == {"train", "validation"}
    assert splits[7:] == ["test", "test"]
    assert counts["by_split"]["excluded"]["samples"] == 3
    assert "share a group" not in caplog.text


@given(
    st.lists(st.tuples(st.booleans(), st.integers(11386, 11560)), min_size=1, max_size=60),
    st.integers(0, 9),
)
def test_no_group_is_in_two_splits(drawn, seed):
    # Each region is in only one of the official sets.
    in_test = {}
    for is_test, region in drawn:
        in_test.setdefault(region, is_test)
    rows = [
        ("test" if in_test[region] else "train", region, "2012-01-20T00:00", "1e-9")
        for _, region in drawn
    ]
    # No HARP links these regions: training and validation have some of them.
    rows += [("train", region, "2012-01-20T00:00", "1e-9") for region in (99998, 99999)]
    samples = catalogued(rows)
    for split in ("official", "cleaned"):
        plan = make_plan(samples, **PLAN | {"split": split, "seed": seed})[0].to_pandas()
        used = plan[plan["split"] != "excluded"]
        part = used if split == "cleaned" else used[used["set"] == "train"]
        assert part.groupby("group")["split"].nunique().max() == 1
        touched = set(plan.loc[plan["set"] == "test", "group"])
        excluded = plan["group"].isin(touched) & (plan["set"] == "train")
        assert (plan.loc[excluded, "split"] == "excluded").all() == (
            split == "cleaned" or not excluded.any()
        )


def test_a_training_set_only_of_groups_with_test_samples_is_reported():
    with pytest.raises(SkymillError, match="no training sample is left"):
        make_plan(ONE_PATCH.iloc[[0, 1, 2, 7, 8]], **PLAN | {"split": "cleaned"})


@pytest.mark.parametrize("rows", [slice(None), slice(0, 1), slice(4, 9)])
def test_categories_have_one_order_in_every_file(tmp_path, rows):
    plan, _ = make_plan(ONE_PATCH.iloc[rows], **PLAN | {"validation_fraction": 0})
    write_table(tmp_path / "plan.parquet", plan)
    frame = pd.read_parquet(tmp_path / "plan.parquet")
    assert frame["label"].cat.categories.tolist() == ["X", "M", "C", "Q"]
    assert frame["split"].cat.categories.tolist() == list(SPLITS)
    assert frame["set"].cat.categories.tolist() == ["train", "test"]
    assert frame["label"].tolist() == plan["label"].to_pylist()


def test_tensors_contain_the_images_and_mask_missing_ones(built):
    _, counts = tensors_of(built, "train", built / "train.zarr")
    root = zarr.open_group(built / "train.zarr", mode="r")
    assert root["images"].shape == (len(TRAIN), 4, 10, 256, 256)
    available = root["available"][...]
    assert np.argwhere(available[0]).tolist() == [[0, 0], [1, 2]]
    assert np.argwhere(root["flagged"][...]).tolist() == [[0, 1, 2]]
    assert not available[1].any()
    assert counts["images_available"] == available.sum() == 2 + 2 * (len(TRAIN) - 2)
    assert (root["images"][0, 0, 0] == np.asarray(decode(jpeg(1)))).all()
    assert not root["images"][0, 2, 3].any()
    ids = [bytes(name).rstrip(b"\0").decode() for name in root["sample_id"][...]]
    assert ids == [cells[0] for cells in TRAIN]
    assert root["ar_num"][...].tolist() == [int(cells[0][:5]) for cells in TRAIN]


def test_the_files_of_a_sample_are_enough_to_read_its_images(built, tmp_path):
    tensors_of(built, "train", built / "train.zarr")
    files = files_of_sample(built / "train.zarr", 0)
    for path in files:
        copy = tmp_path / "copy.zarr" / path.relative_to(built / "train.zarr")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    pixels_of_all, there_of_all = read_images(built / "train.zarr", 0)
    pixels_of_copy, there_of_copy = read_images(tmp_path / "copy.zarr", 0)
    assert there_of_all.any()
    assert np.array_equal(pixels_of_copy, pixels_of_all)
    assert np.array_equal(there_of_copy, there_of_all)


@pytest.mark.parametrize("channel", PIXEL_SCALES)
def test_grey_values_convert_back_to_the_values_that_the_archive_scaled(channel):
    scale, low, high, _ = PIXEL_SCALES[channel]
    measured = np.linspace(low, high, 1000)
    of = np.log10 if scale == "log10" else np.asarray
    grey = np.round(255 * (of(measured) - of(low)) / (of(high) - of(low))).astype(np.uint8)
    assert np.allclose(physical(np.uint8([0, 255]), channel), [low, high], rtol=1e-5)
    # A grey value represents all values that were rounded to it.
    assert (np.abs(of(physical(grey, channel)) - of(measured)) <= (of(high) - of(low)) / 500).all()


def test_licence_and_citation_are_those_of_the_registry():
    source = load_registry()["sdo"]
    assert (source["licence"], source["citation"]) == (LICENCE, CITATION)


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


def test_a_partial_shard_of_a_killed_worker_is_not_in_the_tensors(built, monkeypatch):
    expected = tensors_of(built, "train", built / "train.zarr")

    def leave_something(function, pieces, **options):
        (pieces[0].group / "images" / ".c.0123.partial").write_bytes(b"half")
        return map_pieces(function, pieces, **options)

    monkeypatch.setattr(tensors, "map_pieces", leave_something)
    assert tensors_of(built, "train", built / "again.zarr") == expected
    assert list((built / "again.zarr").rglob("*.partial")) == []


def test_tensors_need_free_space_before_they_start(built, monkeypatch):
    usage = shutil.disk_usage(built)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SkymillError, match=r"GB are free.*sdo\.tensors: false"):
        tensors_of(built, "train", built / "train.zarr")


def page(built, split="official"):
    return describe(
        samples=built / "samples.parquet",
        images=built / "images.parquet",
        problems=built / "problems.jsonl",
        located=Product(built / "located"),
        catalogue=Product(built / "samples.parquet"),
        plan=Product(built / "plan.parquet"),
        flux_scale=0.85,
        split=split,
    )


def test_the_report_names_a_shift_and_the_area_outside_the_disk(built):
    counts = Product(built / "samples.parquet").counts | {
        "images_shifted": {"test": {"seconds": -5400.0, "images": 7, "unplaced": 9}},
        "off_disk": {
            "magnetogram": {"images": 4, "images_with_some": 2, "images_by_half": 1, "share": 0.125}
        },
    }
    described(built / "samples.parquet", [], counts=counts, source="sample")
    text = page(built, split="cleaned")
    assert "9 images of the test set are not at a time step." in text
    assert "Of these images, 7 are 1:30:00 before a step." in text
    assert re.search(r"\| magnetogram \| +4 \| +2 \| +1 \| 12.50%", text)
    assert "Training samples that share them with test are excluded." in text


def test_the_report_lists_counts_problems_and_splits(built):
    text = page(built)
    for said in (
        "8,336",
        "886",
        "image_undecodable",
        TRAIN[1][0],
        "Source: sample",
        "0.85",
        "1 of 90 files of the zip were not unpacked",
        "compressed by deflate64: full/a&#95;&#42;b&#42;.jpg",
        "another root, &#60;b&#62;other&#60;/b&#62;: 3 rows",
        "Not proven",
    ):
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
            "start": np.array([cells[1] for cells in TRAIN], dtype="M8[ns]"),
            "end": np.array([cells[2] for cells in TRAIN], dtype="M8[ns]"),
            "peak_flux": [cells[3] for cells in TRAIN],
        }
    )
    plans = [make_plan(frame, **PLAN)[0] for frame in (samples, samples.iloc[list(order)])]
    splits = [
        dict(zip(plan["sample_id"].to_pylist(), plan["split"].to_pylist(), strict=True))
        for plan in plans
    ]
    assert splits[0] == splits[1]
