"""The catalogue has a row for every sample and file, and lists all problems."""

import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from records import SCRIPTS
from rule_jobs import job
from sdo_files import HEADER, OFFSETS, image_name, jpeg, row, write_tree

from skymill.engine.errors import SkymillError
from skymill.engine.products import read_document, write_document
from skymill.engine.tables import read_frame
from skymill.sdo import tree
from skymill.sdo.catalogue import catalogue, check_sample
from skymill.sdo.check import describe_shift, exceeded, require_intact
from skymill.sdo.images import (
    STATUSES,
    Content,
    check_image,
    is_degenerate,
    longest_run,
    off_disk,
)
from skymill.sdo.metadata import format_time, parse_time, read_metadata
from skymill.sdo.names import (
    CHANNELS,
    common_shift,
    nearest_step,
    parse_folder,
    parse_image_name,
    parse_sample_id,
)
from skymill.sdo.tree import find_root, locate, require_same_zip
from skymill.simulate.active_regions import encode

TRAIN = [row(11390, "2012-01-05 17:06:01"), row(11390, "2012-01-06 17:06:01", "8e-07")]
TEST = [row(11500, "2012-02-05 17:06:01", "1.6470588235294118e-06")]
START = TRAIN[0][1]
NO_LIMITS = {
    "max_damaged_fraction": 1.0,
    "max_unplaced_fraction": 1.0,
    "max_lost_samples_fraction": 1.0,
    "max_ignored_members_fraction": 1.0,
    "min_slots_filled": 0.0,
    "min_slots_filled_by_channel": 0.0,
    "min_slots_filled_by_year": 0.0,
}
LOCATED = {"members": 0, "members_ignored": 0}


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


def check(tmp_path, counts, **limits):
    """Run the check on the result of `run`, with only the given limits."""
    problems = tmp_path / "out1" / "problems.jsonl"
    require_intact({**LOCATED, **counts}, problems, NO_LIMITS | limits, ignored={})


def test_an_intact_tree_has_no_problems(tmp_path):
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
@pytest.mark.parametrize("channel", ["171", "magnetogram"])
def test_an_image_has_its_status_and_its_flag(content, status, channel):
    assert check_image(content, channel).status == status


@given(st.integers(1, len(jpeg(1)) - 1))
def test_an_image_cut_anywhere_is_found(length):
    assert check_image(jpeg(1)[:length], "94").status == "undecodable"


def test_the_flag_is_read_from_the_image_description():
    assert check_image(jpeg(1, description="Flagged: noisy"), "94") == Content("ok", flagged=True)
    assert check_image(jpeg(1, description="fine"), "94") == Content("ok", flagged=False)


def picture(grey):
    """Return a grey picture as Pillow decodes it."""
    return Image.fromarray(np.ascontiguousarray(grey, dtype=np.uint8))


def noise(seed=0):
    return np.random.default_rng(seed).integers(20, 90, (256, 256), dtype=np.uint8)


@given(
    st.integers(0, 255),
    st.integers(0, 1),
    st.sampled_from(["94", "1700", "continuum", "magnetogram"]),
)
def test_an_image_of_one_grey_value_or_two_neighbours_is_degenerate(value, other, channel):
    grey = np.full((256, 256), value, dtype=np.uint8)
    grey[10:20, 30:40] = min(255, value + other)
    assert is_degenerate(picture(grey), channel)


@given(st.integers(2, 200), st.integers(0, 255), st.integers(0, 255))
def test_an_image_with_one_pixel_that_differs_by_two_is_not_degenerate(step, row, column):
    grey = np.full((256, 256), 50, dtype=np.uint8)
    grey[row, column] += step
    assert not is_degenerate(picture(grey), "magnetogram")


@given(st.integers(0, 256), st.integers(0, 256), st.integers(0, 255), st.booleans())
def test_thirty_two_adjacent_rows_without_variation_are_degenerate_in_aia(
    first, count, value, step
):
    grey = noise()
    rows = grey[first : first + count]
    # Different rows may have different values.
    rows[:] = (value + step * np.arange(len(rows)) % 7)[:, None]
    assert is_degenerate(picture(grey), "193") == (len(rows) >= 32)
    assert is_degenerate(picture(grey), "magnetogram") == (len(rows) == 256 and not step)


