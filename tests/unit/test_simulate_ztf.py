"""The simulated ZTF nights have the layout, quirks and proportions of real nights."""

import csv
import gzip
import io
import json
import tarfile
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass

import fastavro
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from skymill.raw.files import origin
from skymill.simulate.tarballs import combine_crc
from skymill.simulate.ztf import DAMAGES, packet, plan_night, write_night
from skymill.simulate.ztf_labels import label_rows, write_labels
from skymill.simulate.ztf_objects import UNLABELLED, object_classes, object_id
from skymill.simulate.ztf_packets import CUTOUTS, Rows, typical_values
from skymill.simulate.ztf_schema import VERSIONS, alert_schema
from skymill.simulate.ztf_stamps import DETECTOR, Edge
from skymill.ztf.classes import CLASSES, MEMBERS

NIGHTS = ["20180601", "20180602", "20180603_programid3", "20180604"]
SIZE = {"alerts": 60, "objects": 150, "seed": 20}


@dataclass
class Alert:
    """A member of a night: its Avro file, its record if readable, and its stamps."""

    night: str
    name: str
    content: bytes
    header: dict | None = None
    record: dict | None = None

    def stamp(self, cutout):
        """Return a stamp as astropy reads it."""
        content = gzip.decompress(self.record[cutout]["stampData"])
        with warnings.catch_warnings():
            # SIMPLE is at a place that the standard does not allow, as in real packets.
            warnings.simplefilter("ignore", fits.verify.VerifyWarning)
            with fits.open(io.BytesIO(content), ignore_missing_simple=True) as opened:
                return opened[0].data.copy()

    def stamps(self):
        """Return the three stamps."""
        return [self.stamp(cutout) for cutout in CUTOUTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ztf")
    for place, night in enumerate(NIGHTS):
        write_night(folder / f"{night}.tar.gz", night, place, **SIZE)
    return folder


@pytest.fixture(scope="module")
def alerts(folder):
    """Return all alerts of the four nights."""
    found = []
    for night in NIGHTS:
        with tarfile.open(folder / f"{night}.tar.gz") as archive:
            members = [entry for entry in archive if entry.isfile()]
            for entry in members:
                alert = Alert(night, entry.name, archive.extractfile(entry).read())
                found.append(alert)
                try:
                    reader = fastavro.reader(io.BytesIO(alert.content))
                    alert.header = reader.writer_schema
                    (alert.record,) = reader
                except EOFError:
                    continue
    return found


@pytest.fixture(scope="module")
def sound(alerts):
    """Return the alerts with three stamps that can be read."""

    def readable(alert):
        try:
            for cutout in CUTOUTS:
                gzip.decompress(alert.record[cutout]["stampData"])
        except (TypeError, OSError):
            return False
        return True

    return [alert for alert in alerts if alert.record and readable(alert)]


def test_quirks_depend_on_the_position_of_a_night(alerts, folder):
    by_night = Counter(alert.night for alert in alerts)
    assert by_night == {night: 60 for night in NIGHTS[:3]}
    versions = {
        night: {
            alert.record["schemavsn"] for alert in alerts if alert.night == night and alert.record
        }
        for night in NIGHTS[:3]
    }
    assert versions == dict(zip(NIGHTS, [{"3.3"}, {"4.02"}, {"3.3"}], strict=False))
    assert {alert.night for alert in alerts if "/" in alert.name} == {NIGHTS[1]}
    for night in NIGHTS:
        assert origin(folder / f"{night}.tar.gz") == "sample"


def test_members_are_named_after_candids_that_occur_once(alerts):
    candids = [alert.record["candid"] for alert in alerts if alert.record]
    assert len(set(candids)) == len(candids)
    for alert in alerts:
        if alert.record:
            assert alert.name.rpartition("/")[2] == f"{alert.record['candid']}.avro"
            assert alert.record["candidate"]["candid"] == alert.record["candid"]


def test_candids_stay_unique_in_a_large_night():
    from skymill.simulate.ztf import _observation

    names = ["20180603", "20180603_programid3"]
    ids = [_observation(name, at)["candid"] for name in names for at in range(0, 60_000)]
    assert len(set(ids)) == len(ids)
    assert max(ids) < 2**63


def test_a_record_encodes_as_fastavro_encodes_it(alerts):
    for alert in alerts:
        if not alert.record:
            continue
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, fastavro.parse_schema(alert.header), alert.record)
        assert stream.getvalue() in alert.content


