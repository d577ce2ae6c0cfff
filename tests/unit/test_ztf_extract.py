"""A night becomes sorted stamps, a bad packet only loses itself, and every record is counted."""

import gzip
import io
import json
import os
import random
import tarfile
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from alert_packets import (
    CUTOUTS,
    REGULAR,
    alert,
    block,
    blocks,
    images,
    members,
    packet,
    schema,
    stamp,
    tar,
    write,
)
from hypothesis import given
from hypothesis import strategies as st

from skymill.alerts import tarball
from skymill.alerts.schemas import describe_error
from skymill.engine.errors import SkymillError
from skymill.ztf import decode
from skymill.ztf.catalogue import extract_night
from skymill.ztf.check import require_some, require_sound
from skymill.ztf.decode import Choice
from skymill.ztf.labelled import LabelledObjects
from skymill.ztf.object_ids import OBJECT_ID
from skymill.ztf.schema import row_type, stamps_schema

NIGHT = "20181129"


class Extracted:
    """The products of a night, and the content of the manifest."""

    def __init__(self, folder, raw, *, workers=1, **choice):
        self.stamps = folder / "stamps" / f"{NIGHT}.parquet"
        self.quarantine = folder / "quarantine" / f"{NIGHT}.jsonl"
        self.crop = choice.get("crop", 21)
        self.manifest = extract_night(
            raw,
            NIGHT,
            stamps=self.stamps,
            quarantine=self.quarantine,
            choice=Choice(**choice),
            workers=workers,
        )
        self.counts = self.manifest["counts"]
        self.table = pq.read_table(self.stamps)
        assert [path.name for path in self.stamps.parent.iterdir()] == [self.stamps.name]

    @property
    def numbers(self):
        """The kept alerts, by their number."""
        return [candid - 10**15 for candid in self.table["candid"].to_pylist()]

    @property
    def causes(self):
        """Member, record and cause of each loss."""
        lines = self.quarantine.read_text().splitlines()
        return [(loss["member"], loss["record"], loss["cause"]) for loss in map(json.loads, lines)]

    @property
    def rows(self):
        """Rows by alert number, as plain values with the stamps' bytes."""
        return {row["candid"] - 10**15: row for row in self.table.to_pylist()}

    def pixels(self):
        """The stamps, shape (alerts, 3, crop, crop)."""
        flat = self.table["stamps"].combine_chunks().flatten().to_numpy()
        return flat.reshape(-1, 3, self.crop, self.crop)


def extract(tmp_path, entries, **choice):
    raw = write(tmp_path / "night.tar.gz", tar(entries))
    return Extracted(tmp_path / "out", raw, **choice)


def test_an_alert_becomes_one_row(tmp_path):
    found = extract(tmp_path, members([2]))
    assert found.table.schema.equals(stamps_schema(21))
    (row,) = found.table.drop(["stamps"]).to_pylist()
    assert row == {
        "object_id": "ZTF18a000002",
        "candid": 10**15 + 2,
        "jd": 2458453.5,
        "fid": 1,
        "programid": 1,
        "isdiffpos": -1,
        "ra": 12.5,
        "dec": -20.25,
        "rb": 0.75,
        "drb": 0.5,
        "magpsf": 18.5,
        "xpos": 1500.25,
        "ypos": 1600.5,
        "field": 248,
        "night": NIGHT,
        "schema_version": "3.3",
        "nan_science": 0,
        "nan_template": 0,
        "nan_difference": 0,
        "recovered": False,
        "date": date(2018, 12, 1),
    }
    assert np.array_equal(found.pixels()[0], images(2)[:, 21:42, 21:42])


def test_whole_cutouts_can_be_kept(tmp_path):
    found = extract(tmp_path, members([2, 3]), crop=63)
    assert np.array_equal(found.pixels(), [images(2), images(3)])


def test_floats_are_stored_byte_stream_split(tmp_path):
    found = extract(tmp_path, members([1]))
    group = pq.ParquetFile(found.stamps).metadata.row_group(0)
    for place in range(group.num_columns):
        column = group.column(place)
        if column.physical_type in ("FLOAT", "DOUBLE"):
            assert "BYTE_STREAM_SPLIT" in column.encodings
        assert column.compression == "ZSTD"


def test_signs_and_nulls_are_converted(tmp_path):
    nulls = dict.fromkeys(["rb", "drb", "xpos", "ypos", "field"])
    entries = [*members(range(4)), ("n.avro", packet(alert(9, **nulls)))]
    found = extract(tmp_path, entries)
    assert found.table["isdiffpos"].to_pylist() == [1, 1, -1, -1, 1]
    last = found.rows[9]
    assert [last[name] for name in ("rb", "drb", "xpos", "ypos", "field")] == [None] * 5


def test_a_schema_without_drb_gives_none(tmp_path):
    entries = [("1.avro", packet(alert(2, version="3.1"), writer_schema=schema("3.1")))]
    found = extract(tmp_path, entries)
    assert found.rows[2]["drb"] is None
    assert found.rows[2]["schema_version"] == "3.1"


def test_missing_pixels_become_zero_and_are_counted(tmp_path):
    image = images(1)[1]
    image[25, 30:33] = np.nan
    image[0, 0] = np.nan
    cutout = {"fileName": "x", "stampData": stamp(image)}
    found = extract(tmp_path, [("1.avro", packet(alert(1, cutoutTemplate=cutout)))])
    assert found.rows[1]["nan_template"] == 3
    assert not found.pixels()[0, 1, 4, 9:12].any()
    assert found.counts["nan_pixels"] == {"science": 0, "template": 3, "difference": 0}
    assert found.counts["alerts_with_nan"] == 1