@given(st.lists(st.booleans(), max_size=40))
def test_the_longest_run_of_flags_is_found(flags):
    text = "".join("x" if flag else " " for flag in flags)
    expected = max(map(len, text.split()), default=0)
    assert longest_run(np.array(flags, dtype=bool)) == expected


def test_dead_rows_are_found_after_compression():
    grey = noise()
    grey[64:160] = 12
    assert check_image(encode(grey), "171").status == "degenerate"
    assert check_image(encode(grey), "continuum").status == "ok"


@given(st.integers(-300, 300), st.sampled_from(["continuum", "magnetogram"]))
def test_the_area_outside_the_solar_disk_is_measured_and_is_no_damage(limb, channel):
    value = {"continuum": 0, "magnetogram": 128}[channel]
    grey, (row, column) = noise(), np.mgrid[:256, :256]
    outside = row - column > limb
    grey[outside] = value
    blocks = outside.reshape(32, 8, 32, 8).all(axis=(1, 3)).sum()
    if not outside.all():
        assert off_disk(picture(grey), channel) == 64 * blocks
    assert off_disk(picture(grey), "94") == 0


def test_running_out_of_memory_does_not_count_as_a_damaged_image(monkeypatch):
    def exhausted(content):
        raise MemoryError

    monkeypatch.setattr("skymill.sdo.images.decode", exhausted)
    with pytest.raises(MemoryError):
        check_image(jpeg(1), "94")
    monkeypatch.undo()
    monkeypatch.setattr("PIL.Image.Image.getexif", exhausted)
    with pytest.raises(MemoryError):
        check_image(jpeg(1, description="flagged"), "94")


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
            image_name(START, 0, "211"): jpeg(4),
            image_name(START, 1 / 60, "211"): jpeg(5),
            image_name(START, 0, "335"): encode(np.full((256, 256), 7, np.uint8)),
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
        "image_degenerate": 1,
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
    assert kinds["image_superseded"][0].endswith(image_name(START, 1 / 60, "211"))
    assert counts["images_damaged"] == 4
    assert counts["images_without_slot"] == 4
    assert counts["folders_without_row"] == 2
    assert sum(counts["images_by_status"].values()) == counts["images"] == len(images)
    assert counts["problems_by_kind"] == {kind: len(where) for kind, where in kinds.items()}


def test_a_name_that_is_not_utf_8_is_a_problem_and_does_not_stop_the_job(tmp_path):
    good = {image_name(START, 0, "94"): jpeg(4)}
    odd = os.fsdecode(b"caf\xe9")
    stray = tmp_path / "sdo" / "full" / "training" / "11390" / odd
    stray.parent.mkdir(parents=True)
    stray.touch()
    counts, _, images, problems = run(tmp_path, images={TRAIN[0][0]: {**good, odd: jpeg(3)}})
    assert counts["images_by_status"]["unparsable_name"] == 1
    assert r"caf\udce9" in images["name"].tolist()
    where = sorted(problem["where"] for problem in problems)
    assert where[0].endswith(rf"11390/{TRAIN[0][0].partition('_')[2]}/caf\udce9")
    assert where[1].endswith(r"11390/caf\udce9")


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


def test_the_nearer_good_image_of_two_for_one_slot_counts(tmp_path):
    files = {
        image_name(START, 420, "94"): jpeg(1)[:-9],
        image_name(START, 420 + 1 / 60, "94"): jpeg(2),
        image_name(START, 420 - 2 / 60, "94"): jpeg(3),
    }
    home = tmp_path / "sample"
    home.mkdir()
    for name, content in files.items():
        (home / name).write_bytes(content)
    checked = check_sample(home, parse_time(START))
    found = {
        name: STATUSES[status] for name, status in zip(checked.names, checked.status, strict=True)
    }
    assert list(found.values()) == ["superseded", "undecodable", "ok"]


@given(st.integers(-43_000, 43_000))
def test_an_image_goes_to_the_step_that_is_within_two_seconds(seconds):
    start = np.datetime64("2012-01-05T05:06:01.123456789", "ns")
    step, distance = nearest_step(np.array([start + np.timedelta64(seconds, "s")]), start)
    away = [abs(seconds - 60 * offset) for offset in OFFSETS]
    assert step[0] == (away.index(min(away)) if min(away) <= 2 else -1)
    assert distance[0] == np.timedelta64(min(away), "s")


