"""A hostile alert only loses itself, in bounded time and memory."""

import bz2
import gzip
import io
import json
import tarfile
import time

import cramjam
import numpy as np
import pytest
from alert_packets import SYNC, alert, block, blocks, members, packet, schema, tar, write

from skymill.alerts import avro, general, schemas
from skymill.alerts.avro import BadRecord, read_header, read_records
from skymill.alerts.general import MOST_VALUES
from skymill.alerts.program import compile_program
from skymill.alerts.schemas import BadAvro, read_schema
from skymill.alerts.tarball import Night, read_parts
from skymill.engine import gzipped
from skymill.ztf.catalogue import extract_night
from skymill.ztf.decode import Choice

SECONDS = 20
"""More seconds than any input takes on a busy machine. Without limits inputs take minutes."""


@pytest.fixture(autouse=True)
def in_bounded_time():
    begin = time.process_time()
    yield
    assert time.process_time() - begin < SECONDS


def night_of(tmp_path, content):
    """Return the content of the manifest of a night, and its losses."""
    raw = write(tmp_path / "night.tar", content)
    lost = tmp_path / "lost.jsonl"
    found = extract_night(
        raw, "20181129", stamps=tmp_path / "s.parquet", quarantine=lost, choice=Choice()
    )
    return found["counts"], [json.loads(line) for line in lost.read_text().splitlines()]


def with_first_field(kind, value):
    """Return an alert whose schema has an additional first field, and the alert's packet."""
    changed = schema()
    changed["fields"].insert(0, {"name": "more", "type": kind})
    return packet({**alert(1), "more": value}, writer_schema=changed)


def with_prefix(kind, value, prefix):
    """Return the packet with other bytes for the first field."""
    text = with_first_field(kind, value)
    header, ((count, data),) = blocks(text)
    plain = blocks(packet(alert(1)))[1][0][1]
    assert data.endswith(plain)
    return header + block(count, prefix + plain)


def chain(depth):
    """Return the bytes of a linked list: a union branch for each link, and one for the end."""
    return b"\x02" * depth + b"\x00"


TREE = {
    "type": "record",
    "name": "tree",
    "fields": [{"name": "next", "type": ["null", "tree"]}],
}
LONG_2_40 = b"\x80\x80\x80\x80\x80\x80\x01"[:6] + b"\x01"


@pytest.mark.parametrize(
    ("kind", "value", "prefix", "said"),
    [
        ({"type": "array", "items": "null"}, [], LONG_2_40 + b"\x00", "values"),
        ({"type": "array", "items": "null"}, [], b"\xff" * 9 + b"\x01\x00\x00", "values"),
        ({"type": "map", "values": "null"}, {}, LONG_2_40 + b"\x00", "values"),
        (
            {"type": "array", "items": {"type": "fixed", "name": "none", "size": 0}},
            [],
            LONG_2_40 + b"\x00",
            "values",
        ),
        (TREE, {"next": None}, chain(100), "nests"),
        (TREE, {"next": None}, chain(10**6), "nests"),
    ],
)
def test_a_small_record_that_expands_to_much_data_only_loses_itself(
    tmp_path, kind, value, prefix, said
):
    bad = with_prefix(kind, value, prefix)
    counts, lost = night_of(tmp_path, tar([("bad.avro", bad), *members([2, 3])], mode="w"))
    assert (counts["records"], counts["kept"]) == (3, 2)
    assert [loss["member"] for loss in lost] == ["bad.avro"]
    assert said in lost[0]["detail"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ({"type": "array", "items": "null"}, [None] * 1000),
        (TREE, {"next": {"next": {"next": None}}}),
        ({"type": "array", "items": ["null", {"type": "array", "items": "null"}]}, [None, [None]]),
    ],
)
def test_unusual_but_harmless_records_are_read(tmp_path, kind, value):
    text = with_first_field(kind, value)
    counts, _ = night_of(tmp_path, tar([("a.avro", text)], mode="w"))
    assert (counts["kept"], counts["read_one_by_one"]) == (1, 1)


def test_a_record_may_have_exactly_the_allowed_number_of_values():
    kind = {"type": "array", "items": "null"}
    spare = 10**4
    assert isinstance(read(with_first_field(kind, [None] * (MOST_VALUES - spare)))[0], avro.Record)
    assert isinstance(read(with_first_field(kind, [None] * MOST_VALUES))[0], BadRecord)


def read(text):
    header = read_header(text)
    return list(read_records(text, header, header.end))


def doubling(levels, *, fields=2):
    """Return a schema in which each type contains the previous type twice."""
    types, kind = [], "int"
    for level in range(levels):
        inner = [{"name": f"f{place}", "type": kind} for place in range(fields)]
        types.append({"type": "record", "name": f"t{level}", "fields": inner})
        kind = f"t{level}"
    return {
        "type": "record",
        "name": "all",
        "fields": [{"name": f"x{place}", "type": each} for place, each in enumerate(types)],
    }


