"""Contact sheets show the stamps of their captions, and have reproducible bytes."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from test_ztf_gather import Gathered

from skymill.ztf import pictures
from skymill.ztf.pictures import contact_sheet, draw_sheet, stretch


@pytest.fixture(name="gathered")
def _gathered(tmp_path):
    folder, _, _ = Gathered(tmp_path).gather()
    return folder / "stamps.parquet", folder / "stamps.npy"


@pytest.fixture(name="captions")
def _captions(monkeypatch):
    """Collect (names, caption) of each sheet drawn."""
    found, right = [], pictures.contact_sheet

    def sheet(stamps, names, caption):
        found.append((names, caption))
        return right(stamps, names, caption)

    monkeypatch.setattr(pictures, "contact_sheet", sheet)
    return found


def test_a_sheet_shows_sampled_objects_once_each(tmp_path, gathered, captions):
    draw_sheet(*gathered, tmp_path / "x.png", label="Otro", seed=1)
    rows = pq.read_table(gathered[0]).to_pylist()
    otro = [row for row in rows if row["label"] == "Otro"]
    sampled = sorted({row["object_id"] for row in otro if row["sampled"]})
    everyone = len({row["object_id"] for row in otro})
    names, caption = captions[0]
    assert names == sampled
    assert len(names) == 3
    assert caption.startswith(f"Otro: {everyone} objects, 3 in the sample, 3 shown. science, ")


def test_a_sheet_has_the_same_bytes_each_time(tmp_path, gathered):
    entries = [
        draw_sheet(*gathered, tmp_path / name / "x.png", label="QSO", seed=1) for name in "ab"
    ]
    assert entries[0] == entries[1]
    with Image.open(tmp_path / "a" / "x.png") as image:
        assert image.mode == "L"
        assert image.size[1] > 63


def test_a_label_without_stamps_gives_a_picture_that_says_so(tmp_path, gathered, captions):
    entries = draw_sheet(*gathered, tmp_path / "x.png", label="YSO", seed=1)
    assert captions == [([], "YSO: no objects")]
    assert entries[0]["rows"] == 0
    # The words are drawn: there are dark pixels on white.
    with Image.open(tmp_path / "x.png") as image:
        assert np.asarray(image).min() == 0


def test_a_picture_is_drawn_without_gathered_alerts(tmp_path):
    folder, _, _ = Gathered(tmp_path, nights={"20180601": []}).gather()
    table, array = folder / "stamps.parquet", folder / "stamps.npy"
    assert draw_sheet(table, array, tmp_path / "x.png", label="QSO", seed=1)[0]["rows"] == 0


def test_only_as_many_objects_are_shown_as_fit(tmp_path, gathered, captions, monkeypatch):
    monkeypatch.setattr(pictures, "ROWS", 1)
    monkeypatch.setattr(pictures, "COLUMNS", 2)
    shown = set()
    for seed in range(8):
        draw_sheet(*gathered, tmp_path / "x.png", label="QSO", seed=seed)
        names = captions[-1][0]
        assert len(names) == 2
        assert names == sorted(names)
        shown.update(names)
    assert len(shown) > 3


def test_the_stamps_of_an_alert_are_side_by_side_in_order():
    stamps = np.zeros((1, 3, 21, 21), dtype=np.float32)
    for place in range(3):
        stamps[0, place, : 7 * (place + 1)] = 1
    sheet = np.asarray(contact_sheet(stamps, ["ZTF18acsbtem"], "x"))
    top = pictures.LINE + 2 * pictures.MARGIN
    for place in range(3):
        left = pictures.MARGIN + place * (63 + pictures.GAP)
        drawn = sheet[top : top + 63, left : left + 63]
        expected = np.kron(stretch(stamps[0, place]), np.ones((3, 3), np.uint8))
        assert np.array_equal(drawn, expected)


def test_the_stretch_runs_from_the_first_to_the_last_percentile():
    stamp = np.arange(441, dtype=np.float32).reshape(21, 21)
    stamp[0, 0], stamp[20, 20] = -1e30, 1e30
    drawn = stretch(stamp)
    assert drawn.dtype == np.uint8
    assert drawn.min() == 0
    assert drawn.max() == 255
    assert abs(int(drawn[10, 10]) - 128) <= 1
    assert (np.diff(drawn.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize("value", [0.0, 3e38, np.nan, np.inf])
def test_stamps_without_contrast_are_drawn_flat(value):
    drawn = stretch(np.full((21, 21), value, dtype=np.float32))
    assert set(drawn.ravel().tolist()) == ({128} if np.isfinite(value) else {0})


def test_characters_missing_in_the_font_do_not_stop_a_sheet():
    contact_sheet(np.zeros((1, 3, 21, 21), np.float32), ["ζ"], "ζ objects")