@given(
    st.integers(-10 * 86_400, 10 * 86_400),
    st.lists(st.tuples(st.sampled_from(OFFSETS), st.integers(0, 999)), min_size=8, max_size=40),
    st.integers(0, 3),
)
def test_a_common_shift_is_found_to_the_second(shift, images, others):
    times = [(shift + 60 * offset) * 1000 - late for offset, late in images]
    # All four steps have images, and few images have another shift.
    times += [(shift + 60 * offset) * 1000 for offset in OFFSETS]
    times += [10**9 + 10**7 * number for number in range(others)]
    seconds, explained = common_shift(np.array(times, dtype="m8[ms]").astype("m8[ns]"))
    at_least = len(images) + len(OFFSETS)
    assert explained >= at_least
    if explained == at_least:
        assert abs(seconds - shift) <= 1 or len({offset for offset, _ in images}) < len(OFFSETS)


def test_without_unplaced_images_there_is_no_shift():
    assert common_shift(np.array([], dtype="m8[ns]")) is None
    assert (describe_shift(-3600.0), describe_shift(93784.0)) == (
        "1:00:00 before",
        "26:03:04 after",
    )


def test_names_are_parsed_strictly():
    assert parse_sample_id("11390_2012_01_05_17_06_01_0") == ("11390", "2012_01_05_17_06_01_0")
    for bad in ("11390_2012_13_05_17_06_01_0", "../x_2012_01_05_17_06_01_0", "1", ""):
        assert parse_sample_id(bad) is None
    time, channel = parse_image_name("2012-01-05T050601__continuum.jpg")
    assert (time, CHANNELS[channel]) == (np.datetime64("2012-01-05T05:06:01", "ns"), "continuum")
    for suffix in ("__continuum.JPG", "__continuum.jpeg", "__Continuum.Jpeg", "__CONTINUUM.JPG"):
        assert parse_image_name(f"2012-01-05T050601{suffix}") == (time, channel)
    for bad in ("2012-01-05T050601__95.jpg", "2012-02-30T050601__94.jpg", "x", "._94.jpg"):
        assert parse_image_name(bad) is None
    assert parse_folder("2012_01_05_17_06_01_3")[1] == 3


@given(st.integers(0, 2**62))
def test_nanoseconds_are_kept(nanoseconds):
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
def test_a_malformed_row_is_counted_and_listed(tmp_path, cells):
    path = tmp_path / "meta_data.csv"
    path.write_text(HEADER + cells + "\n\n" + ",".join(TRAIN[0]) + "\n")
    rows, malformed = read_metadata(path)
    assert [line for line, _ in malformed] == [2]
    assert [row.sample_id for row in rows] == [TRAIN[0][0]]


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"\xff\xfe\x00", b"<html></html>"])
def test_a_table_of_another_data_set_is_refused(tmp_path, content):
    path = tmp_path / "meta_data.csv"
    path.write_bytes(content)
    with pytest.raises(
        SkymillError, match=r"meta_data\.csv .*[Ff]etch the data set again|set again"
    ):
        read_metadata(path)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 90), st.sampled_from("\",'\x00\xe9 x")),
        max_size=4,
    ),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_row_of_any_content_is_one_line(tmp_path_factory, spots, ending):
    lines = [",".join(TRAIN[0]), ",".join(TRAIN[1]), "", ",".join(TEST[0])]
    for line, place, character in spots:
        at = min(place, len(lines[line]))
        lines[line] = lines[line][:at] + character + lines[line][at:]
    path = tmp_path_factory.mktemp("table") / "meta_data.csv"
    path.write_bytes((HEADER.strip() + ending + "".join(f"{x}{ending}" for x in lines)).encode())
    rows, malformed = read_metadata(path)
    counted = [number for number, line in enumerate(lines, start=2) if line.strip()]
    assert sorted([*(row.line for row in rows), *(line for line, _ in malformed)]) == counted
    touched = {line + 2 for line, *_ in spots}
    assert {2, 3, 5} - touched <= {row.line for row in rows}


def test_a_stray_quotation_mark_only_loses_its_own_row(tmp_path):
    path = tmp_path / "meta_data.csv"
    rows = [",".join(row(11390, f"2012-01-{day:02} 00:00:00")) for day in range(1, 31)]
    rows[7] = '"' + rows[7][1:]
    path.write_text(HEADER + "\n".join(rows))
    found, malformed = read_metadata(path)
    assert len(found) == 29
    assert malformed == [(9, "a quotation mark is out of place")]