def test_the_order_of_members_does_not_matter(tmp_path):
    entries = members(range(60))
    first = extract(tmp_path / "a", _made(tmp_path / "a", entries))
    random.Random(1).shuffle(entries)
    second = extract(tmp_path / "b", _made(tmp_path / "b", entries))
    assert first.numbers == list(range(60))
    assert first.stamps.read_bytes() == second.stamps.read_bytes()


def _made(folder, entries):
    folder.mkdir()
    return entries


def test_the_number_of_workers_does_not_matter(tmp_path):
    entries = [*members(range(150)), ("bad.avro", b"Obj\x01 no more"), *members(range(200, 220))]
    raw = write(tmp_path / "night.tar.gz", tar(entries))
    found = [Extracted(tmp_path / f"{n}", raw, workers=n) for n in (1, 2, 3)]
    assert len({each.stamps.read_bytes() for each in found}) == 1
    assert len({each.quarantine.read_bytes() for each in found}) == 1
    assert found[0].manifest == found[1].manifest == found[2].manifest


@pytest.mark.parametrize("mode", ["w:gz", "w"])
@pytest.mark.parametrize("folder", ["", "20181129/"])
def test_any_layout_of_a_tarball_is_read(tmp_path, mode, folder):
    entries = [*members([1, 2]), ("README", b"x" * 1000), ("._3.avro", b"note")]
    raw = write(tmp_path / "night.tar.gz", tar(entries, mode=mode, folder=folder))
    found = Extracted(tmp_path / "out", raw)
    assert found.numbers == [1, 2]
    assert found.counts["members"] == 2
    assert found.counts["ignored_members"] == 2
    assert not found.manifest["truncated"]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_and_folders_in_tarballs_are_read(tmp_path, form):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", format=form) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members([1, 2]):
            entry = tarfile.TarInfo("ü" * 120 + name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    raw = write(tmp_path / "night.tar.gz", stream.getvalue())
    found = Extracted(tmp_path / "out", raw)
    assert found.numbers == [1, 2]
    assert found.counts["ignored_members"] == 0


def test_a_folder_of_files_gives_the_same_products(tmp_path):
    entries = members([3, 1])
    folder = tmp_path / "night" / "below"
    folder.mkdir(parents=True)
    for name, content in entries:
        write(folder / name, content)
    found = Extracted(tmp_path / "a", tmp_path / "night")
    same = extract(tmp_path, entries)
    assert found.stamps.read_bytes() == same.stamps.read_bytes()


def test_links_in_a_folder_are_followed(tmp_path):
    (one, first), (two, second), (three, third) = members([1, 2, 3])
    for place in ("night", "big/20180602", "files"):
        (tmp_path / place).mkdir(parents=True)
    write(tmp_path / "night" / one, first)
    write(tmp_path / "big/20180602" / two, second)
    write(tmp_path / "files/alert", third)
    (tmp_path / "night/second").symlink_to(tmp_path / "big/20180602")
    (tmp_path / "night" / three).symlink_to(tmp_path / "files/alert")
    found = Extracted(tmp_path / "a", tmp_path / "night")
    assert found.numbers == [1, 2, 3]
    assert found.stamps.read_bytes() == extract(tmp_path, members([1, 2, 3])).stamps.read_bytes()


def test_a_link_to_a_missing_file_is_a_lost_alert_or_an_ignored_file_with_its_name(tmp_path):
    (tmp_path / "night/deep").mkdir(parents=True)
    for name, content in members([1]):
        write(tmp_path / "night" / name, content)
    (tmp_path / "night/deep/gone.avro").symlink_to(tmp_path / "missing.avro")
    (tmp_path / "night/notes").symlink_to("missing")
    found = Extracted(tmp_path / "out", tmp_path / "night")
    assert found.numbers == [1]
    assert (found.counts["members"], found.counts["records"]) == (2, 2)
    assert found.causes == [("deep/gone.avro", 1, "tar")]
    assert "does not exist" in found.manifest["offenders"][0]["detail"]
    assert found.manifest["ignored"] == ["notes"]


def test_a_loop_of_links_in_a_folder_is_refused_by_name(tmp_path):
    (tmp_path / "night").mkdir()
    (tmp_path / "night/loop").symlink_to(tmp_path)
    with pytest.raises(SkymillError, match="night/loop is a link to itself or to a folder"):
        Extracted(tmp_path / "out", tmp_path / "night")


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
@pytest.mark.parametrize("interval", [1, 200_000])
def test_a_long_file_is_read_in_parts(tmp_path, monkeypatch, codec, interval):
    monkeypatch.setattr(tarball, "PART_BYTES", 300_000)
    bad = {"fileName": "x", "stampData": b"no gzip"}
    records = [alert(number) for number in range(30)]
    records[17]["cutoutScience"] = bad
    long = packet(*records, codec=codec, interval=interval)
    found = extract(tmp_path, [("long.avro", long), *members([40])])
    assert found.numbers == [*range(17), *range(18, 30), 40]
    assert found.causes == [("long.avro", 18, "gzip")]
    assert found.counts["members"] == 2


def test_an_empty_night_is_an_empty_table(tmp_path):
    for name, content in (("a", tar([])), ("b", gzip.compress(b""))):
        (tmp_path / name).mkdir()
        raw = write(tmp_path / name / "night.tar.gz", content)
        found = Extracted(tmp_path / name / "out", raw)
        assert found.table.num_rows == 0
        assert found.table.schema.equals(stamps_schema(21))
        assert not found.manifest["truncated"]
        assert found.counts["records"] == 0


def test_a_repeated_candid_counts_once_in_any_order(tmp_path):
    one, other = packet(alert(1)), packet(alert(1, magpsf=17.0))
    entries = [("a.avro", one), ("b.avro", other), ("c.avro", one), *members([5])]
    results = []
    for place, order in enumerate((entries, entries[::-1])):
        folder = tmp_path / str(place)
        folder.mkdir()
        found = extract(folder, order)
        assert found.numbers == [1, 5]
        assert found.counts["duplicates"] == 2
        results.append(found.stamps.read_bytes())
    assert results[0] == results[1]


def test_rows_have_no_padding_bytes():
    kind = row_type(21)
    assert sum(kind[name].itemsize for name in kind.names) == kind.itemsize


def test_alerts_of_objects_without_a_label_are_only_counted(tmp_path):
    labels = tmp_path / "labels.parquet"
    ids = [f"ZTF18a{number:06d}" for number in (2, 7, 99)]
    pq.write_table(pa.table({"object_id": pa.array(ids).dictionary_encode()}), labels)
    broken = {"fileName": "x", "stampData": b"never looked at"}
    entries = [*members([2, 3, 7]), ("x.avro", packet(alert(8, cutoutScience=broken)))]
    found = extract(tmp_path, entries, labels=labels)
    assert found.numbers == [2, 7]
    assert found.counts["unlabelled"] == 2
    assert found.counts["corrupt"] == 0


@given(st.lists(st.text("AZ09", max_size=4)), st.booleans(), st.lists(st.text("AZ09", max_size=5)))
def test_labels_are_found_in_any_order(names, ascending, asked):
    listed = sorted(set(names)) if ascending else names
    labelled = LabelledObjects(np.array([name.encode() for name in listed], "S24"))
    found = labelled.contain(np.array([name.encode() for name in asked], "S24"))
    assert found.tolist() == [name in set(names) for name in asked]


def test_without_any_label_no_alert_is_kept(tmp_path):
    labels = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"object_id": pa.array([], pa.string())}), labels)
    found = extract(tmp_path, members([2, 3]), labels=labels)
    assert (found.numbers, found.counts["unlabelled"]) == ([], 2)


