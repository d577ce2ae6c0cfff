"""The simulated SDOBenchmark has the layout, quirks and proportions of the real download."""

import csv
import io
import json
import re
import zipfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from skymill.raw.files import origin
from skymill.simulate import sdo
from skymill.simulate.active_regions import LOOKS, SIZE, draw_image, draw_spots
from skymill.simulate.sdo import (
    EXAMPLE_ROOT,
    FLUX_SCALE,
    IMAGE_OFFSETS,
    MIN_REGIONS_PER_CLASS,
    QUIET_FLUX,
    ROOTS,
    plan_samples,
    write_sdo,
)
from skymill.solar_regions import group_regions

SIZES = {"training_samples": 60, "test_samples": 20, "copies": 4, "seed": 7}
FOLDER = re.compile(r"(\d{4}(?:_\d\d){5})_(\d)")
FILE = re.compile(r"(\d{4}-\d\d-\d\dT\d{6})__(\w+)\.jpg")
CHANNELS = ["94", "131", "171", "193", "211", "304", "335", "1700", "continuum", "magnetogram"]


def goes_class(stored):
    """Return the class of a stored flux by the official scale: rounded to the class's digits."""
    flux = float(f"{stored * FLUX_SCALE:.1e}")
    return "X" if flux >= 1e-4 else "M" if flux >= 1e-5 else "C" if flux >= 1e-6 else "Q"


def parse_time(text):
    """Return a time of the table as whole seconds and nanoseconds."""
    seconds, _, rest = text.partition(".")
    return datetime.strptime(seconds, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC), int(rest)


def folder_time(sample_id):
    _, _, folder = sample_id.partition("_")
    return datetime.strptime(FOLDER.fullmatch(folder)[1], "%Y_%m_%d_%H_%M_%S").replace(tzinfo=UTC)


@dataclass
class Download:
    """The content of a zip: members and rows of the first root."""

    path: object
    members: dict[str, bytes]
    sizes: dict[str, tuple[int, int]]

    def rows(self, collection, root=ROOTS[0]):
        """Return the rows of a table."""
        text = self.members[f"{root}/{collection}/meta_data.csv"].decode()
        return list(csv.DictReader(io.StringIO(text)))

    def files(self, collection):
        """Return {folder of a sample: {file name: content}}."""
        found = defaultdict(dict)
        for name, content in self.members.items():
            root, split, *rest = name.split("/")
            if root == ROOTS[0] and split == collection and len(rest) == 3:
                found[f"{rest[0]}/{rest[1]}"][rest[2]] = content
        return found

    def images(self):
        """Return {path: content} of the first root's images."""
        return {
            f"{collection}/{folder}/{name}": content
            for collection in ("training", "test")
            for folder, files in self.files(collection).items()
            for name, content in files.items()
            if name.endswith(".jpg")
        }


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    path = tmp_path_factory.mktemp("simulated") / "raw" / "sdobenchmark.zip"
    write_sdo(path, **SIZES, workers=2)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
        sizes = {info.filename: (info.CRC, info.file_size) for info in archive.infolist()}
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
    return Download(path, members, sizes)


def test_the_bytes_are_the_same_for_any_number_of_workers_and_batches(tmp_path):
    small = {"training_samples": 20, "test_samples": 10, "copies": 2, "seed": 7}
    write_sdo(tmp_path / "one.zip", **small, workers=1, samples_per_piece=31)
    write_sdo(tmp_path / "two.zip", **small, workers=2, samples_per_piece=4)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    write_sdo(tmp_path / "other.zip", **{**small, "seed": 8}, workers=2)
    assert (tmp_path / "one.zip").read_bytes() != (tmp_path / "other.zip").read_bytes()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"] * 3 + [".zip"] * 3


def test_the_sidecar_says_that_it_is_simulated(download):
    assert origin(download.path) == "sample"
    sidecar = json.loads(download.path.with_name("sdobenchmark.zip.source.json").read_text())
    assert sidecar["simulator"] == SIZES


def test_every_file_occurs_once_for_each_spelling_of_the_root(download):
    copies = defaultdict(list)
    for name in download.members:
        root, _, rest = name.partition("/")
        if root != EXAMPLE_ROOT:
            assert root.casefold() == ROOTS[0]
            copies[rest].append(name)
    counts = Counter(map(len, copies.values()))
    assert set(counts) == {3, 4}
    lacking = {rest.rsplit("/", 1)[0] for rest, names in copies.items() if len(names) == 3}
    assert len(lacking) == 1, "the last root lacks one sample"
    for names in copies.values():
        assert len({download.sizes[name] for name in names}) == 1