def test_a_part_of_a_night_has_the_alerts_of_the_whole_night():
    night = plan_night(NIGHTS[1], 1, **SIZE)
    assert packet(night.part(40, 50), 3, seed=20) == packet(night, 43, seed=20)


def test_histories_have_real_lengths(alerts):
    for version, least in zip(VERSIONS, (8, 25), strict=True):
        records = [alert.record for alert in alerts if alert.record]
        records = [record for record in records if record["schemavsn"] == version]
        lengths = [len(record["prv_candidates"] or []) for record in records]
        assert all(length == 0 or least <= length <= 35 for length in lengths)
        assert ("fp_hists" in records[0]) == (version == "4.02")
        if version == "4.02":
            assert all(25 <= len(record["fp_hists"]) <= 35 for record in records)
        previous = [entry for record in records for entry in record["prv_candidates"] or []]
        assert 0.3 < np.mean([entry["candid"] is None for entry in previous]) < 0.7


@pytest.mark.parametrize("version", VERSIONS)
def test_unions_have_null_first_from_schema_4_on(version):
    unions = [
        field["type"]
        for field in alert_schema(version)["fields"]
        if isinstance(field["type"], list)
    ]
    assert {union.index("null") for union in unions} == {0 if version == "4.02" else 1}


def test_rows_of_a_history_can_be_read():
    schema = alert_schema("4.02")["fields"][5]["type"][1]["items"]
    values = {"jd": np.array([2458270.5, 2458271.25]), "fid": np.array([1, 2])}
    rows = Rows(schema, typical_values(schema, 516 * 10**9)).encode(2, **values)
    read = [fastavro.schemaless_reader(io.BytesIO(row), schema) for row in rows]
    assert [row["jd"] for row in read] == [2458270.5, 2458271.25]
    assert [row["fid"] for row in read] == [1, 2]


def test_damaged_packets_and_null_cutouts_are_few(alerts, sound):
    truncated = [alert for alert in alerts if alert.record is None]
    assert len(truncated) == 1
    content = Counter()
    for alert in alerts:
        if alert.record is None:
            continue
        for cutout in CUTOUTS:
            found = alert.record[cutout]
            if found is None:
                content["null"] += 1
            elif found["stampData"].startswith(b"\xff\xd8\xff"):
                content["jpeg"] += 1
            else:
                try:
                    gzip.decompress(found["stampData"])
                except gzip.BadGzipFile as error:
                    content[str(error)[:9]] += 1
    assert content == {"null": 3, "jpeg": 1, "CRC check": 1}
    assert len(sound) == 180 - 6


@pytest.mark.parametrize("name", ["20170620", "20230105", "20250101"])
@pytest.mark.parametrize("place", [0, 1])
def test_packets_of_any_year_can_be_read(name, place):
    night = plan_night(name, place, **SIZE)
    for at in np.flatnonzero(night.oddity == 0)[:5]:
        candid, content = packet(night, int(at), SIZE["seed"])
        (alert,) = fastavro.reader(io.BytesIO(content))
        assert alert["candid"] == alert["candidate"]["candid"] == candid
        before = alert["prv_candidates"] or []
        assert all(0 < one["pid"] < alert["candidate"]["pid"] for one in before)


def test_damaged_packets_are_few_in_a_large_night_too():
    for place, damage in enumerate(DAMAGES):
        night = plan_night("20180601", place, alerts=50_000, objects=9_000, seed=1)
        oddities = Counter(night.oddity.tolist())
        assert [oddities[other] for other in DAMAGES] == [other == damage for other in DAMAGES]


