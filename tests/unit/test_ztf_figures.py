"""The section of the report about ZTF: counts that add up, stamps that one can see."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from test_ztf_gather import LABELS, Gathered

from skymill.engine.errors import SkymillError
from skymill.report.pictures import MARK_COLOUR
from skymill.ztf.figures import (
    choose_objects,
    draw_section,
    find_holes,
    flow_of_alerts,
    flow_of_objects,
    spans_of_nights,
    triplet,
)
from skymill.ztf.plan import make_plan


def night(name, kept, **counts):
    """Return the document of a night with this many alerts kept, and others lost."""
    causes = counts.pop("corrupt_by_cause", {})
    lost = sum(counts.values()) + sum(causes.values())
    found = {"kept": kept, "records": kept + lost, "corrupt": sum(causes.values()), **counts}
    return {"night": name, "counts": {**found, "corrupt_by_cause": causes}}


NIGHTS = [
    night("20180602", 12, unlabelled=5),
    night("20180601", 24, null_cutout=2, corrupt_by_cause={"gzip": 1, "jpeg": 3}),
    night("x", 8),
]


def plan_of(gathered, sample):
    return make_plan(
        gathered.nights,
        gathered.folder / "labels.parquet",
        representative="all",
        sample=sample,
        split={"validation": 0.2, "test": 0.2},
        seed=1,
    )[1]


def section(gathered, **more):
    folder = gathered.folder / "made"
    if not folder.exists():
        gathered.gather()
    classes = {
        "QSO": {"objects": 7, "published": 43054},
        "<own>": {"objects": 3, "published": None},
    }
    given = {
        "nights": NIGHTS,
        "labels": {"classes": classes, "counts": {"kept": 10, "rows": 12}},
        "plan": {"counts": plan_of(gathered, {"Otro": 3})},
        "absent": ["20180603"],
        "stamps": folder / "stamps.parquet",
        "array": folder / "stamps.npy",
        "seed": 1,
    }
    return draw_section(**{**given, **more})


@pytest.fixture(scope="module")
def gathered(tmp_path_factory):
    return Gathered(tmp_path_factory.mktemp("ztf"))


@pytest.fixture(scope="module")
def drawn(gathered):
    return section(gathered)


def part(section, name):
    return next(one for one in section.parts if one.name == name)


def test_every_alert_is_in_a_split_or_counted_where_it_left(gathered):
    counts = plan_of(gathered, {"Otro": 3})
    by_night = {one["night"]: one["counts"] for one in NIGHTS}
    found = flow_of_alerts(by_night, counts).counts
    assert found["alerts in the nights"] == 55
    assert found["alerts with stamps"] == 44
    assert found["corrupt (jpeg)"] == 3
    assert found["object is not in the list of labels"] == counts["unmatched_alerts"]
    assert found["train"] + found["validation"] + found["test"] == counts["sampled_alerts"]
    objects = flow_of_objects(counts).counts
    assert objects["objects with a label"] == len(LABELS) == 20
    assert objects["not in the sample"] == 4


def test_counts_of_other_nights_are_an_error(gathered):
    counts = plan_of(gathered, {})
    with pytest.raises(SkymillError, match="do not add up"):
        flow_of_alerts({"20180601": night("20180601", 23)["counts"]}, counts)


def test_labels_stand_beside_the_published_ones(drawn):
    body = part(drawn, "classes").body
    assert "QSO: this list 7, as published by ALeRCE 43,054" in body
    assert "<own>" not in body
    assert "122,968" in part(drawn, "matched").body


def test_nights_are_listed_with_what_was_lost_and_days_without_a_file(drawn):
    assert "20180603" in part(drawn, "nights").body
    assert "20180601 24, 20180602 12, x 8" in part(drawn, "nights").body
    assert part(drawn, "night_table").is_folded
    assert "corrupt (jpeg)" in part(drawn, "lost").body


def test_a_sheet_says_class_night_and_magnitude_below_large_stamps(drawn):
    sheets = [one for one in drawn.parts if one.name.startswith("stamps_")]
    assert [one.title for one in sheets] == ["Stamps: AGN", "Stamps: Otro", "Stamps: QSO"]
    body = sheets[2].body
    assert body.count("<img") == 7
    for text in ("class class of QSO", "night 20180601", "magnitude 18.25 in g"):
        assert f"<span>{text}</span>" in body
    assert 'alt="science, template, difference stamp of ZTF18a' in body
    width = int(re.search(r"width:(\d+)px", body)[1])
    assert width / 3 >= 63
    assert "from its percentile 1 (black)" in sheets[2].caption


def test_the_objects_that_are_shown_depend_on_the_seed_alone(drawn, gathered):
    stamps = gathered.folder / "made" / "stamps.parquet"
    chosen = {seed: choose_objects(stamps, "QSO", seed, 2).tolist() for seed in range(9)}
    assert all(len(rows) == 2 and rows == sorted(rows) for rows in chosen.values())
    assert len({tuple(rows) for rows in chosen.values()}) > 3
    assert choose_objects(stamps, "QSO", 1, 2).tolist() == chosen[1]


def test_pixels_without_a_value_are_marked_and_not_stretched():
    stamps = np.random.default_rng(1).normal(1000, 5, (3, 21, 21)).astype(np.float32)
    stamps[0, :4, :5] = 0
    with Image.open(io.BytesIO(triplet(stamps, [20, 0, 0]))) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape == (21, 65, 3)
    marked = (pixels == MARK_COLOUR).all(axis=-1)
    assert marked.sum() == 20
    assert marked[:4, :5].all()
    # The others use the whole range of greys, as if the holes were not there.
    grey = pixels[:, :21][~marked[:, :21]]
    assert grey.min() == 0
    assert grey.max() == 255


def test_a_zero_in_a_stamp_without_holes_is_a_value():
    stamp = np.zeros((3, 3), dtype=np.float32)
    assert not find_holes(stamp, 0).any()
    assert find_holes(stamp, 9).all()


def test_alerts_with_holes_have_a_sheet_with_a_legend(drawn):
    # The difference stamp of each alert is said to have two such pixels.
    holes = part(drawn, "holes")
    assert "2 pixels without a value" in holes.body
    assert "swatch" in holes.body


def test_nothing_gathered_gives_a_section_that_says_so(tmp_path):
    empty = Gathered(tmp_path, nights={"20180601": []})
    drawn = section(empty, nights=[night("20180601", 0)], absent=[])
    assert "No objects." in part(drawn, "stamps_1_agn").caption
    assert not [one for one in drawn.parts if one.name == "holes"]
    assert "Nights from which no alert is kept: 20180601." in part(drawn, "nights").body


def test_stamps_have_the_same_bytes_each_time():
    stamps = np.random.default_rng(1).normal(0, 5, (3, 63, 63)).astype(np.float32)
    assert triplet(stamps, [0, 0, 0]) == triplet(stamps.copy(), [0, 0, 0])


def test_many_nights_are_drawn_by_month_or_year():
    few = {f"201806{day:02}": day for day in range(1, 31)}
    assert spans_of_nights(few) == few
    months = {f"2018{month:02}{day:02}": 1 for month in range(1, 13) for day in range(1, 29)}
    found = spans_of_nights({**months, "mine": 2})
    assert found["201801"] == 28
    assert found["other names"] == 2
    assert len(found) == 13
    years = {f"{year}{month:02}01": 1 for year in range(2018, 2026) for month in range(1, 13)}
    assert spans_of_nights(years) == {str(year): 12 for year in range(2018, 2026)}