def mutual(count):
    """Return a schema whose types each refer to all earlier types and to the first type."""
    names = [f"m{place}" for place in range(count)]
    first = {"type": "record", "name": names[0], "fields": [{"name": "a", "type": ["null", "m0"]}]}
    types = [first]
    for place in range(1, count):
        fields = [{"name": f"f{n}", "type": ["null", names[n]]} for n in range(place + 1)]
        types.append({"type": "record", "name": names[place], "fields": fields})
    return {
        "type": "record",
        "name": "all",
        "fields": [{"name": f"x{place}", "type": each} for place, each in enumerate(types)],
    }


def nested(depth):
    kind = "int"
    for _ in range(depth):
        kind = {"type": "array", "items": kind}
    return kind


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(doubling(40)).encode(), "stands for more than"),
        (json.dumps(doubling(5, fields=30)).encode(), "stands for more than"),
        (json.dumps(mutual(30)).encode(), "stands for more than"),
        (json.dumps(nested(100)).encode(), "nests more than"),
        (b'{"a":' * 10**5, "nests more than"),
        (b"[" * 10**6, "nests more than"),
        (b'"int"' + b" " * 2**20, "bytes, more than"),
        (b'{"type": "fixed", "name": "f", "size": 100000000000000000000000}', "fixed type"),
        (b'{"type": "fixed", "name": "f", "size": -5}', "fixed type"),
        (b'{"type": "fixed", "name": "f", "size": "5"}', "schema"),
        (b'{"type": "enum", "name": "f", "symbols": 5}', "schema"),
        (b'{"type": "record", "name": "f", "fields": [5]}', "schema"),
        (b'{"type": {"type": {}}}', "schema"),
        (b"[]5", "schema"),
        (b"\xff", "schema"),
        (b"5", "schema"),
        (b"null", "schema"),
        (b'"unknown"', "schema"),
        (b'{"type": "' + b"x" * 10**5 + b'"}', "schema"),
    ],
)
def test_a_schema_beyond_the_limits_is_refused_with_a_short_message(text, said):
    with pytest.raises(BadAvro, match=said) as error:
        read_schema(text)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("levels", [1, 5, 10])
def test_a_schema_that_doubles_within_the_limits_is_compiled(levels):
    found = read_schema(json.dumps(doubling(levels)).encode())
    assert len(compile_program(found.expanded)) >= 2**levels
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schemas, "MOST_TYPES", 2)
        with pytest.raises(BadAvro, match="stands for"):
            read_schema(json.dumps(doubling(levels)).encode())


def test_a_schema_beyond_the_limits_only_loses_its_file(tmp_path):
    changed = schema()
    changed["fields"].append({"name": "more", "type": doubling(20)})
    header = json.dumps(changed).encode()
    whole = packet(alert(1))
    old = read_header(whole).writer.schema_text
    bad = whole.replace(_sized(old), _sized(header), 1)
    counts, lost = night_of(tmp_path, tar([("bad.avro", bad), *members([2])], mode="w"))
    assert (counts["records"], counts["kept"]) == (2, 1)
    assert "stands for more than" in lost[0]["detail"]


def _sized(content):
    size = 2 * len(content)
    number = bytearray()
    while size >= 0x80:
        number.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*number, size]) + content


def test_a_header_of_a_million_entries_is_refused():
    with pytest.raises(BadAvro, match="entries"):
        read_header(b"Obj\x01" + _number(10**6) + b"\x00\x00" * 10**6 + b"\x00")


def _number(value):
    value *= 2
    number = bytearray()
    while value >= 0x80:
        number.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*number, value])


@pytest.mark.parametrize("byte", [b"\x00", b"\x02", b"\x01"])
def test_the_search_for_the_next_record_ends(monkeypatch, byte):
    monkeypatch.setattr(avro, "MOST_WORK", 2**27)
    changed = schema()
    changed["fields"].insert(0, {"name": "more", "type": {"type": "array", "items": "int"}})
    text = packet({**alert(1), "more": []}, writer_schema=changed)
    header, ((_, data),) = blocks(text)
    # From every offset these bytes can be read as counts and items of an array.
    bad = header + block(2, b"\xff" + byte * 2**21) + block(1, data)
    # Zeros are records with empty fields. Such records are refused later.
    assert data in [record.text[-len(data) - 16 : -16] for record in read(bad)[-1:]]


def test_the_walk_through_blocks_without_markers_ends():
    header, ((_, data),) = blocks(packet(alert(1)))
    # After each marker there is a long chain of empty blocks with a broken end.
    chains = (b"\x02\x00" * 500 + SYNC) * 200 + b"\x01"
    found = read(header + b"\x03" + chains + SYNC + block(1, data))
    assert sum(not isinstance(record, BadRecord) for record in found) == 1


@pytest.mark.parametrize(
    ("codec", "compress"),
    [("bzip2", bz2.compress), ("zstandard", lambda data: bytes(cramjam.zstd.compress(data)))],
)
def test_blocks_that_unpack_to_much_more_data_than_the_file_are_lost(codec, compress):
    text = packet(alert(1), codec=codec)
    header, (first, *_) = blocks(text)
    bomb = block(1, compress(bytes(2**23)))
    found = read(header + block(*first) + bomb * 50)
    assert isinstance(found[0], avro.Record)
    assert sum(isinstance(record, BadRecord) for record in found) == 50