def test_stamps_have_the_header_of_real_stamps(sound):
    cards = gzip.decompress(sound[0].record["cutoutScience"]["stampData"])[:480]
    assert [cards[at : at + 80].decode().rstrip() for at in range(0, 480, 80)] == [
        "SIMPLE  =  T",
        "BITPIX  =                  -32",
        "NAXIS   =                    2",
        "NAXIS1  =                   63",
        "NAXIS2  =                   63",
        "BUNIT   = 'DN      '",
    ]


def test_the_difference_is_exact_and_follows_the_sign(sound):
    signs = Counter()
    for alert in sound:
        science, template, difference = alert.stamps()
        sign = alert.record["candidate"]["isdiffpos"]
        signs[sign] += 1
        expected = science - template if sign in "t1" else template - science
        known = ~np.isnan(expected)
        # Missing pixels are in science and difference alike, or also in the template.
        np.testing.assert_array_equal(difference[known], expected[known])
        assert (np.isnan(science) == np.isnan(difference)).all() or np.isnan(template).any()
    assert set(signs) == {"t", "1", "f", "0"}
    assert signs["t"] + signs["1"] > signs["f"] + signs["0"]


def test_the_source_is_where_xpos_and_ypos_say(sound):
    for alert in sound:
        candidate = alert.record["candidate"]
        difference = alert.stamp("cutoutDifference")
        place = []
        for axis, length in zip(("ypos", "xpos"), difference.shape, strict=True):
            low = candidate[axis] < DETECTOR[axis] / 2
            place.append(31 - (63 - length) if low else 31)
        if candidate["magpsf"] < 18.5 and not np.isnan(difference).any():
            assert np.abs(np.subtract(_brightest(difference), place)).max() <= 1


def _brightest(stamp):
    return np.unravel_index(np.argmax(stamp), stamp.shape)


@given(st.sampled_from(list(DETECTOR)), st.booleans(), st.integers(41, 62))
def test_a_cut_stamp_ends_where_the_detector_does(axis, low, length):
    edge = Edge(axis, low, length)
    first = edge.position - 31
    last = edge.position + 31
    inside = min(last, DETECTOR[axis]) - max(first, 1) + 1
    assert inside == length
    assert edge.cut(np.zeros((63, 63))).shape == ((63, length) if axis == "xpos" else (length, 63))


def test_edges_and_missing_pixels_are_as_frequent_as_planned(sound):
    shapes = Counter(alert.stamp("cutoutScience").shape for alert in sound)
    cut = {shape: count for shape, count in shapes.items() if shape != (63, 63)}
    assert sum(cut.values()) == 7
    assert all(63 in shape and min(shape) >= 41 for shape in cut)
    assert sum(count for shape, count in cut.items() if min(shape) == 41) == 1
    whole = [alert.stamps() for alert in sound if alert.stamp("cutoutScience").shape == (63, 63)]
    missing = [np.isnan(stamps).any() for stamps in whole]
    in_crop = [np.isnan(np.array(stamps)[:, 21:42, 21:42]).any() for stamps in whole]
    assert 0.1 < np.mean(missing) < 0.16
    assert 0.01 < np.mean(in_crop) < 0.04


def test_objects_occur_in_several_nights_and_several_times_in_one_night(alerts):
    seen = Counter((alert.record["objectId"], alert.night) for alert in alerts if alert.record)
    assert max(seen.values()) == 2
    nights = Counter(name for name, _ in seen)
    assert max(nights.values()) >= 2
    assert len(nights) > 100


def test_an_object_has_one_place_and_one_template_in_a_filter(sound):
    places, templates = {}, {}
    for alert in sound:
        candidate, name = alert.record["candidate"], alert.record["objectId"]
        places.setdefault(name, []).append(candidate["ra"])
        template = alert.stamp("cutoutTemplate")
        if template.shape == (63, 63) and not np.isnan(template).any():
            templates.setdefault((name, candidate["fid"]), []).append(template.tobytes())
    assert max(np.ptp(found) for found in places.values()) < 1e-3
    assert max(map(len, templates.values())) > 1
    assert all(len(set(found)) == 1 for found in templates.values())