def cutout(content):
    return {"fileName": "x", "stampData": content}


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"cutoutDifference": None}, "null_cutout"),
        ({"cutoutScience": cutout(b"\xff\xd8\xff\xe0 jpeg")}, "jpeg"),
        ({"cutoutScience": cutout(stamp(images(1)[0])[:-5])}, "gzip"),
        ({"cutoutTemplate": cutout(gzip.compress(b"SIMPLE  =  F" * 300))}, "fits"),
        ({"cutoutTemplate": cutout(stamp(images(1, (63, 62))[0]))}, "wrong_shape"),
        ({"shape": (70, 70)}, "wrong_shape"),
        ({"shape": (41, 63), "ypos": 2.0}, "dropped_at_edge"),
        ({"shape": (53, 63), "ypos": None}, "dropped_at_edge"),
        ({"isdiffpos": "x"}, "values"),
        ({"objectId": ""}, "values"),
        ({"objectId": "Z" * 65}, "values"),
        ({"objectId": "ZTF\0"}, "values"),
        ({"objectId": "ZTF18ä"}, "values"),
        ({"candid": -5}, "values"),
        ({"fid": 300}, "values"),
        ({"jd": float("nan")}, "values"),
        ({"ra": 361.0}, "values"),
        ({"dec": -91.0}, "values"),
    ],
)
def test_a_rejected_packet_has_a_reason(tmp_path, changes, cause):
    entries = [*members([1]), ("x.avro", packet(alert(2, **changes))), *members([3])]
    found = extract(tmp_path, entries)
    assert found.numbers == [1, 3]
    assert found.causes == [("x.avro", 1, cause)]
    assert found.manifest["offenders"][0]["cause"] == cause
    counts = {**found.counts, **found.counts["corrupt_by_cause"]}
    assert counts[cause] == 1


def test_edge_stamps_are_recovered_or_dropped(tmp_path):
    entries = [
        ("1.avro", packet(alert(1, shape=(53, 63), ypos=20.0))),
        ("2.avro", packet(alert(2, shape=(63, 44), xpos=3060.0))),
    ]
    found = extract(tmp_path, entries)
    assert found.table["recovered"].to_pylist() == [True, True]
    assert np.array_equal(found.pixels()[0], images(1, (53, 63))[:, 11:32, 21:42])
    assert np.array_equal(found.pixels()[1], images(2, (63, 44))[:, 21:42, 21:42])
    assert found.counts["recovered"] == 2
    dropped = extract(tmp_path, entries, edge="drop")
    assert (dropped.numbers, dropped.counts["dropped_at_edge"]) == ([], 2)
    whole = extract(tmp_path, entries, crop=63)
    assert (whole.numbers, whole.counts["wrong_shape"]) == ([], 2)