@pytest.mark.parametrize("mark", ["Z", "+00:00", "+0000", "-00:00", "+00", " UTC", " Z", ""])
@pytest.mark.parametrize("between", ["T", " "])
def test_times_marked_as_utc_are_read(between, mark):
    text = f"2012-01-05{between}05:06:01.5{mark}"
    assert parse_time(text) == np.datetime64("2012-01-05T05:06:01.5", "ns")


@pytest.mark.parametrize("mark", ["+01:00", "-0500", "CET", "z0", "Z Z", "+00:30"])
def test_times_with_another_offset_are_refused(mark):
    assert parse_time(f"2012-01-05T05:06:01{mark}") is None


def test_the_root_with_most_rows_is_used_under_any_name(tmp_path):
    many = [row(11390, f"2012-01-{day:02} 00:00:00") for day in range(5, 15)]
    write_tree(tmp_path / "a_example", many, TEST, {cells[0]: None for cells in many})
    write_tree(tmp_path / "deep" / "small", TRAIN[:1], TEST)
    write_tree(tmp_path / "z", TRAIN, TEST)
    assert find_root(tmp_path) == (
        tmp_path / "a_example",
        {tmp_path / "a_example": 11, tmp_path / "deep" / "small": 2, tmp_path / "z": 3},
    )
    assert find_root(tmp_path / "z") == (tmp_path / "z", {tmp_path / "z": 3})


def test_roots_with_equally_many_rows_are_refused_by_name(tmp_path):
    write_tree(tmp_path / "one", TRAIN, TEST)
    write_tree(tmp_path / "two", TRAIN, TEST)
    with pytest.raises(SkymillError, match=r"2 times with 3 rows each: one, two\. Keep the one"):
        find_root(tmp_path)


def test_a_root_with_an_invalid_table_does_not_affect_the_other_root(tmp_path):
    write_tree(tmp_path / "one", TRAIN, TEST)
    write_tree(tmp_path / "two", TRAIN, TEST)
    (tmp_path / "two" / "test" / "meta_data.csv").write_text("a,b\n")
    assert find_root(tmp_path)[0] == tmp_path / "one"
    receipt = locate(tmp_path)
    assert (receipt["root"], receipt["roots"]) == ("one", {"one": 3, "two": None})
    (tmp_path / "one" / "test" / "meta_data.csv").write_text("a,b\n")
    with pytest.raises(SkymillError, match="has the columns a, b"):
        find_root(tmp_path)


def test_copies_of_a_root_in_another_letter_case_count_as_one_root(tmp_path):
    lacking = {TRAIN[0][0]: None}
    for name in ("full", "Full", "FULL"):
        write_tree(tmp_path / name, TRAIN, TEST, lacking if name == "full" else None)
    assert find_root(tmp_path)[0] == tmp_path / "Full"
    # A root with such a name but another table is no copy.
    table = tmp_path / "FULL" / "training" / "meta_data.csv"
    table.write_text(table.read_text().replace("8e-07", "9e-07"))
    with pytest.raises(SkymillError, match="3 times with 3 rows each: FULL, Full, full"):
        find_root(tmp_path)


def test_without_a_root_the_members_that_were_not_unpacked_are_named(tmp_path):
    (tmp_path / "a").mkdir()
    unpacked = {
        "refused": {"compressed_by_deflate64": ["full/training/meta_data.csv"]},
        "counts": {},
    }
    with pytest.raises(SkymillError, match=r"compressed by deflate64: full/training/meta"):
        locate(tmp_path, unpacked)