@pytest.mark.parametrize("copies", [1, 3])
def test_the_number_of_copies_can_be_set(tmp_path, copies, monkeypatch):
    # The roots do not depend on what the images show, which takes most of the time.
    monkeypatch.setattr(sdo, "_image", lambda *_: b"an image")
    small = {"training_samples": 20, "test_samples": 10, "seed": 7}
    write_sdo(tmp_path / "one.zip", **small, copies=copies)
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        roots = {name.partition("/")[0] for name in archive.namelist()}
    assert roots == {*ROOTS[:copies], EXAMPLE_ROOT}


def test_an_example_is_next_to_the_data_set(download):
    (row,) = download.rows("training", root=EXAMPLE_ROOT)
    assert row in download.rows("training")
    region, _, folder = row["id"].partition("_")
    names = [name for name in download.members if name.startswith(f"{EXAMPLE_ROOT}/training/1")]
    assert names
    for name in names:
        assert name.startswith(f"{EXAMPLE_ROOT}/training/{region}/{folder}/")


def test_tables_have_the_real_layout(download):
    for collection, count in (("training", 60), ("test", 20)):
        rows = download.rows(collection)
        assert len(rows) == len({row["id"] for row in rows}) == count
        for row in rows:
            assert list(row) == ["id", "start", "end", "peak_flux"]
            assert re.fullmatch(r"\d{5}_" + FOLDER.pattern, row["id"])
            start, end = parse_time(row["start"]), parse_time(row["end"])
            assert end == (start[0] + timedelta(hours=12), start[1])
            assert repr(float(row["peak_flux"])) == row["peak_flux"]
            if row["id"].endswith("_0"):
                assert end == (folder_time(row["id"]), 0)


def test_later_windows_of_a_series_often_end_a_second_before_a_day_is_over(download):
    late = [row for row in download.rows("training") if not row["id"].endswith("_0")]
    day = timedelta(days=1, seconds=-1)
    at_peak = [row for row in late if parse_time(row["end"]) == (folder_time(row["id"]) + day, 0)]
    assert len(at_peak) > len(late) / 2


def test_some_windows_begin_and_end_at_times_with_nanoseconds():
    samples = plan_samples(400, 20, 7)
    assert any(sample.end % 1000 for sample in samples)


def test_fluxes_are_those_of_goes_classes_divided_by_the_factor(download):
    rows = download.rows("training") + download.rows("test")
    fluxes = [float(row["peak_flux"]) for row in rows]
    assert fluxes.count(QUIET_FLUX) > 5
    for flux in fluxes:
        if flux != QUIET_FLUX:
            assert flux * FLUX_SCALE == pytest.approx(float(f"{flux * FLUX_SCALE:.1e}"), rel=1e-12)
    naive = ["X" if flux >= 1e-4 else "other" for flux in fluxes]
    borderline = [n for n, flux in enumerate(fluxes) if naive[n] == "X" and goes_class(flux) == "M"]
    assert borderline, "an M8.7 that is an X without the factor"


