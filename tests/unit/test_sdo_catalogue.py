"""The catalogue: a row for every sample and file, and everything that is wrong with them."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import SCRIPTS
from rule_jobs import job
from sdo_files import HEADER, OFFSETS, image_name, jpeg, row, write_tree

from skymill.engine.errors import SkymillError
from skymill.engine.job import Run
from skymill.engine.products import read_document, write_document
from skymill.engine.tables import read_frame
from skymill.sdo.catalogue import catalogue, check_sample
from skymill.sdo.check import exceeded, losses, require_intact
from skymill.sdo.images import STATUSES, check_image
from skymill.sdo.metadata import format_time, parse_time, read_metadata
from skymill.sdo.names import (
    CHANNELS,
    nearest_step,
    parse_folder,
    parse_image_name,
    parse_sample_id,
)
from skymill.sdo.tree import find_root, locate

TRAIN = [row(11390, "2012-01-05 17:06:01"), row(11390, "2012-01-06 17:06:01", "8e-07")]
TEST = [row(11500, "2012-02-05 17:06:01", "1.6470588235294118e-06")]
START = TRAIN[0][1]
NO_LIMITS = {"max_damaged_fraction": 1.0, "max_lost_samples_fraction": 1.0}


def run(tmp_path, training=TRAIN, test=TEST, images=None, workers=1):
    """Catalogue a tree; return counts, frames of samples and images, and the problems."""
    folder = tmp_path / "sdo"
    write_tree(folder / "full", training, test, images)
    out = tmp_path / f"out{workers}"
    content = catalogue(
        folder,
        "full",
        samples=out / "samples.parquet",
        images=out / "images.parquet",
        problems=out / "problems.jsonl",
        workers=workers,
    )
    problems = [json.loads(line) for line in (out / "problems.jsonl").read_text().splitlines()]
    frames = [read_frame(out / f"{name}.parquet") for name in ("samples", "images")]
    return content["counts"], *frames, problems


def test_a_sound_tree_has_no_problems(tmp_path):
    counts, samples, images, problems = run(tmp_path)
    assert problems == []
    assert samples["sample_id"].tolist() == [cells[0] for cells in (*TRAIN, *TEST)]
    assert samples["peak_flux"].tolist() == [cells[3] for cells in (*TRAIN, *TEST)]
    assert samples["row"].tolist() == [0, 1, 0]
    assert counts["images"] == len(images) == 6
    assert sorted(set(zip(images["channel"], images["step"], strict=True))) == [(0, 0), (9, 3)]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (jpeg(1), "ok"),
        (jpeg(1)[:-1], "undecodable"),
        (jpeg(1)[: len(jpeg(1)) // 2], "undecodable"),
        (b"", "undecodable"),
        (b"<html>Service unavailable</html>", "undecodable"),
        (jpeg(1, size=(128, 256)), "not_256_8bit"),
        (jpeg(1, mode="RGB"), "not_256_8bit"),
        (jpeg(black=True), "all_black"),
    ],
)
def test_what_an_image_is(content, status):
    assert check_image(content)[0] == status


@given(st.integers(1, len(jpeg(1)) - 1))
def test_an_image_cut_anywhere_is_found(length):
    assert check_image(jpeg(1)[:length])[0] == "undecodable"


def test_the_flag_is_read_from_the_image_description():
    assert check_image(jpeg(1, description="Flagged: noisy")) == ("ok", True)
    assert check_image(jpeg(1, description="fine")) == ("ok", False)


def test_every_kind_of_problem_is_listed(tmp_path):
    good = image_name(START, 0, "94")
    training = [
        *TRAIN,
        row(11391, "2012-01-07 00:00:00"),
        row(11391, "2012-01-08 00:00:00"),
        TRAIN[1],
        ("nonsense", *TRAIN[0][1:]),
        row(11500, "2012-01-09 00:00:00"),
    ]
    same = jpeg(77)
    images = {
        TRAIN[0][0]: {
            good: jpeg(1)[:-50],
            image_name(START, 0, "131"): jpeg(black=True),
            image_name(START, 0, "171"): jpeg(1, mode="RGB"),
            image_name(START, 60, "193"): jpeg(3),
            image_name(START, 1, "211"): jpeg(4),
            image_name(START, -2, "211"): jpeg(5),
            "Thumbs.db": b"x",
            image_name(START, 0, "95"): jpeg(6),
            image_name(START, 0, "304"): same,
        },
        training[2][0]: {image_name(training[2][1], 0, "304"): same},
        training[3][0]: None,
        "nonsense": None,
    }
    folder = tmp_path / "sdo" / "full" / "training"
    (folder / "11391" / "2012_01_30_00_00_00_0").mkdir(parents=True)
    (folder / "11391" / "whatever").mkdir()
    (folder / "readme.txt").write_text("x")
    counts, _, images, problems = run(tmp_path, training, TEST, images)
    kinds = {}
    for problem in problems:
        kinds.setdefault(problem["kind"], []).append(problem["where"])
    assert {kind: len(where) for kind, where in kinds.items()} == {
        "duplicate_content": 1,
        "folder_without_row": 1,
        "image_all_black": 1,
        "image_not_256_8bit": 1,
        "image_superseded": 1,
        "image_undecodable": 1,
        "image_unparsable_name": 2,
        "image_unplaced": 1,
        "malformed_row": 1,
        "region_in_both_sets": 1,
        "repeated_id": 1,
        "row_without_folder": 1,
        "stray_file": 1,
        "unparsable_folder": 1,
    }
    assert kinds["malformed_row"] == ["full/training/meta_data.csv:7"]
    assert kinds["image_superseded"][0].endswith(image_name(START, -2, "211"))
    assert counts["images_damaged"] == 3
    assert sum(counts["images_by_status"].values()) == counts["images"] == len(images)
    assert counts["problems_by_kind"] == {kind: len(where) for kind, where in kinds.items()}


def test_any_number_of_workers_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("skymill.sdo.catalogue.SAMPLES_PER_PIECE", 1)
    run(tmp_path, workers=1)
    run(tmp_path, workers=2)
    for name in ("samples.parquet", "images.parquet", "problems.jsonl"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()


def test_a_set_without_any_folder_is_catalogued(tmp_path):
    counts, samples, images, _ = run(tmp_path, images={cells[0]: None for cells in (*TRAIN, *TEST)})
    assert counts["samples_without_folder"] == len(samples) == 3
    assert len(images) == 0


def test_of_two_images_in_one_place_the_nearer_good_one_counts(tmp_path):
    files = {
        image_name(START, 420, "94"): jpeg(1)[:-9],
        image_name(START, 422, "94"): jpeg(2),
        image_name(START, 418, "94"): jpeg(3),
    }
    home = tmp_path / "sample"
    home.mkdir()
    for name, content in files.items():
        (home / name).write_bytes(content)
    checked = check_sample(home, parse_time(START))
    found = {
        name: STATUSES[status] for name, status in zip(checked.names, checked.status, strict=True)
    }
    assert list(found.values()) == ["ok", "undecodable", "superseded"]


@given(st.integers(-3 * 24 * 60, 3 * 24 * 60))
def test_an_image_goes_to_the_nearest_step_within_forty_minutes(minutes):
    start = np.datetime64("2012-01-05T05:06:01.123456789", "ns")
    step, distance = nearest_step(np.array([start + np.timedelta64(minutes, "m")]), start)
    away = [abs(minutes - offset) for offset in OFFSETS]
    assert step[0] == (away.index(min(away)) if min(away) <= 40 else -1)
    assert distance[0] == np.timedelta64(min(away), "m")


def test_names_are_parsed_strictly():
    assert parse_sample_id("11390_2012_01_05_17_06_01_0") == ("11390", "2012_01_05_17_06_01_0")
    for bad in ("11390_2012_13_05_17_06_01_0", "../x_2012_01_05_17_06_01_0", "1", ""):
        assert parse_sample_id(bad) is None
    time, channel = parse_image_name("2012-01-05T050601__continuum.jpg")
    assert (time, CHANNELS[channel]) == (np.datetime64("2012-01-05T05:06:01", "ns"), "continuum")
    for bad in ("2012-01-05T050601__95.jpg", "2012-02-30T050601__94.jpg", "x", "._94.jpg"):
        assert parse_image_name(bad) is None
    assert parse_folder("2012_01_05_17_06_01_3")[1] == 3


@given(st.integers(0, 2**62))
def test_nanoseconds_survive(nanoseconds):
    time = np.array([np.datetime64(nanoseconds, "ns")])
    text = format_time(time)[0]
    if text[:2] in ("19", "20"):
        assert parse_time(text) == time[0]


@pytest.mark.parametrize(
    "cells",
    [
        "11390_2012_01_05_17_06_01_0,2012-01-05 05:06:01,2012-01-05 17:06:01",
        "11390_2012_01_05_17_06_01_0,yesterday,2012-01-05 17:06:01,1e-9",
        "11390_2012_01_05_17_06_01_0,2012-01-05 05:06:01,2012-01-05 05:06:01,1e-9",
        "11390_2012_01_05_17_06_01_0,2012-02-30 05:06:01,2012-03-05 05:06:01,1e-9",
        "11390_2012_01_05_17_06_01_0,2012-01-05 05:06:01,2012-01-05 17:06:01,nan",
        "11390_2012_01_05_17_06_01_0,2012-01-05 05:06:01,2012-01-05 17:06:01,-1e-9",
        "11390_2012_01_05_17_06_01_0,2012-01-05 05:06:01,2012-01-05 17:06:01,0",
        "../../etc,2012-01-05 05:06:01,2012-01-05 17:06:01,1e-9",
    ],
)
def test_a_malformed_row_is_counted_and_told(tmp_path, cells):
    path = tmp_path / "meta_data.csv"
    path.write_text(HEADER + cells + "\n\n" + ",".join(TRAIN[0]) + "\n")
    rows, malformed = read_metadata(path)
    assert [line for line, _ in malformed] == [2]
    assert [row.sample_id for row in rows] == [TRAIN[0][0]]


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"\xff\xfe\x00", b"<html></html>"])
def test_a_table_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "meta_data.csv"
    path.write_bytes(content)
    with pytest.raises(
        SkymillError, match=r"meta_data\.csv .*[Ff]etch the data set again|set again"
    ):
        read_metadata(path)


def test_the_full_root_is_preferred_to_an_example_and_to_a_smaller_one(tmp_path):
    many = [row(11390, f"2012-01-{day:02} 00:00:00") for day in range(5, 15)]
    write_tree(tmp_path / "a_example", many, TEST, {cells[0]: None for cells in many})
    write_tree(tmp_path / "deep" / "small", TRAIN[:1], TEST)
    write_tree(tmp_path / "z", TRAIN, TEST)
    assert find_root(tmp_path) == tmp_path / "z"
    assert find_root(tmp_path / "z") == tmp_path / "z"


def test_a_folder_of_something_else_is_refused_by_what_is_in_it(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(SkymillError, match=r"holiday\.jpg"):
        find_root(tmp_path)


def test_the_receipt_tells_root_and_size_and_changes_with_the_listing(tmp_path):
    folder = tmp_path / "sdo"
    write_tree(folder / "full", TRAIN, TEST)
    before = locate(folder)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert before["root"] == "full"
    assert before["counts"] == {"files": len(sizes), "bytes": sum(sizes)}
    (folder / "full" / "extra").write_bytes(b"x")
    assert locate(folder)["listing_sha256"] != before["listing_sha256"]


@pytest.mark.parametrize("source", ["sample", "archive", None])
def test_the_receipt_tells_the_source_of_what_was_unpacked_and_else_local(
    tmp_path, monkeypatch, source
):
    monkeypatch.chdir(tmp_path)
    write_tree(Path("data/raw/sdo/full"), TRAIN, TEST)
    manifest = Path("data/raw/sdo.manifest.json")
    if source:
        write_document(manifest, {"source": source})
    inputs = {"folder": "data/raw/sdo", "manifest": [str(manifest)] if source else []}
    receipt = Path("data/interim/sdo/raw.receipt.json")
    script = runpy.run_path(str(SCRIPTS / "locate_sdo.py"))
    script["main"](Run(job({**inputs, "receipt": []}, {"receipt": str(receipt)})))
    document = read_document(receipt)
    assert document["source"] == (source or "local")
    assert document["root"] == "full"


def test_a_file_that_snakemake_left_is_no_part_of_the_listing(tmp_path):
    folder = tmp_path / "sdo"
    write_tree(folder / "full", TRAIN, TEST)
    before = locate(folder)
    (folder / "full" / ".snakemake_timestamp").write_bytes(b"")
    assert locate(folder) == before


def test_the_check_names_the_first_offenders(tmp_path):
    images = {TRAIN[0][0]: {image_name(START, 0, "94"): b"broken"}, TEST[0][0]: None}
    counts, *_ = run(tmp_path, images=images)
    problems = tmp_path / "out1" / "problems.jsonl"
    require_intact(counts, problems, **NO_LIMITS)
    with pytest.raises(SkymillError, match=r"1 of 3 images .*\n.*__94\.jpg.*\n.*max_damaged"):
        require_intact(counts, problems, **NO_LIMITS | {"max_damaged_fraction": 0.1})
    with pytest.raises(SkymillError, match=rf"1 of 3 rows .*\n.*{TEST[0][0]}"):
        require_intact(counts, problems, **NO_LIMITS | {"max_lost_samples_fraction": 0.1})


def test_a_region_in_both_sets_is_always_fatal(tmp_path):
    counts, *_ = run(tmp_path, test=[row(11390, "2012-02-05 17:06:01")])
    with pytest.raises(SkymillError, match=r"1 active regions .* in training and in test: 11390"):
        require_intact(counts, tmp_path / "out1" / "problems.jsonl", **NO_LIMITS)


def damage(**otherwise):
    """Return the counts of a catalogue that lost nothing, but for what is said `otherwise`."""
    sound = {
        "images": 10,
        "images_damaged": 0,
        "samples": {"train": 6, "test": 2},
        "samples_without_folder": 0,
        "malformed_rows": {"train": 0, "test": 0},
    }
    return sound | otherwise


LIMITS = {"max_damaged_fraction": 0.1, "max_lost_samples_fraction": 0.2}


def test_losses_are_bad_images_and_rows_that_are_malformed_or_without_a_folder():
    counts = damage(
        images_damaged=3, samples_without_folder=1, malformed_rows={"train": 2, "test": 0}
    )
    assert losses(counts, LIMITS) == {
        "limits.max_damaged_fraction": (3, 10, 0.1),
        "limits.max_lost_samples_fraction": (3, 10, 0.2),
    }


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        (damage(), []),
        (damage(images_damaged=1), []),
        (damage(images_damaged=2), ["limits.max_damaged_fraction"]),
        (damage(samples_without_folder=2), ["limits.max_lost_samples_fraction"]),
        (damage(malformed_rows={"train": 2, "test": 0}), []),
        (damage(malformed_rows={"train": 2, "test": 1}), ["limits.max_lost_samples_fraction"]),
        (damage(images=0), ["limits.max_damaged_fraction"]),
        (damage(images=0, samples={"train": 0, "test": 0}), [*losses(damage(), LIMITS)]),
    ],
)
def test_limits_that_do_not_hold_are_named(counts, named):
    assert exceeded(counts, LIMITS) == named


def test_a_tree_without_images_is_refused_whatever_is_allowed(tmp_path):
    counts = damage(images=0, regions_in_both_sets=[])
    with pytest.raises(SkymillError, match="the data set is empty: 0 of 0 images"):
        require_intact(counts, tmp_path / "problems.jsonl", **NO_LIMITS)