def test_all_classes_and_unlabelled_objects_are_in_the_first_night():
    night = plan_night(NIGHTS[0], 0, **SIZE)
    classes = object_classes(SIZE["objects"], SIZE["seed"])
    assert set(classes.tolist()) == {UNLABELLED, *range(len(CLASSES))}
    assert set(range(len(CLASSES))) <= set(classes[night.number].tolist())


def test_packets_have_the_size_of_real_packets(folder):
    for night in NIGHTS[:3]:
        assert 35_000 < (folder / f"{night}.tar.gz").stat().st_size / 60 < 50_000


def test_a_night_is_one_gzip_member_that_other_programs_can_read(folder):
    for night in NIGHTS:
        packed = (folder / f"{night}.tar.gz").read_bytes()
        unpacker = zlib.decompressobj(wbits=31)
        content = unpacker.decompress(packed)
        assert unpacker.eof
        assert not unpacker.unused_data
        assert len(content) % tarfile.RECORDSIZE == 0


@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_workers_changes_no_byte(tmp_path, folder, workers):
    raw = tmp_path / "night.tar.gz"
    write_night(raw, NIGHTS[1], 1, **SIZE, workers=workers)
    assert raw.read_bytes() == (folder / f"{NIGHTS[1]}.tar.gz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "night.tar.gz",
        "night.tar.gz.source.json",
    ]


def test_another_seed_gives_another_night(tmp_path, folder):
    raw = tmp_path / "night.tar.gz"
    write_night(raw, NIGHTS[0], 0, **{**SIZE, "seed": 21})
    assert raw.read_bytes() != (folder / f"{NIGHTS[0]}.tar.gz").read_bytes()


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksums_of_two_blocks_combine(first, second):
    combined = combine_crc(zlib.crc32(first), zlib.crc32(second), len(second))
    assert combined == zlib.crc32(first + second)


def test_names_of_objects_are_unique():
    names = {object_id(number) for number in range(100_000)}
    assert len(names) == 100_000
    assert all(len(name) == 12 and name.startswith("ZTF1") for name in names)


def test_the_label_tarball_has_the_published_members(tmp_path):
    raw = tmp_path / "labels.tar.gz"
    write_labels(raw, objects=150, seed=20)
    assert origin(raw) == "sample"
    with tarfile.open(raw) as archive:
        tables = {
            entry.name: list(
                csv.DictReader(io.StringIO(archive.extractfile(entry).read().decode()))
            )
            for entry in archive
        }
    assert len(tables) == 3
    predictions = tables[MEMBERS["predictions"]]
    assert {"oid", "predicted_class", "predicted_class_proba"} < set(predictions[0])
    catalogue = tables[MEMBERS["catalogue"]]
    assert {"oid", "classALeRCE"} < set(catalogue[0])
    for table, column in ((predictions, "predicted_class"), (catalogue, "classALeRCE")):
        assert {row[column] for row in table} == set(CLASSES)
    again = tmp_path / "again.tar.gz"
    write_labels(again, objects=150, seed=20)
    assert again.read_bytes() == raw.read_bytes()
    assert json.loads((tmp_path / "labels.tar.gz.source.json").read_text())["source"] == "sample"


def test_label_lists_have_most_of_the_pool_and_other_objects():
    predictions, _ = label_rows(150, 20)
    listed = {name: set() for name, *_ in predictions}
    for name, label, _ in predictions:
        listed[name].add(label)
    pool = [object_id(number) for number in range(150)]
    assert 90 <= sum(name in listed for name in pool) <= 120
    assert len(set(listed) - set(pool)) > 20
    assert sum(len(labels) > 1 for labels in listed.values()) == 3
    assert len(predictions) - len(listed) == 7