@given(
    training=st.integers(20, 300),
    test=st.integers(10, 100),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_plan_can_be_split_by_region_with_all_classes(training, test, seed):
    samples = plan_samples(training, test, seed)
    assert [sample.number for sample in samples if not sample.has_row] == [training + test]
    listed = [sample for sample in samples if sample.has_row]
    regions = defaultdict(set)
    for collection, count in (("training", training), ("test", test)):
        mine = [sample for sample in listed if sample.collection == collection]
        assert len(mine) == count
        regions[collection] = {sample.region for sample in mine}
        for wanted in "XMC":
            holding = {sample.region for sample in mine if goes_class(sample.peak_flux) == wanted}
            assert len(holding) >= MIN_REGIONS_PER_CLASS[collection]
        assert any(goes_class(sample.peak_flux) == "Q" for sample in mine if sample.has_folder)
    assert not regions["training"] & regions["test"]
    # No two regions are of the same group while there are enough groups.
    everything = np.array(sorted(regions["training"] | regions["test"]))
    assert len(set(group_regions(everything).tolist())) == len(everything)
    assert len({sample.path for sample in samples}) == len(samples)
    assert sum(not sample.has_folder for sample in samples) == 1
    assert all(goes_class(sample.peak_flux) == sample.goes_class for sample in samples)


def test_a_full_size_plan_has_the_published_proportions():
    samples = plan_samples(8336, 886, 20)
    assert len({s.region for s in samples if s.collection == "training"}) == 1091
    assert len({s.region for s in samples if s.collection == "test"}) == 91
    groups = {
        name: group_regions(np.array([s.region for s in samples if s.collection == name]))
        for name in ("training", "test")
    }
    shared = np.isin(groups["training"], groups["test"]).mean()
    assert 0 < shared < 0.1, "some patches of the Sun are in both sets, as in the real one"
    counts = Counter(sample.goes_class for sample in samples)
    assert 0 < counts["X"] < counts["M"] < counts["C"] < counts["Q"]


def test_images_are_named_after_four_times_of_the_window(download):
    for collection in ("training", "test"):
        starts = {
            row["id"].replace("_", "/", 1): parse_time(row["start"])[0]
            for row in download.rows(collection)
        }
        seen = set()
        for folder, files in download.files(collection).items():
            assert len(files) <= len(CHANNELS) * len(IMAGE_OFFSETS) + 1
            for name in files:
                matched = FILE.fullmatch(name)
                if not matched or folder not in starts:
                    continue
                assert matched[2] in CHANNELS
                taken = datetime.strptime(matched[1], "%Y-%m-%dT%H%M%S").replace(tzinfo=UTC)
                away = [
                    abs((taken - starts[folder]).total_seconds() - offset / 1e9)
                    for offset in IMAGE_OFFSETS
                ]
                assert min(away) < 1
                seen.add((int(np.argmin(away)), matched[2]))
        assert len(seen) == 40


def test_many_samples_lack_images(download):
    counts = [len(files) for files in download.files("training").values()]
    assert max(counts) in (40, 41)
    assert 25 < np.mean(counts) < 37
    assert sum(count < 40 for count in counts) > len(counts) / 3


def test_one_row_has_no_folder_and_one_folder_no_row(download):
    listed = {row["id"].replace("_", "/", 1) for row in download.rows("training")}
    present = set(download.files("training"))
    assert len(listed - present) == len(present - listed) == 1
    assert {row["id"].replace("_", "/", 1) for row in download.rows("test")} == set(
        download.files("test")
    )


def test_one_file_has_a_name_that_does_not_parse(download):
    strange = [
        name
        for files in download.files("training").values()
        for name in files
        if not FILE.fullmatch(name)
    ]
    assert strange == ["Thumbs.db"]


def test_few_images_are_damaged_each_in_a_different_way(download):
    found = Counter()
    for content in download.images().values():
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "JPEG"
            assert image.mode == "L"
            found["flagged"] += "flagged" in image.getexif().get(ExifTags.Base.ImageDescription, "")
            found["small"] += image.size != (SIZE, SIZE)
            try:
                pixels = np.asarray(image)
            except OSError:
                found["truncated"] += 1
            else:
                found["black"] += not pixels.any()
                found["dead_rows"] += pixels.any() and (np.ptp(pixels, axis=1) == 0).sum() > 60
    assert found == {"flagged": 1, "small": 1, "truncated": 1, "black": 1, "dead_rows": 1}
    assert sum(found.values()) < 0.02 * len(download.images())


def test_one_image_occurs_in_two_samples_and_all_others_once(download):
    places = defaultdict(list)
    for path, content in download.images().items():
        places[content].append(path)
    repeated = [paths for paths in places.values() if len(paths) > 1]
    assert len(repeated) == 1
    assert len({path.rsplit("/", 1)[0] for path in repeated[0]}) == 2


def test_the_sun_is_bright_in_the_continuum_and_of_both_signs_in_the_magnetogram():
    rng = np.random.default_rng(1)
    spots = draw_spots(rng)
    images = {channel: draw_image(spots, channel, rng, 7).astype(float) for channel in LOOKS}
    assert list(images) == CHANNELS
    corner = {channel: image[:30, :30].mean() for channel, image in images.items()}
    assert images["continuum"].min() < corner["continuum"] - 40
    assert images["171"].max() > corner["171"] + 40
    assert images["magnetogram"].min() < 128 - 40
    assert images["magnetogram"].max() > 128 + 40