def test_a_broken_tar_header_only_loses_its_member(tmp_path):
    content = bytearray(tar(members([1, 2, 3]), mode="w"))
    second = content.index(b"1000000000000002.avro")
    content[second + 3] ^= 1
    found = Extracted(tmp_path / "out", write(tmp_path / "night.tar", bytes(content)))
    assert found.numbers == [1, 3]
    assert found.counts["corrupt_by_cause"] == {"tar": 1}
    assert not found.manifest["truncated"]


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_a_truncated_tarball_keeps_the_alerts_read_and_is_reported(tmp_path, mode):
    content = tar(members(range(6)), mode=mode)
    raw = write(tmp_path / "night.tar.gz", content)
    whole = Extracted(tmp_path / "whole", raw).rows
    generator = np.random.default_rng(2)
    for length in [3, 12, 700, *generator.integers(20, len(content) - 12_000, 12).tolist()]:
        found = Extracted(tmp_path / "out", write(raw, content[:length]))
        assert found.manifest["truncated"], length
        assert found.rows.items() <= whole.items()


def test_a_wrong_checksum_of_the_tarball_is_noticed(tmp_path):
    content = bytearray(tar(members([1, 2])))
    content[-6] ^= 1
    found = Extracted(tmp_path / "out", write(tmp_path / "night.tar.gz", bytes(content)))
    assert found.manifest["truncated"]
    assert found.numbers == [1, 2]


def test_several_gzip_members_form_one_night(tmp_path):
    content = tar(members([1, 2, 3]), mode="w")
    packed = gzip.compress(content[:70_000]) + gzip.compress(content[70_000:]) + bytes(512)
    found = Extracted(tmp_path / "out", write(tmp_path / "night.tar.gz", packed))
    assert found.numbers == [1, 2, 3]
    assert not found.manifest["truncated"]


def test_a_few_kept_files_do_not_keep_whole_blocks_in_memory(tmp_path):
    ignored = [("notes", bytes(10**6))]
    raw = write(tmp_path / "night.tar", tar([*ignored, *members([1]), *ignored], mode="w"))
    (stretch,) = tarball.read_parts(raw, tarball.Night())
    assert len(stretch.text) < 10**5
    assert stretch.part(0) == tarball.Part(*members([1])[0])


@pytest.mark.parametrize("zeros", [0, 1, 512, 70_000])
@pytest.mark.parametrize("beyond", [0, 1, 2, 100])
def test_a_gzip_member_may_begin_anywhere(tmp_path, monkeypatch, zeros, beyond):
    content = tar(members([1, 2, 3]), mode="w")
    second = content.index(b"%d.avro" % (10**15 + 2))
    first, rest = gzip.compress(content[:second]), gzip.compress(content[second:])
    raw = write(tmp_path / "night.tar.gz", first + bytes(zeros) + rest)
    monkeypatch.setattr(tarball, "READ_BYTES", len(first) + beyond)
    found = Extracted(tmp_path / "out", raw)
    assert found.numbers == [1, 2, 3]
    assert not found.manifest["truncated"]
    # The cut is between two files and at the end of a gzip member: the member's checksum does not
    # prove that the tarball is complete.
    two = gzip.compress(content[: second - 2000]) + gzip.compress(content[second - 2000 : second])
    cut = Extracted(tmp_path / "cut", write(raw, two))
    assert cut.numbers == [1]
    assert cut.manifest["truncated"]


@pytest.mark.parametrize(
    "entry", ["11 size=²\n", "9" * 5000 + " size=1\n", "30 size=" + "1" * 21 + "\n"]
)
def test_an_unreadable_pax_header_is_skipped(tmp_path, entry):
    stream = io.BytesIO()
    for name, content, kind in [
        *((name, content, tarfile.REGTYPE) for name, content in members([1])),
        ("note", entry.encode(), tarfile.XHDTYPE),
        *((name, content, tarfile.REGTYPE) for name, content in members([2])),
    ]:
        header = tarfile.TarInfo(name)
        header.size, header.type = len(content), kind
        stream.write(header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512))
    raw = write(tmp_path / "night.tar", stream.getvalue() + bytes(1024))
    assert Extracted(tmp_path / "out", raw).numbers == [1, 2]


@pytest.mark.parametrize("size", [b"0000008 \0\0\0\0", b"\xff" * 12, b"x" * 12])
def test_an_impossible_size_is_a_damaged_header(tmp_path, size):
    content = bytearray(tar(members([1, 2, 3]), mode="w"))
    header = content.index(b"%d.avro" % (10**15 + 2))
    content[header + 124 : header + 136] = size
    block = content[header : header + 512]
    total = sum(block) - sum(block[148:156]) + 8 * 32
    content[header + 148 : header + 156] = b"%06o\0 " % total
    found = Extracted(tmp_path / "out", write(tmp_path / "night.tar", bytes(content)))
    assert found.numbers == [1, 3]
    assert found.counts["records"] == 3
    assert found.causes == [("?", 1, "tar")]


def test_a_packet_of_zeros_is_one_record_that_is_lost(tmp_path):
    entries = members([1, 2, 3])
    name, content = entries[1]
    begin = content.index(bytes(range(100, 116))) + 16
    entries[1] = (name, content[: begin + 5] + bytes(len(content) - begin - 21) + content[-16:])
    found = extract(tmp_path, entries)
    assert found.numbers == [1, 3]
    assert found.counts["records"] == 3
    assert found.counts["corrupt"] == 1


