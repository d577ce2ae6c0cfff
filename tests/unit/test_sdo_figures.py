"""The section of the report about SDOBenchmark: what is there, what is missing, what is shared."""

import copy

import numpy as np
import pandas as pd
import pytest

from skymill.engine.errors import SkymillError
from skymill.sdo.figures import (
    SLOTS,
    SampleSheet,
    choose_sample,
    count_doubts,
    count_filled,
    draw_section,
    flags_of,
    flow_of_images,
    flow_of_samples,
    sample_table,
)
from skymill.sdo.images import STATUSES
from skymill.sdo.names import CHANNELS, SPLITS, STEPS

# Three training samples and one test sample: with all images, with two, and with none.
FILLED = {"train": [SLOTS, 2, 0], "test": [39]}


def image_rows(filled):
    """Return a good image for each filled slot, and one damaged image."""
    rows = [
        (name, row, slot % len(CHANNELS), slot // len(CHANNELS), "ok", slot == 0)
        for name, counts in filled.items()
        for row, count in enumerate(counts)
        for slot in range(count)
    ]
    columns = ["set", "row", "channel", "step", "status", "flagged"]
    return pd.DataFrame([*rows, ("train", 1, 3, 0, "undecodable", False)], columns=columns)


def slots(filled):
    by_set = {name: [sum(counts), SLOTS * len(counts)] for name, counts in filled.items()}
    images = image_rows(filled)
    good = images[images["status"] == "ok"]
    by_channel = {
        f"{name} {channel}": [
            int(((good["set"] == name) & (good["channel"] == number)).sum()),
            STEPS * len(counts),
        ]
        for name, counts in filled.items()
        for number, channel in enumerate(CHANNELS)
    }
    total = [sum(numbers) for numbers in zip(*by_set.values(), strict=True)]
    return {"by_set": by_set, "by_channel": by_channel, "by_year": {"2012": total}}


def catalogue_of(filled):
    by_status = {**dict.fromkeys(STATUSES, 0), "undecodable": 1}
    by_status["ok"] = sum(map(sum, filled.values()))
    off_disk = {"images": 4, "images_with_some": 1, "images_by_half": 0, "share": 0.1}
    return {
        "samples": {name: len(counts) for name, counts in filled.items()},
        "malformed_rows": {"train": 1, "test": 0},
        "images": by_status["ok"] + 1,
        "images_by_status": by_status,
        "images_flagged": 3,
        "off_disk": {"continuum": off_disk, "magnetogram": off_disk},
        "problems_by_kind": {"image_undecodable": 1, "malformed_row": 1},
        "slots": slots(filled),
    }


def planned(excluded=0):
    by_split = {
        name: {
            "samples": 0,
            "regions": 0,
            "groups": 0,
            "by_label": {"C": 0, "M": 0, "Q": 0, "X": 0},
        }
        for name in SPLITS
    }
    for name, label, samples in (
        ("train", "X", 2 - excluded),
        ("validation", "Q", 1),
        ("test", "M", 1),
        ("excluded", "C", excluded),
    ):
        by_split[name].update(samples=samples, regions=samples, groups=samples)
        by_split[name]["by_label"][label] = samples
    shared = {
        "training_samples_by_group": 2,
        "training_samples_by_harp": 1,
        "test_samples_by_harp": 1,
        "test_samples_by_harp_and_time": 0,
        "samples_without_harp": 7,
    }
    return {
        "samples": 4,
        "by_split": by_split,
        "shared_with_test": shared,
        "validation_fraction_reached": 0.33,
    }


CATALOGUE = catalogue_of(FILLED)
LOCATED = {
    "counts": {"files": 85, "members": 90, "members_ignored": 1},
    "ignored": {"encrypted": ["a/<b>.jpg"]},
}
SAMPLES = pd.DataFrame(
    {
        "set": ["train", "train", "train", "test"],
        "ar_num": [1, 1, 2, 3],
        "time_id": [f"2012_01_0{day}_00_00_00_0" for day in (1, 1, 3, 4)],
        "start": np.array(["2012-01-01", "2012-01-01 06:00", "2012-01-03", "2012-01-04"], "M8[ns]"),
        "end": np.array(
            ["2012-01-01 12:00", "2012-01-01 18:00", "2012-01-04", "2012-01-05"], "M8[ns]"
        ),
        "goes_class": ["X1.0", "quiet", "quiet", "M1.0"],
    }
)
PLAN = pd.DataFrame(
    {
        "set": ["train", "train", "train", "test"],
        "row": [0, 1, 2, 0],
        "split": ["train", "train", "validation", "test"],
        "label": ["X", "X", "Q", "M"],
    }
)


def sheet():
    there = np.ones((STEPS, len(CHANNELS)), dtype=bool)
    there[1, 2] = False
    flagged = np.zeros_like(there)
    flagged[0, 0] = True
    pixels = np.full((*there.shape, 256, 256), 90, dtype=np.uint8)
    return SampleSheet("1_<id>", "X1.0", "train", pixels, there, flagged)


def section(filled=None, **more):
    filled = filled or FILLED
    given = {
        "samples": SAMPLES,
        "images": image_rows(filled),
        "located": LOCATED,
        "catalogue": {"counts": catalogue_of(filled)},
        "plan": {"counts": planned()},
        "sample": sheet(),
        "flux_scale": 0.85,
        "split": "official",
    }
    return draw_section(**{**given, **more})


@pytest.fixture(scope="module")
def drawn():
    return section()


def part(section, name):
    return next(one for one in section.parts if one.name == name)


def test_every_row_and_every_file_is_counted_where_it_left():
    samples = flow_of_samples(CATALOGUE, planned(1)).counts
    assert samples["rows of the metadata"] == 5
    assert samples["row cannot be read"] == 1
    assert samples["excluded: group is also in test"] == 1
    assert samples["train"] == 1
    files = flow_of_images(LOCATED["counts"], CATALOGUE).counts
    assert files["not in the folder of a sample"] == 85 - 82
    assert files["undecodable"] == 1
    assert files["good images"] == files["of the training set"] + files["of the test set"] == 81


def test_counts_that_do_not_add_up_are_an_error():
    other = copy.deepcopy(CATALOGUE)
    other["slots"]["by_set"]["test"][0] = 38
    with pytest.raises(SkymillError, match="do not add up"):
        flow_of_images(LOCATED["counts"], other)
    with pytest.raises(SkymillError, match="do not add up"):
        flow_of_images({"files": 81}, CATALOGUE)
    with pytest.raises(SkymillError, match="do not add up"):
        flow_of_samples({**CATALOGUE, "samples": {"train": 9, "test": 1}}, planned())


def test_classes_are_in_their_columns_whatever_order_the_document_has(drawn):
    body = part(drawn, "classes").body
    row = body.partition('<th scope="row">train</th>')[2].partition("</tr>")[0]
    assert [cell.partition("</td>")[0] for cell in row.split("<td class=number>")[1:]] == [
        *("2", "0", "0", "0"),
        *("2", "2", "2"),
    ]
    assert "8,336" in part(drawn, "published_counts").body


def test_what_is_proven_and_what_is_not_is_said(drawn):
    leaks = part(drawn, "leaks")
    assert "stay (sdo.split: official)" in leaks.caption
    assert "Never proven: that images do not show" in leaks.body
    assert "in a HARP with training samples 1" in leaks.body


def test_completeness_is_told_by_channel_and_by_sample(drawn):
    assert "94: training set 41.7%, test set 100.0%" in part(drawn, "completeness").body
    missing = part(drawn, "missing")
    assert missing.caption.startswith("1 of 4 samples have all 40 images; 1 have none.")
    assert "none: 1, 1 to 9: 1, 10 to 19: 0, 20 to 29: 0, 30 to 39: 1, all 40: 1" in missing.body


def test_a_missing_image_is_hatched_and_says_so(drawn):
    sample = part(drawn, "sample")
    assert sample.body.count("<img") == SLOTS - 1
    assert sample.body.count("no image") == 1
    assert sample.body.count("flagged as noisy") == 1
    assert 'alt="Channel 94 after 0 h"' in sample.body
    assert "39 of 40 images" in sample.caption


def test_a_table_has_the_channels_that_are_asked_for():
    body = sample_table(sheet(), ["magnetogram", "171"], "What")
    assert body.count("<img") == 7
    assert body.index("magnetogram") < body.index("171")


def test_text_of_the_files_is_no_markup(drawn):
    assert "<id>" not in part(drawn, "sample").body
    assert "a/&#60;b&#62;.jpg" in part(drawn, "flow").body


def test_a_clean_set_without_tensors_has_a_section_as_well():
    filled = {"train": [0, 0, 0], "test": [0]}
    counts = {**catalogue_of(filled), "problems_by_kind": {}}
    drawn = section(
        filled, sample=None, catalogue={"counts": counts}, split="cleaned", flux_scale=1.0
    )
    assert "sdo.tensors: false" in part(drawn, "sample").body
    assert part(drawn, "problems").caption == "There are no problems."
    assert "are excluded (sdo.split: cleaned)" in part(drawn, "leaks").caption
    assert "stored peak fluxes, without scaling" in part(drawn, "classes").caption


def test_the_sample_that_is_shown_has_a_strong_flare_and_a_missing_image():
    filled = {"train": np.array([SLOTS, 39, 0]), "test": np.array([39])}
    assert choose_sample(PLAN, filled, 1) == 1
    # Whatever order the rows have.
    turned = PLAN.iloc[::-1].reset_index(drop=True)
    assert choose_sample(turned, filled, 1) == 2
    # One with all images where no other is there.
    assert choose_sample(PLAN, {"train": np.array([SLOTS, 0, 0]), "test": np.array([39])}, 1) == 0
    nothing = {name: np.zeros_like(counts) for name, counts in filled.items()}
    assert choose_sample(PLAN, nothing, 1) is None


def test_images_are_counted_by_sample_and_flagged_ones_found():
    images = image_rows(FILLED)
    good = images[images["status"] == "ok"]
    found = count_filled(good, {"train": 3, "test": 1})
    assert {name: counts.tolist() for name, counts in found.items()} == FILLED
    flags = flags_of(good, "train", 1)
    assert flags.shape == (STEPS, len(CHANNELS))
    assert flags.sum() == 1
    assert flags[0, 0]


def test_doubtful_samples_are_those_of_the_index():
    assert count_doubts(SAMPLES) == {"at_peak": 0, "unknown": 1, "overlapping": 2}
