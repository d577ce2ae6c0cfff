"""A complete real night: 499 alerts of 2018-11-29, compared with fastavro and astropy.

The data is in the folder that SKYMILL_REAL_DATA names, or in `../shared/real` next to the
repository. Without the data these tests are skipped.
"""

import gzip
import io
import os
import tarfile
from pathlib import Path

import astropy.io.fits
import fastavro
import numpy as np
import pyarrow.parquet as pq
import pytest

from skymill.alerts.avro import read_header, read_records
from skymill.alerts.general import read_long, read_record
from skymill.alerts.packet import CUTOUTS, FIELDS
from skymill.alerts.walk import INTEGER, NULL, REAL, SPAN
from skymill.ztf.catalogue import extract_night
from skymill.ztf.decode import Choice

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKYMILL_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
NIGHT = "20181129"
TARBALL = FOLDER / "ztf" / f"ztf_public_{NIGHT}.tar.gz"

pytestmark = pytest.mark.skipif(
    not TARBALL.is_file(),
    reason=f"no real data: {TARBALL} is not there (set SKYMILL_REAL_DATA to the folder with it)",
)


@pytest.fixture(scope="module")
def packets():
    """The bytes of each packet."""
    with tarfile.open(TARBALL) as archive:
        return [archive.extractfile(member).read() for member in archive if member.isfile()]


@pytest.fixture(scope="module")
def alerts(packets):
    """Each packet read with fastavro, with its three images read with astropy."""
    found = {}
    for text in packets:
        (alert,) = fastavro.reader(io.BytesIO(text))
        images = []
        for name in CUTOUTS:
            stamp = gzip.decompress(alert[name]["stampData"])
            with astropy.io.fits.open(io.BytesIO(stamp), ignore_missing_simple=True) as opened:
                images.append(np.array(opened[0].data, np.float32))
        found[alert["candid"]] = alert, images
    return found


def extract(folder, **choice):
    stamps = folder / f"{NIGHT}.parquet"
    manifest = extract_night(
        TARBALL,
        NIGHT,
        stamps=stamps,
        quarantine=folder / "quarantine.jsonl",
        choice=Choice(**choice),
        workers=2,
    )
    return manifest["counts"], pq.read_table(stamps)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """The extracted night with the default settings and all objects."""
    return extract(tmp_path_factory.mktemp("night"))


def kept(text, slots):
    """Return the values in slots, by path."""
    found = {}
    for path, (kind, value, size) in zip(FIELDS, slots.tolist(), strict=True):
        real = np.int64(value).view(np.float64).item()
        span = text[value : value + size]
        found[path] = {NULL: None, INTEGER: value, REAL: real, SPAN: span}[kind]
    return found


def as_read(document):
    """Return the values of a record that fastavro has read, by path."""
    found = {}
    for path in FIELDS:
        value = document
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        found[path] = value.encode() if isinstance(value, str) else value
    return found


def test_every_packet_is_read_as_in_fastavro(packets):
    for text in packets:
        header = read_header(text)
        (record,) = read_records(text, header, header.end)
        assert record.by_walking
        (document,) = fastavro.reader(io.BytesIO(text))
        assert kept(record.text, record.slots) == as_read(document)
        # The same value by value.
        _, start = read_long(text, header.end)
        size, start = read_long(text, start)
        slowly, slots, end = read_record(text, start, start + size, header.writer.schema)
        assert kept(slowly, slots) == as_read(document)
        assert end == start + size
    assert len(packets) == 499


def pixels(table, crop=21):
    return table["stamps"].combine_chunks().flatten().to_numpy().reshape(-1, 3, crop, crop)


def test_every_regular_stamp_equals_astropys_pixel_for_pixel(night, alerts):
    _, table = night
    compared = 0
    for candid, stamps in zip(table["candid"].to_pylist(), pixels(table), strict=True):
        images = alerts[candid][1]
        if all(image.shape == (63, 63) for image in images):
            expected = np.stack(images)[:, 21:42, 21:42]
            assert np.array_equal(stamps, np.nan_to_num(expected, nan=0.0))
            compared += 1
    assert compared == 492