def test_the_detail_of_a_loss_has_no_memory_address(tmp_path):
    content = packet(alert(1))
    begin = content.index(bytes(range(100, 116))) + 16
    # A record that ends too early, also for the general reader.
    short = content[:begin] + b"\x02\x10" + content[begin + 5 : begin + 13] + content[-16:]
    found = extract(tmp_path, [("short.avro", short), *members([2])])
    assert found.causes == [("short.avro", 1, "avro")]
    assert "cannot be read: a length is negative" in found.quarantine.read_text()
    # The message of fastavro for a truncated number.
    error = EOFError(f"cannot read double from {object()!r}")
    assert describe_error(error) == "EOFError cannot read double"


@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_inside_a_tarball_loses_one_alert(tmp_path, seed):
    entries = members(range(8))
    content = tar(entries, mode="w")
    raw = write(tmp_path / "night.tar", content)
    whole = Extracted(tmp_path / "whole", raw).rows
    generator = np.random.default_rng(seed)
    for place in generator.integers(0, len(content) - 10_240, 60).tolist():
        broken = bytearray(content)
        broken[place] ^= 1 << generator.integers(8)
        found = Extracted(tmp_path / "out", write(raw, bytes(broken)))
        changed = [key for key, row in found.rows.items() if whole.get(key) != row]
        kept = len(found.rows) - len(changed)
        # A flipped bit in a magnitude may not be noticed, but it changes no other alert.
        assert kept >= 7
        assert len(changed) <= 1
        counts = found.counts
        assert counts["records"] + counts["ignored_members"] == 8
        if kept == 7 and not changed:
            assert len(found.causes) == 1 or counts["ignored_members"] == 1


def without_short_cuts(patch):
    """Process every member, file and stamp separately."""
    patch.setattr(tarball._Source, "stretch", lambda self: None)
    patch.setattr(decode, "walk_stretch", lambda text, places: (None, np.zeros(len(places), bool)))
    patch.setattr(decode, "inflate_regular", lambda stamps: None)