def test_a_folder_of_another_data_set_is_refused_with_its_content(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(SkymillError, match=r"holiday\.jpg"):
        find_root(tmp_path)


def test_the_receipt_has_root_and_size_and_changes_with_the_listing(tmp_path):
    folder = tmp_path / "sdo"
    write_tree(folder / "full", TRAIN, TEST)
    before = locate(folder)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert before["root"] == "full"
    assert before["counts"] == {"files": len(sizes), "bytes": sum(sizes), **LOCATED}
    assert before["roots"] == {"full": 3}
    (folder / "full" / "extra").write_bytes(b"x")
    assert locate(folder)["listing_sha256"] != before["listing_sha256"]


@pytest.mark.parametrize("source", ["sample", "archive", None])
def test_the_receipt_has_the_source_of_the_zip_or_local_without_one(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    script = str(SCRIPTS / "locate_sdo.py")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", script, raising=False)
    write_tree(Path("data/raw/sdo/full"), TRAIN, TEST)
    manifest = Path("data/raw/sdo.manifest.json")
    if source:
        counts = {"members": 9, "folders": 2, "refused": 1}
        refused = {"encrypted": ["x/y.jpg"]}
        write_document(manifest, {"source": source, "counts": counts, "refused": refused})
    inputs = {"folder": "data/raw/sdo", "manifest": [str(manifest)] if source else []}
    receipt = Path("data/interim/sdo/raw.receipt.json")
    snakemake = job({**inputs, "receipt": []}, {"receipt": str(receipt)})
    runpy.run_path(script, {"snakemake": snakemake})
    document = read_document(receipt)
    assert document["source"] == (source or "local")
    assert document["root"] == "full"
    assert document["ignored"] == ({"encrypted": ["x/y.jpg"]} if source else {})
    assert document["counts"]["members"] == (7 if source else 0)
    assert document["counts"]["members_ignored"] == (1 if source else 0)


def test_a_file_that_snakemake_left_is_not_in_the_listing(tmp_path):
    folder = tmp_path / "sdo"
    write_tree(folder / "full", TRAIN, TEST)
    before = locate(folder)
    (folder / "full" / ".snakemake_timestamp").write_bytes(b"")
    assert locate(folder) == before


@pytest.mark.parametrize("linked", ["training", "test", "training/11390", "training/meta_data.csv"])
def test_links_in_a_tree_are_followed_by_listing_and_catalogue(tmp_path, linked):
    counts, *_ = run(tmp_path)
    folder = tmp_path / "sdo"
    before = locate(folder)
    (tmp_path / "big").mkdir()
    (folder / "full" / linked).rename(tmp_path / "big/moved")
    (folder / "full" / linked).symlink_to(tmp_path / "big/moved")
    assert locate(folder) == before
    again = catalogue(folder, "full", **outputs_in(tmp_path / "again"))
    assert again["counts"] == counts
    if (tmp_path / "big/moved").is_dir():
        (tmp_path / "big/moved/extra").write_bytes(b"x")
        assert locate(folder)["listing_sha256"] != before["listing_sha256"]


def test_a_dangling_link_in_the_folder_of_a_sample_is_counted_and_named(tmp_path):
    folder = tmp_path / "sdo"
    write_tree(folder, TRAIN, TEST)
    before = locate(folder)["counts"]
    region, _, time = TRAIN[0][0].partition("_")
    name = f"training/{region}/{time}/{image_name(START, 0, '131')}"
    (folder / name).symlink_to("missing.jpg")
    assert locate(folder)["counts"] == {**before, "files": before["files"] + 1}
    found = catalogue(folder, ".", **outputs_in(tmp_path / "out"))
    assert found["counts"]["images_by_status"]["unparsable_name"] == 1
    assert name in (tmp_path / "out/problems").read_text()


def outputs_in(folder):
    """Return the outputs of a catalogue."""
    folder.mkdir()
    return {name: folder / name for name in ("samples", "images", "problems")}


def test_a_loop_of_links_in_a_tree_is_refused_by_name(tmp_path):
    write_tree(tmp_path / "sdo", TRAIN, TEST)
    (tmp_path / "sdo/training/loop").symlink_to(tmp_path / "sdo")
    with pytest.raises(SkymillError, match="training/loop is a link to itself or to a folder"):
        locate(tmp_path / "sdo")


def test_a_tree_that_was_unpacked_from_another_zip_is_refused_with_what_to_do(tmp_path):
    unpacked = {"archive": {"name": "sdobenchmark.zip", "bytes": 1000}}
    require_same_zip(tmp_path, unpacked, {"raw": {"bytes": 1000}})
    with pytest.raises(SkymillError, match=rf"zip has 2,000 bytes\. Delete {tmp_path}, then run"):
        require_same_zip(tmp_path, unpacked, {"raw": {"bytes": 2000}})


@pytest.mark.parametrize("name", ["training/meta_data.csv", "training/new", "test/11500/new"])
def test_a_tree_that_changes_while_it_is_located_has_no_receipt(tmp_path, monkeypatch, name):
    folder = tmp_path / "sdo"
    write_tree(folder, TRAIN, TEST)

    def digest(path):
        with open(folder / name, "a") as stream:
            stream.write("more")
        return "0" * 64

    monkeypatch.setattr(tree, "file_sha256", digest)
    with pytest.raises(SkymillError, match=f"{name} changed while it was read"):
        locate(folder)


def test_the_check_names_the_first_offenders(tmp_path):
    images = {TRAIN[0][0]: {image_name(START, 0, "94"): b"broken"}, TEST[0][0]: None}
    counts, *_ = run(tmp_path, images=images)
    check(tmp_path, counts)
    with pytest.raises(SkymillError, match=r"1 of 3 images .*\n.*__94\.jpg.*\n.*max_damaged"):
        check(tmp_path, counts, max_damaged_fraction=0.1)
    with pytest.raises(SkymillError, match=rf"1 of 3 rows .*\n.*{TEST[0][0]}"):
        check(tmp_path, counts, max_lost_samples_fraction=0.1)


def test_losses_within_the_limits_are_a_warning(tmp_path, caplog):
    images = {TRAIN[0][0]: {image_name(START, 0, "94"): b"broken"}, TEST[0][0]: None}
    counts, *_ = run(tmp_path, images=images)
    lost = {"members": 8, "members_ignored": 1}
    problems = tmp_path / "out1" / "problems.jsonl"
    ignored = {"symbolic_link": ["a/b"]}
    require_intact({**counts, **lost}, problems, NO_LIMITS, ignored=ignored)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "1 of 8 members of the zip were not unpacked" in said[0]
    assert "symbolic link" in said[0]
    assert "1 of 3 rows of the metadata are malformed or have no folder" in said[1]
    assert "1 of 3 images are damaged" in said[2]
    assert "fewer than half of the slots contain an image: train 2.5%, " in said[3]
    assert len(said) == 4


def test_a_complete_tree_gives_no_warning(tmp_path, caplog):
    full = {
        cells[0]: {
            image_name(cells[1], minutes, channel): jpeg(number * 40 + place)
            for place, (minutes, channel) in enumerate(
                (minutes, channel) for minutes in OFFSETS for channel in CHANNELS
            )
        }
        for number, cells in enumerate((*TRAIN, *TEST))
    }
    counts, *_ = run(tmp_path, images=full)
    assert counts["slots"]["by_set"] == {"train": [80, 80], "test": [40, 40]}
    assert counts["slots"]["by_year"] == {"2012": [120, 120]}
    assert counts["slots"]["by_channel"]["test magnetogram"] == [4, 4]
    check(tmp_path, counts, min_slots_filled=1.0, min_slots_filled_by_year=1.0)
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_an_empty_set_channel_or_year_is_named(tmp_path):
    later = row(11392, "2013-05-06 17:06:01")
    counts, *_ = run(tmp_path, training=[*TRAIN, later], images={TEST[0][0]: {}, later[0]: {}})
    assert counts["slots"]["by_set"] == {"train": [4, 120], "test": [0, 40]}
    assert counts["slots"]["by_year"] == {"2012": [4, 120], "2013": [0, 40]}
    assert counts["slots"]["by_channel"]["train 94"] == [2, 12]
    with pytest.raises(SkymillError, match=r"  test 0\.0%: limits\.min_slots_filled requires"):
        check(tmp_path, counts, min_slots_filled=0.01)
    with pytest.raises(SkymillError, match=r"train 131 0\.0%, .*filled_by_channel requires 1%"):
        check(tmp_path, counts, min_slots_filled_by_channel=0.01)
    with pytest.raises(SkymillError, match=r"  2013 0\.0%: limits\.min_slots_filled_by_year"):
        check(tmp_path, counts, min_slots_filled_by_year=0.01)


@pytest.mark.parametrize("suffix", [".JPG", ".jpeg", ".Jpg"])
def test_a_suffix_in_another_case_fills_its_slot(tmp_path, suffix):
    name = image_name(START, 0, "94").replace(".jpg", suffix)
    counts, *_ = run(tmp_path, images={TRAIN[0][0]: {name: jpeg(1)}})
    assert counts["images_by_status"]["ok"] == counts["images"]


@pytest.mark.parametrize(("minutes", "said"), [(60, "1:00:00 after"), (-90, "1:30:00 before")])
def test_a_shifted_table_is_refused_and_the_shift_is_named(tmp_path, minutes, said):
    images = {
        cells[0]: {image_name(cells[1], step + minutes, "94"): jpeg(step) for step in OFFSETS}
        for cells in (*TRAIN, *TEST)
    }
    counts, *_ = run(tmp_path, images=images)
    assert counts["images_by_status"]["unplaced"] == counts["images"] == 12
    with pytest.raises(SkymillError, match=rf"8 of 8 unplaced images of the train set are {said}"):
        check(tmp_path, counts, max_unplaced_fraction=0.05)


def test_a_table_without_a_good_row_is_refused(tmp_path):
    bad = [(TRAIN[0][0], "2012-01-05 05:06:01", "yesterday", "1e-9")] * 3
    counts, *_ = run(tmp_path, training=bad, images={TRAIN[0][0]: {}})
    with pytest.raises(SkymillError, match=r"every row .* train set is malformed, all 3\.\n.*yest"):
        check(tmp_path, counts)


def test_folders_of_images_without_a_row_are_counted(tmp_path):
    root = tmp_path / "sdo" / "full" / "training" / "11391"
    for hour in range(3):
        (root / f"2012_01_30_{hour:02}_00_00_0").mkdir(parents=True)
    counts, *_ = run(tmp_path)
    check(tmp_path, counts, max_lost_samples_fraction=0.5)
    with pytest.raises(SkymillError, match=r"3 of 6 folders of images have no row .*\n.*11391"):
        check(tmp_path, counts, max_lost_samples_fraction=0.4)


def test_a_region_in_both_sets_is_always_fatal(tmp_path):
    counts, *_ = run(tmp_path, test=[row(11390, "2012-02-05 17:06:01")])
    with pytest.raises(SkymillError, match=r"1 active regions .* in training and in test: 11390"):
        check(tmp_path, counts)


def test_a_zip_with_many_members_not_unpacked_is_refused(tmp_path):
    counts, *_ = run(tmp_path)
    lost = {"members": 10, "members_ignored": 3}
    problems, limits = (
        tmp_path / "problems.jsonl",
        NO_LIMITS | {"max_ignored_members_fraction": 0.2},
    )
    problems.write_text("")
    ignored = {"compressed_by_deflate64": ["full/a.jpg", "full/b.jpg", "full/c.jpg"]}
    with pytest.raises(
        SkymillError, match=r"3 of 10 members .*\n  compressed by deflate64: full/a"
    ):
        require_intact({**counts, **lost}, problems, limits, ignored=ignored)
    assert exceeded({**counts, **lost}, limits) == ["limits.max_ignored_members_fraction"]


@pytest.mark.parametrize("part", ["training", "test"])
def test_a_set_without_rows_is_refused_at_any_limit(tmp_path, part):
    counts, *_ = run(tmp_path, **{part: []})
    with pytest.raises(SkymillError, match=r"metadata of the (train|test) set has no row"):
        check(tmp_path, counts)


def test_a_tree_without_images_is_refused_at_any_limit(tmp_path):
    counts, *_ = run(tmp_path, images={cells[0]: None for cells in (*TRAIN, *TEST)})
    with pytest.raises(SkymillError, match="no sample has an image: 0 images for 3 rows"):
        check(tmp_path, counts)


def test_a_file_that_is_larger_than_any_image_is_not_decoded(tmp_path):
    content = jpeg(1)
    assert check_image(content + bytes(2**18), "94").status == "undecodable"
    # Each scan takes a few bytes, but decoding a scan processes all blocks.
    assert check_image(content + b"\xff\xda" * 200, "94").status == "undecodable"


def test_a_table_of_far_too_many_lines_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "meta_data.csv"
    path.write_bytes(b"id,start,end,peak_flux\n" + b"x\n" * 100_001)
    with pytest.raises(SkymillError, match="malformed lines"):
        read_metadata(path)
    path.write_bytes(b"\n" * (2**24 + 1))
    with pytest.raises(SkymillError, match="more than 17 MB"):
        read_metadata(path)