def test_whole_cutouts_equal_astropys(tmp_path, alerts):
    counts, table = extract(tmp_path, crop=63)
    assert (counts["kept"], counts["wrong_shape"]) == (492, 7)
    for candid, stamps in zip(table["candid"].to_pylist(), pixels(table, 63), strict=True):
        assert np.array_equal(stamps, np.nan_to_num(np.stack(alerts[candid][1]), nan=0.0))


def test_the_values_equal_those_of_the_packets(night, alerts):
    _, table = night
    for row in table.drop(["stamps"]).to_pylist():
        alert = alerts[row["candid"]][0]
        candidate = alert["candidate"]
        assert row["object_id"] == alert["objectId"]
        assert row["schema_version"] == alert["schemavsn"] == "3.2"
        assert row["isdiffpos"] == {"t": 1, "1": 1, "f": -1, "0": -1}[candidate["isdiffpos"]]
        for name in (
            "jd",
            "fid",
            "programid",
            "ra",
            "dec",
            "rb",
            "magpsf",
            "xpos",
            "ypos",
            "field",
        ):
            assert row[name] == candidate[name], name
        assert row["drb"] is candidate.get("drb")
        assert row["night"] == NIGHT


def test_every_record_is_accounted_for(night):
    counts, table = night
    assert counts["members"] == counts["records"] == counts["kept"] == table.num_rows == 499
    assert (counts["corrupt"], counts["read_one_by_one"]) == (0, 0)
    candids = table["candid"].to_pylist()
    assert candids == sorted(set(candids))


def test_the_object_that_was_seen_twice_keeps_both_alerts(night):
    _, table = night
    assert table["object_id"].to_pylist().count("ZTF18acsbtem") == 2


def test_stamps_cut_at_the_edge_are_recovered_around_the_source(night, alerts):
    counts, table = night
    assert counts["recovered"] == sum(table["recovered"].to_pylist()) == 7
    brightest = []
    for recovered, stamps in zip(table["recovered"].to_pylist(), pixels(table), strict=True):
        if recovered:
            # The absolute difference image has its peak at the source, for either sign.
            peak = np.abs(stamps[2]).reshape(-1).argmax()
            brightest.append(max(abs(peak // 21 - 10), abs(peak % 21 - 10)))
    # If the crop were on the wrong side, the source would be at least ten pixels off.
    assert sum(distance <= 2 for distance in brightest) >= 5


def test_stamps_cut_at_the_edge_can_be_dropped(tmp_path):
    counts, table = extract(tmp_path, edge="drop")
    assert (counts["kept"], counts["dropped_at_edge"]) == (492, 7)
    assert not any(table["recovered"].to_pylist())


def test_missing_pixels_are_counted(night, alerts):
    counts, table = night
    assert counts["alerts_with_nan"] == 14
    for row in table.select(["candid", "nan_science", "recovered"]).to_pylist():
        if not row["recovered"]:
            image = alerts[row["candid"]][1][0][21:42, 21:42]
            assert row["nan_science"] == np.isnan(image).sum()


def test_the_orientation_of_the_sky_agrees_with_the_data_dictionary(alerts):
    # Alerts of one exposure in one readout channel show how pixels change with the sky.
    channels = {}
    for alert, _ in alerts.values():
        found = alert["candidate"]
        place = [found[name] for name in ("ra", "dec", "xpos", "ypos")]
        channels.setdefault((found["jd"], found["rcid"]), []).append(place)
    slopes = []
    for places in channels.values():
        if len(places) > 3:
            ra, dec, xpos, ypos = (np.array(places) - np.mean(places, axis=0)).T
            sky = np.stack([ra * np.cos(np.radians(places[0][1])), dec], axis=1)
            slopes.append(np.linalg.lstsq(sky, np.stack([xpos, ypos], axis=1), rcond=None)[0])
    slopes = np.array(slopes) / (3600 / 1.0127)
    assert len(slopes) > 40
    assert np.abs(slopes - [[-1, 0], [0, -1]]).max() < 0.03


def test_the_first_block_is_found_without_a_readable_header(packets):
    for text in packets[::25]:
        damaged = b"Obk" + text[3:]
        header = read_header(damaged)
        assert header.end == read_header(text).end
        (lost,) = read_records(damaged, header, header.end)
        assert lost.lost == 1