@pytest.mark.parametrize("seed", range(4))
def test_reading_in_batches_equals_reading_one_by_one(tmp_path, seed):
    jpeg = {"fileName": "x", "stampData": b"\xff\xd8\xff\xe0 a picture"}
    entries = [
        *members(range(6)),
        ("several.avro", packet(*[alert(number) for number in (6, 7)], interval=10**6)),
        ("deflated.avro", packet(alert(8), codec="deflate")),
        ("older.avro", packet(alert(9, version="3.1"), writer_schema=schema("3.1"))),
        ("edge.avro", packet(alert(10, shape=(63, 40)))),
        ("jpeg.avro", packet(alert(11, cutoutTemplate=jpeg))),
        ("null.avro", packet(alert(12, cutoutTemplate=None))),
        ("README", b"not an alert"),
        *members(range(13, 16)),
    ]
    content = tar(entries, mode="w", folder="below/" if seed % 2 else "")
    generator = np.random.default_rng(seed)
    for turn in range(25):
        broken = bytearray(content)
        # More often at a length or a header than elsewhere.
        for place in generator.integers(0, len(content) - 10_240, turn % 3).tolist():
            broken[place] ^= 1 << generator.integers(8)
        if turn % 2:
            begin = content.find(b".avro", int(generator.integers(0, len(content) - 60_000)))
            broken[begin // 512 * 512 + generator.integers(0, 1024)] ^= 1 << generator.integers(8)
        raw = write(tmp_path / "night.tar", bytes(broken))
        fast = Extracted(tmp_path / "fast", raw)
        with pytest.MonkeyPatch.context() as patch:
            without_short_cuts(patch)
            slow = Extracted(tmp_path / "slow", raw)
        assert fast.manifest == slow.manifest
        assert fast.stamps.read_bytes() == slow.stamps.read_bytes()
        assert fast.quarantine.read_bytes() == slow.quarantine.read_bytes()


def test_flipped_bits_of_the_gzip_stream_never_crash_or_change_an_alert(tmp_path):
    content = tar(members(range(6)))
    raw = write(tmp_path / "night.tar.gz", content)
    whole = Extracted(tmp_path / "whole", raw).rows
    generator = np.random.default_rng(4)
    for place in generator.integers(10, len(content), 60).tolist():
        broken = bytearray(content)
        broken[place] ^= 1 << generator.integers(8)
        found = Extracted(tmp_path / "out", write(raw, bytes(broken)))
        assert found.manifest["truncated"]
        changed = [key for key, row in found.rows.items() if whole.get(key) != row]
        assert len(changed) <= 1


def test_alerts_before_damage_of_the_gzip_stream_are_kept(tmp_path):
    content = tar(members(range(30)), mode="w")
    # Stored, not compressed: blocks of 65,535 bytes, each with its length and the complement of it.
    packed = bytearray(gzip.compress(content, 0))
    blocks = len(content) // 65_535
    damaged = 10 + (blocks - 1) * 65_540
    packed[damaged + 1] ^= 1
    found = Extracted(tmp_path / "out", write(tmp_path / "night.tar.gz", bytes(packed)))
    sound = (blocks - 1) * 65_535 - tarball.CAREFUL_BYTES
    expected = [n for n in range(30) if 0 < content.find(b"%d.avro" % (10**15 + n + 1)) < sound]
    assert len(content) < tarball.READ_BYTES * 2
    assert 2 < len(expected) < 29
    assert found.numbers[: len(expected)] == expected
    assert len(found.numbers) <= len(expected) + 2
    assert "damaged" in found.manifest["broken_off"]


# Packed members, and members that only their content identifies as alerts.


def test_packed_members_are_read(tmp_path):
    entries = [(f"{name}.gz", gzip.compress(content)) for name, content in members([1, 2])]
    entries.append(("named_plain.avro", gzip.compress(packet(alert(3)))))
    entries.append(("two.avro.gz", _in_two_gzip_files(packet(alert(4)))))
    found = extract(tmp_path, entries)
    assert found.numbers == [1, 2, 3, 4]
    assert (found.counts["members"], found.counts["ignored_members"]) == (4, 0)


def _in_two_gzip_files(content):
    return gzip.compress(content[:900]) + gzip.compress(content[900:]) + bytes(40)


@pytest.mark.parametrize("name", ["1000000000000007", "alert.bin", "below/x.AVRO", "x.avro.old"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_alerts_are_recognised_by_content_under_any_name(tmp_path, name, pack):
    entries = [(name, pack(packet(alert(7)))), *members([1]), ("README", b"Obj, no alert")]
    found = extract(tmp_path, entries)
    assert found.numbers == [1, 7]
    assert found.manifest["ignored"] == ["README"]
    folder = tmp_path / "night"
    for name, content in entries:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, content)
    same = Extracted(tmp_path / "same", folder)
    assert same.stamps.read_bytes() == found.stamps.read_bytes()
    assert same.counts == found.counts


def test_notes_of_macos_are_not_listed_as_ignored_files(tmp_path):
    entries = [*members([1]), ("._1.avro", b"\0\5\x16\7note"), ("a/.DS_Store", b"x"), ("y", b"")]
    found = extract(tmp_path, entries)
    assert (found.counts["ignored_members"], found.counts["notes_of_macos"]) == (3, 2)
    assert found.manifest["ignored"] == ["y"]


@pytest.mark.parametrize("part_bytes", [tarball.PART_BYTES, 100_000])
def test_a_damaged_packed_member_loses_all_its_records(tmp_path, monkeypatch, part_bytes):
    monkeypatch.setattr(tarball, "PART_BYTES", part_bytes)
    long = packet(*(alert(number) for number in range(12)), interval=10**5)
    wrong_seal = bytearray(gzip.compress(long))
    wrong_seal[-6] ^= 1
    entries = [*members([20]), ("many.avro.gz", bytes(wrong_seal)), *members([30])]
    found = extract(tmp_path, entries)
    assert {20, 30} <= set(found.numbers)
    assert found.counts["corrupt_by_cause"]["tar"] >= 1
    if part_bytes > len(long):
        assert found.numbers == [20, 30]
        assert found.counts["records"] == 14
        assert "gzip stream is damaged" in found.manifest["offenders"][0]["detail"]


def test_a_truncated_packed_member_loses_the_records_that_its_blocks_state(tmp_path):
    long = packet(*(alert(number) for number in range(12)), interval=10**5)
    entries = [("many.avro.gz", gzip.compress(long)[:-60_000]), *members([30])]
    found = extract(tmp_path, entries)
    assert found.numbers == [30]
    assert 2 < found.counts["corrupt_by_cause"]["tar"] <= 12


@pytest.mark.parametrize("interval", [1, 10**5])
@pytest.mark.parametrize("damage", [(b"\x08null", b"\x08gone"), (b"Obj", b"Abj")])
def test_an_unreadable_long_file_is_lost_with_all_its_records(
    tmp_path, monkeypatch, damage, interval
):
    monkeypatch.setattr(tarball, "PART_BYTES", 200_000)
    long = packet(*(alert(number) for number in range(30)), interval=interval)
    found = extract(tmp_path, [("long.avro", long.replace(*damage, 1)), *members([40])])
    assert found.numbers == [40]
    assert found.counts["corrupt_by_cause"] == {"avro": 30}
    lines = [json.loads(line) for line in found.quarantine.read_text().splitlines()]
    assert sum(line["records"] for line in lines) == 30


def test_a_long_file_without_an_intact_marker_is_lost_with_all_its_records(tmp_path, monkeypatch):
    monkeypatch.setattr(tarball, "PART_BYTES", 200_000)
    monkeypatch.setattr(tarball, "MAX_RECORD_BYTES", 400_000)
    header, found = blocks(packet(*(alert(number) for number in range(30)), interval=10**5))
    text = header + b"".join(block(*each, bytes([place]) * 16) for place, each in enumerate(found))
    found = extract(tmp_path, [("long.avro", text), *members([40])])
    assert found.numbers == [40]
    assert found.counts["corrupt_by_cause"] == {"avro": 30}


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_broken_tar_header_loses_all_records_of_its_member(tmp_path, place):
    many = ("many.avro", packet(*(alert(number) for number in range(9)), interval=10**6))
    entries = members([20, 21])
    entries.insert(place, many)
    content = bytearray(tar(entries, mode="w"))
    content[content.index(b"many.avro")] ^= 1
    found = Extracted(tmp_path / "out", write(tmp_path / "night.tar", bytes(content)))
    assert found.numbers == [20, 21]
    assert found.causes == [("?", 1, "tar")]
    assert found.counts["corrupt_by_cause"] == {"tar": 9}


# Values.


def test_a_packet_may_have_its_candid_only_in_the_candidate(tmp_path):
    changed = schema()
    changed["fields"] = [field for field in changed["fields"] if field["name"] != "candid"]
    entries = [
        (f"{codec}.avro", packet(alert(number), codec=codec, writer_schema=changed))
        for number, codec in enumerate(["null", "snappy"], 4)
    ]
    assert extract(tmp_path, entries).numbers == [4, 5]


@pytest.mark.parametrize(
    "name",
    ["=cmd|'/C calc'!A0", "+1", "-1", "@SUM(A1)", "a b", "a/b", "a\tb", "ZTF<b>", "Z" * 65, ".x"],
)
def test_a_record_with_a_harmful_object_id_is_rejected(tmp_path, name):
    found = extract(tmp_path, [("x.avro", packet(alert(2, objectId=name))), *members([1])])
    assert found.numbers == [1]
    assert found.causes == [("x.avro", 1, "values")]
    assert "objectId has not the form" in found.manifest["offenders"][0]["detail"]


@given(st.from_regex(OBJECT_ID, fullmatch=True))
def test_any_other_object_id_is_accepted(tmp_path, name):
    found = extract(tmp_path, [("x.avro", packet(alert(2, shape=(21, 21), objectId=name)))])
    assert found.counts["corrupt"] == 0


@pytest.mark.parametrize(
    ("version", "kept"), [("3.3", "3.3"), ("", ""), ("=1+2", "?"), ("+3", "?"), ("a b", "?")]
)
def test_a_version_that_a_spreadsheet_would_evaluate_is_not_kept(tmp_path, version, kept):
    found = extract(tmp_path, [("x.avro", packet(alert(2, schemavsn=version)))])
    assert found.rows[2]["schema_version"] == kept


@given(st.dates(date(2, 1, 1), date(9999, 12, 30)), st.integers(0, 2**20 - 1))
def test_the_date_is_that_of_the_jd_in_utc(tmp_path, day, part):
    # Python's dates count from the first day of year 1, Julian dates from a noon.
    jd = day.toordinal() + 1_721_424.5 + part / 2**20
    found = extract(tmp_path, [("x.avro", packet(alert(2, jd=jd)))])
    assert found.rows[2]["date"] == day


def blank_alert(number, *values, shape=REGULAR):
    """Return an alert whose cutouts are filled with these values; None keeps the random cutout."""
    pictures = images(number, shape)
    for picture, value in zip(pictures, values, strict=True):
        if value is not None:
            picture[:] = value
    cutouts = {name: cutout(stamp(p)) for name, p in zip(CUTOUTS, pictures, strict=True)}
    return packet(alert(number, shape=shape, **cutouts))


NAN, INF = float("nan"), float("inf")


def test_alerts_with_a_stamp_of_only_nan_are_dropped_and_counted(tmp_path):
    entries = [
        ("all.avro", blank_alert(2, NAN, NAN, NAN)),
        ("one.avro", blank_alert(3, None, NAN, None)),
        ("edge.avro", blank_alert(4, NAN, None, None, shape=(63, 53))),
        *members([5]),
    ]
    found = extract(tmp_path, entries)
    assert found.numbers == [5]
    assert found.counts["no_data"] == 3
    assert found.counts["alerts_with_nan"] == 0
    assert sorted(found.causes) == [(f"{n}.avro", 1, "no_data") for n in ("all", "edge", "one")]
    kept = extract(tmp_path, entries, no_data="keep")
    assert kept.numbers == [2, 3, 4, 5]
    assert kept.counts["no_data"] == 0
    assert [kept.rows[2][f"nan_{name}"] for name in NAMES] == [441] * 3
    assert [kept.rows[3][f"nan_{name}"] for name in NAMES] == [0, 441, 0]
    assert not kept.pixels()[0].any()


NAMES = ("science", "template", "difference")


def test_nan_outside_of_the_crop_is_ignored(tmp_path):
    picture = images(2)[0]
    picture[:21] = picture[42:] = NAN
    entries = [("x.avro", packet(alert(2, cutoutScience=cutout(stamp(picture)))))]
    found = extract(tmp_path, entries)
    assert (found.numbers, found.counts["alerts_with_nan"]) == ([2], 0)


def test_infinite_pixels_become_zero_and_are_counted(tmp_path):
    picture = images(2)[0]
    picture[25, 30:33] = INF, -INF, NAN
    entries = [
        ("some.avro", packet(alert(2, cutoutScience=cutout(stamp(picture))))),
        ("all.avro", blank_alert(3, INF, -INF, INF)),
    ]
    found = extract(tmp_path, entries)
    assert found.numbers == [2, 3]
    assert found.rows[2]["nan_science"] == 3
    assert [found.rows[3][f"nan_{name}"] for name in NAMES] == [441] * 3
    assert np.isfinite(found.pixels()).all()
    assert not found.pixels()[1].any()
    assert found.counts["nan_pixels"]["science"] == 444


# The check.


ALL_ALLOWED = dict.fromkeys(
    [
        *("max_corrupt_fraction", "max_lost_stamps_fraction"),
        *("max_repeated_fraction", "max_ignored_fraction"),
    ],
    1,
)


def gate(found, *, limit=0.01, accepted=(), **limits):
    require_sound(
        NIGHT,
        found.manifest,
        found.quarantine,
        limits={**ALL_ALLOWED, "max_corrupt_fraction": limit, **limits},
        accept_truncated=list(accepted),
    )


def test_a_good_night_passes_the_check(tmp_path):
    gate(extract(tmp_path, members([1])), limit=0)
    gate(extract(tmp_path, []), limit=0)


def test_too_many_corrupt_packets_fail_and_are_named(tmp_path):
    found = extract(
        tmp_path,
        [
            *members([1]),
            ("null.avro", packet(alert(3, cutoutScience=None))),
            ("bad.avro", b"nothing"),
        ],
    )
    gate(found, limit=0.34)
    with pytest.raises(SkymillError, match=r"1 of 3 alerts(.|\n)*bad\.avro") as error:
        gate(found, limit=0.33)
    assert "null.avro" not in str(error.value)


def test_an_incomplete_night_fails_unless_it_is_accepted(tmp_path):
    content = tar(members([1, 2]), mode="w")
    raw = write(tmp_path / "night.tar", content[:-40_000])
    found = Extracted(tmp_path / "out", raw)
    with pytest.raises(SkymillError, match=f"night {NIGHT} is not whole"):
        gate(found, limit=1)
    gate(found, limit=1, accepted=[NIGHT])
    gate(found, limit=1, accepted=[int(NIGHT)])


def test_labels_of_different_projects_are_not_mixed_up(tmp_path, monkeypatch):
    for project, name in (("one", "ZTF18aaaaaaa"), ("two", "ZTF18bbbbbbb")):
        (tmp_path / project).mkdir()
        monkeypatch.chdir(tmp_path / project)
        pq.write_table(pa.table({"object_id": [name]}), "labels.parquet")
        os.utime("labels.parquet", (0, 0))
        assert LabelledObjects.read(Path("labels.parquet")).contain(np.array([name.encode()])).all()


def test_a_night_without_a_kept_alert_is_refused(tmp_path):
    null = [(f"{n}.avro", packet(alert(n, cutoutScience=None))) for n in range(6)]
    found = extract(tmp_path, null)
    with pytest.raises(
        SkymillError, match=r"no usable alert: it has 6 alerts \(6 with a null cutout"
    ):
        gate(found)
    # A few labelled alerts are not enough to refuse the night, see require_some.
    for labelled, is_refused in (([1, 2], False), (range(6), True)):
        found = extract(tmp_path, [*null, *members([9])], labels=_labels(tmp_path, labelled))
        assert found.counts["unlabelled"] == 7 - len(labelled)
        if is_refused:
            with pytest.raises(SkymillError, match="has no usable alert"):
                gate(found)
        else:
            gate(found)


def _labels(tmp_path, numbers):
    path = tmp_path / "labels.parquet"
    ids = [f"ZTF18a{number:06d}" for number in numbers]
    pq.write_table(pa.table({"object_id": pa.array(ids)}), path)
    return path


def test_a_night_with_only_other_files_is_refused_and_the_files_are_named(tmp_path):
    found = extract(tmp_path, [("README", b"x"), ("alerts.zip", b"PK"), ("._1.avro", b"note")])
    with pytest.raises(SkymillError, match=r"no usable alert: .*README, alerts\.zip") as error:
        gate(found)
    assert "empty" not in str(error.value)
    gate(extract(tmp_path, [("._1.avro", b"note")]))
    empty = packet(writer_schema=schema())
    with pytest.raises(SkymillError, match="1 alert files without any alert"):
        gate(extract(tmp_path, [("1.avro", empty)]))


def test_a_night_without_labelled_objects_is_no_loss(tmp_path, caplog):
    gate(extract(tmp_path, members(range(8)), labels=_labels(tmp_path, [])), limit=0)
    assert caplog.text == ""


def test_losses_above_a_limit_are_refused_by_the_name_of_the_limit(tmp_path):
    null = [(f"{n}.avro", packet(alert(n, cutoutScience=None))) for n in range(2)]
    entries = [*null, *members([5]), ("copy.avro", packet(alert(5))), ("README", b"x")]
    found = extract(tmp_path, entries)
    for name, said in (
        ("max_lost_stamps_fraction", "2 of 4 alerts have no usable stamps"),
        ("max_repeated_fraction", "1 of 2 alerts repeat the candid"),
        ("max_ignored_fraction", r"1 of 5 files are not alert files .*: README"),
    ):
        with pytest.raises(SkymillError, match=rf"{said}(.|\n)*limits\.{name}"):
            gate(found, **{name: 0.1})
    with pytest.raises(SkymillError, match=r"0\.avro"):
        gate(found, max_lost_stamps_fraction=0.1)


def test_smaller_losses_of_a_night_are_a_warning(tmp_path, caplog):
    null = ("null.avro", packet(alert(2, cutoutScience=None)))
    found = extract(tmp_path, [*members([5]), null, ("bad.avro", b"x"), ("README", b"x")])
    gate(found, limit=0.5)
    assert caplog.messages == [
        f"night {NIGHT}: of 3 alerts 1 corrupt (avro 1), 1 with a null cutout, 1 other "
        "files are not alert files"
    ]
    caplog.clear()
    gate(extract(tmp_path, members([5])))
    assert caplog.messages == []


def test_nights_that_all_lost_their_alerts_are_refused_together():
    few = {"kept": 0, "records": 9, "unlabelled": 7}
    with pytest.raises(SkymillError, match="all 4 alerts"):
        require_some([{"counts": few}, {"counts": few}])
    require_some([{"counts": few}, {"counts": {"kept": 1, "records": 1, "unlabelled": 0}}])
    require_some([{"counts": {"kept": 0, "records": 9, "unlabelled": 9}}])
    require_some([])