@pytest.mark.parametrize("codec", ["null", "xz"])
@pytest.mark.parametrize("damage", ["marker", "schema"])
def test_a_block_cannot_lose_more_records_than_it_has_room_for(codec, damage):
    text = packet(*(alert(number) for number in range(4)), codec=codec)
    header, found = blocks(text)
    if damage == "schema":
        header = header.replace(b"objectId", b"objectIx", 1)
    broken = block(2**50, found[0][1], SYNC if damage == "schema" else bytes(16))
    records = read(header + broken + b"".join(block(*each) for each in found[1:]))
    lost = sum(record.lost for record in records if isinstance(record, BadRecord))
    assert lost == (4 if damage == "schema" else 1)


def test_more_alerts_than_fit_into_a_file_are_lost_and_counted(monkeypatch):
    monkeypatch.setattr(avro, "MOST_RECORDS", 3)
    found = read(packet(*(alert(number, shape=(3, 3)) for number in range(8))))
    assert [isinstance(record, BadRecord) for record in found] == [False] * 3 + [True] * 5


def test_a_packed_member_that_unpacks_to_too_much_is_cut_off(tmp_path):
    bomb = gzip.compress(packet(alert(1)) + bytes(2**26), 9)
    counts, lost = night_of(tmp_path, tar([("bomb.avro.gz", bomb), *members([2])], mode="w"))
    assert counts["kept"] >= 1
    assert any("times its size" in loss["detail"] for loss in lost)


def test_a_tarball_that_unpacks_to_too_much_is_not_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(gzipped, "MOST_RATIO_FROM", 10**5)
    content = tar([*members([1]), ("zeros", bytes(2**25)), *members([2])], mode="w")
    raw = write(tmp_path / "night.tar.gz", gzip.compress(content, 9))
    seen = Night()
    parts = list(read_parts(raw, seen))
    assert seen.broken_off == "it unpacks to more than 100 times its size, which no real data do"
    assert len(parts) == 1


# Tar headers.


def pax_member(name, content, *, records):
    """Return a member behind a pax header of this content."""
    pieces = b""
    for kind, data in ((tarfile.XHDTYPE, records), (tarfile.REGTYPE, content)):
        header = tarfile.TarInfo(name)
        header.type, header.size = kind, len(data)
        pieces += header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
    return pieces


@pytest.mark.parametrize("record", [b"5 a=\n", b"4 =\n", b"3 \n", b"9", b"1 ", b"0 ", b" "])
def test_pax_headers_are_read_in_linear_time(tmp_path, record):
    records = (record * (2**20 // len(record)))[: 2**20]
    content = pax_member("1.avro", packet(alert(1)), records=records) * 2
    counts, _ = night_of(tmp_path, content + bytes(1024))
    assert counts["members"] == 2
    assert counts["kept"] == 1


def test_a_sparse_alert_file_is_lost_and_counted(tmp_path):
    content = packet(alert(1))
    records = b"22 GNU.sparse.major=1\n" + _record("GNU.sparse.name", "real.avro")
    map_of_holes = b"1\n0\n5\n".ljust(512, b"\0")
    sparse = pax_member("GNUSparseFile.0/x", map_of_holes + content, records=records)
    rest = tar(members([2]), mode="w")
    counts, lost = night_of(tmp_path, sparse + rest)
    assert (counts["records"], counts["kept"]) == (2, 1)
    assert lost[0]["member"] == "real.avro"
    assert "sparse" in lost[0]["detail"]


def _record(key, value):
    rest = f" {key}={value}\n"
    size = len(rest) + 2
    return f"{size}{rest}".encode()


def test_the_blocks_of_a_map_of_holes_are_skipped(tmp_path):
    header = tarfile.TarInfo("holes")
    header.type, header.size = b"S", 512
    first = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    first[482] = 1
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    more, last = bytearray(512), bytes(512)
    more[504] = 1
    sparse = bytes(first) + bytes(more) + last + bytes(512)
    counts, lost = night_of(tmp_path, sparse + tar(members([2]), mode="w"))
    assert (counts["kept"], counts["ignored_members"], lost) == (1, 1, [])


def test_a_name_of_a_megabyte_is_shortened(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        content = packet(alert(1))
        entry = tarfile.TarInfo("n" * (2**20 - 1) + ".avro")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    raw = write(tmp_path / "night.tar", stream.getvalue())
    (part,) = read_parts(raw, Night())
    assert len(part.name) <= 1024


@pytest.mark.parametrize("seed", range(3))
def test_the_general_reader_either_reads_or_refuses(seed):
    generator = np.random.default_rng(seed)
    found = read_schema(
        json.dumps(
            {**schema(), "fields": [{"name": "t", "type": TREE}, *schema()["fields"]]}
        ).encode()
    )
    for _ in range(300):
        text = generator.integers(0, 256, int(generator.integers(0, 400)), np.uint8).tobytes()
        try:
            _, slots, end = general.read_record(text, 0, len(text), found)
        except BadAvro:
            continue
        assert end <= len(text)
        assert slots.shape == (len(avro.FIELDS), 3)
