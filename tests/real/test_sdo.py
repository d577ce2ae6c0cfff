"""Real rows and real pixels: 52 rows of SDOBenchmark, and nine images of the same shape.

The data is in the folder that SKYMILL_REAL_DATA names, or in `../shared/real` next to the
repository. Without the data these tests are skipped.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import zarr

from skymill.engine.tables import read_frame
from skymill.sdo.catalogue import catalogue
from skymill.sdo.goes import goes_class, label
from skymill.sdo.images import check_image, decode
from skymill.sdo.index import ends_at_peak
from skymill.sdo.metadata import format_time, read_metadata
from skymill.sdo.names import CHANNELS
from skymill.sdo.plan import make_plan
from skymill.sdo.tables import read_set
from skymill.sdo.tensors import write_tensors
from skymill.solar_regions import TABLE

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKYMILL_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
ROWS = FOLDER / "sdo" / "training_meta_data.excerpt.csv"
JANUARY = FOLDER / "sdo" / "training_meta_data.january_2014.csv"
CROPS = FOLDER / "sdo" / "image_crops_256"

pytestmark = pytest.mark.skipif(
    not ROWS.is_file(),
    reason=f"no real data: {ROWS} does not exist (set SKYMILL_REAL_DATA to the folder that has it)",
)

BEGINS = {"A": 1e-8, "B": 1e-7, "C": 1e-6, "M": 1e-5, "X": 1e-4}


def test_the_real_rows_are_all_well_formed():
    rows, malformed = read_metadata(ROWS)
    assert (len(rows), malformed) == (52, [])
    lines = ROWS.read_text().splitlines()[1:]
    for row, line in zip(rows, lines, strict=True):
        times = format_time(np.array([row.start, row.end]))
        assert ",".join([row.sample_id, *times, row.peak_flux]) == line


def test_the_real_rows_have_the_classes_of_their_fluxes():
    rows, _ = read_metadata(ROWS)
    changed = 0
    for row in rows:
        name = goes_class(row.peak_flux, 0.85)
        if float(row.peak_flux) == 1e-9:
            assert name == "quiet"
            continue
        flux = float(name[1:]) * BEGINS[name[0]]
        # A class with two digits has exactly this flux, except for the noise of float64.
        assert len(name) == 4
        assert flux == pytest.approx(float(row.peak_flux) * 0.85, rel=1e-12)
        assert label(row.peak_flux, 0.85) == (name[0] if name[0] in "XMC" else "Q")
        changed += label(row.peak_flux, 0.85) != label(row.peak_flux, 1.0)
    assert changed > 0


@pytest.fixture(name="tree")
def _tree(tmp_path):
    """Return a tree of the real rows, with the real pixels in the folder of the first sample."""
    root = tmp_path / "sdo" / "full"
    (root / "training").mkdir(parents=True)
    (root / "test").mkdir()
    text = ROWS.read_text()
    (root / "training" / "meta_data.csv").write_text(text)
    (root / "test" / "meta_data.csv").write_text(text.splitlines()[0] + "\n")
    first = read_metadata(ROWS)[0][0]
    home = root / "training" / first.region / first.folder
    home.mkdir(parents=True)
    time = str(first.start.astype("M8[s]")).replace(":", "")
    for channel, crop in zip(CHANNELS, sorted(CROPS.glob("*.jpg")), strict=False):
        (home / f"{time}__{channel}.jpg").write_bytes(crop.read_bytes())
    return tmp_path


def test_the_real_pixels_pass_through_checks_and_tensors(tree):
    crops = [path.read_bytes() for path in sorted(CROPS.glob("*.jpg"))]
    assert [check_image(crop, "171").status for crop in crops] == ["ok"] * 9
    content = catalogue(
        tree / "sdo",
        "full",
        samples=tree / "samples.parquet",
        images=tree / "images.parquet",
        problems=tree / "problems.jsonl",
    )
    assert content["counts"]["images_by_status"]["ok"] == content["counts"]["images"] == 9
    assert content["counts"]["samples"] == {"train": 52, "test": 0}
    samples, images = (
        read_set(tree / f"{name}.parquet", "train") for name in ("samples", "images")
    )
    write_tensors(tree / "sdo", samples, images, tree / "train.zarr")
    root = zarr.open_group(tree / "train.zarr", mode="r")
    assert root["available"][...].sum() == root["available"][0, 0, :9].sum() == 9
    for number, crop in enumerate(crops):
        assert (root["images"][0, 0, number] == np.asarray(decode(crop))).all()


def test_the_real_rows_are_planned_without_a_leak(tree):
    catalogue(
        tree / "sdo",
        "full",
        samples=tree / "samples.parquet",
        images=tree / "images.parquet",
        problems=tree / "problems.jsonl",
    )
    samples = read_frame(tree / "samples.parquet")
    plan, counts = make_plan(
        samples, flux_scale=0.85, split="official", validation_fraction=0.2, seed=1
    )
    frame = plan.to_pandas()
    assert frame.groupby("ar_num")["split"].nunique().max() == 1
    assert counts["by_split"]["validation"]["samples"] > 0
    assert sum(counts["records_by_label"].values()) == 52


def test_real_rows_that_end_at_the_peak_are_found(tree):
    rows = [row for name in (ROWS, JANUARY) for row in read_metadata(name)[0]]
    has_flare = np.array([goes_class(row.peak_flux, 0.85) != "quiet" for row in rows])
    said = ends_at_peak(
        np.array([int(row.region) for row in rows]),
        [row.folder for row in rows],
        np.array([row.end for row in rows]),
        has_flare,
    )
    late = np.array([int(row.folder[-1]) >= 1 for row in rows])
    # Of 13 later windows with a flare, ten end at the peak, and three are unknown.
    assert [int((said[late & has_flare] == value).sum()) for value in (True, False)] == [10, 0]
    assert int(said.isna().sum()) == 3
    assert (said[~late] == False).all()  # noqa: E712
    # In these rows GOES has the flare's peak at the end of the window: no row may be False.
    peaks = read_metadata(FOLDER.parent / "cases" / "sdo" / "sdo_end_at_peak.csv")[0]
    known = ends_at_peak(
        np.array([int(row.region) for row in peaks]),
        [row.folder for row in peaks],
        np.array([row.end for row in peaks]),
        np.ones(len(peaks), dtype=bool),
    )
    assert known.isna().all()


def test_the_table_in_the_package_equals_that_of_jsoc():
    lines = TABLE.read_text().splitlines(keepends=True)
    shipped = "".join(line for line in lines if not line.startswith("#"))
    assert shipped == (FOLDER / "jsoc" / "harp_to_noaa.2020.txt").read_text()
