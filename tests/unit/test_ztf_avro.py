"""Avro files of any schema decode as in fastavro; a broken block only loses itself."""

import io

import cramjam
import fastavro
import numpy as np
import pytest
from alert_packets import SYNC, alert, as_long, as_record, block, blocks, packet, schema
from hypothesis import given, settings
from hypothesis import strategies as st

from skymill.alerts import avro
from skymill.alerts.avro import (
    BadAvro,
    BadRecord,
    read_header,
    read_long,
    read_records,
    walk_stretch,
)
from skymill.alerts.packet import FIELDS, IMAGES, SLOTS, TEXTS
from skymill.alerts.program import Unsupported, compile_program
from skymill.alerts.walk import NULL, REAL, SPAN

CODECS = ["null", "deflate", "snappy", "bzip2", "xz", "zstandard"]


def read(text):
    header = read_header(text)
    return list(read_records(text, header, header.end))


def values(record):
    """Return the values in the slots of a record, by path."""
    found = {}
    for path, slot in SLOTS.items():
        kind, value, size = record.slots[slot].tolist()
        if kind == NULL:
            found[path] = None
        elif kind == SPAN:
            found[path] = record.text[value : value + size]
        else:
            found[path] = np.int64(value).view(np.float64).item() if kind == REAL else value
    return found


def expected(text):
    return [values(as_record(document)) for document in fastavro.reader(io.BytesIO(text))]


def sound(records):
    return [values(record) for record in records if not isinstance(record, BadRecord)]


def lost(records):
    return sum(record.lost for record in records if isinstance(record, BadRecord))


@pytest.mark.parametrize("null_first", [False, True])
@pytest.mark.parametrize("version", ["3.1", "4.02"])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("interval", [1, 10**6])
def test_alerts_are_read_as_in_fastavro(codec, interval, null_first, version):
    alerts = [alert(number) for number in range(5)]
    details = {"interval": interval, "writer_schema": schema(version, null_first=null_first)}
    found = read(packet(*alerts, codec=codec, **details))
    assert sound(found) == expected(packet(*alerts, **details))
    assert all(record.by_walking for record in found)


def test_an_unknown_codec_is_refused():
    text = packet(alert(1)).replace(b"\x08null", b"\x08nulx", 1)
    (bad,) = read(text)
    assert "codec 'nulx'" in str(bad)


def test_a_header_is_parsed_once_and_its_marker_each_time():
    one = packet(alert(1))
    other = one.replace(SYNC, bytes(16))
    assert read_header(one).writer is read_header(other).writer
    assert read_header(other).sync == bytes(16)
    assert sound(read(other)) == sound(read(one))


@pytest.mark.parametrize("text", [b"", b"Obj", b"Obj\x01", b"\xff\xd8\xff\xe0 no Avro at all"])
def test_a_file_that_is_not_avro_is_refused(text):
    with pytest.raises(BadAvro):
        read_header(text)


def test_a_schema_without_the_fields_of_an_alert_loses_its_records():
    plain = {"type": "record", "name": "r", "fields": [{"name": "candid", "type": "long"}]}
    (bad,) = read(packet({"candid": 1}, writer_schema=plain))
    assert "objectId" in str(bad)


def test_a_missing_sync_marker_loses_one_block():
    text = packet(*(alert(number) for number in range(4)))
    places = [at for at in range(len(text)) if text.startswith(SYNC, at)]
    wanted = expected(text)
    for instead in (bytes(16), b""):
        found = read(text[: places[2]] + instead + text[places[2] + 16 :])
        assert sound(found) == [wanted[0], *wanted[2:]]
        assert lost(found) == 1


def test_after_a_block_of_wrong_length_reading_continues_at_the_next_marker():
    text = packet(*(alert(number) for number in range(4)))
    begin = read_header(text).end
    found = read(text[: begin + 1] + b"\x02" + text[begin + 2 :])
    assert sound(found) == expected(text)[1:]
    assert lost(found) == 1


@pytest.mark.parametrize("codec", ["null", "deflate"])
@pytest.mark.parametrize("before_end", [0, 1, 5, 15, 16, 17, 100])
def test_a_block_that_claims_the_rest_of_the_file_loses_only_itself(before_end, codec):
    text = packet(*(alert(number) for number in range(4)), codec=codec)
    header, (first, *others) = blocks(text)
    rest = first[1] + SYNC + b"".join(block(*other) for other in others)
    found = read(header + as_long(first[0]) + as_long(len(rest) - before_end) + rest)
    assert sound(found) == expected(packet(*(alert(number) for number in range(4))))[1:]
    assert lost(found) == 1


@pytest.mark.parametrize("codec", ["null", "deflate"])
@pytest.mark.parametrize("followers", [1, 2, 3])
def test_a_block_that_claims_the_blocks_behind_it_loses_only_itself(followers, codec):
    text = packet(*(alert(number) for number in range(5)), codec=codec)
    header, (first, *others) = blocks(text)
    rest = first[1] + SYNC + b"".join(block(*other) for other in others)
    claimed = first[1] + SYNC + b"".join(block(*other) for other in others[:followers])
    found = read(header + as_long(first[0]) + as_long(len(claimed) - len(SYNC)) + rest)
    assert sound(found) == expected(packet(*(alert(number) for number in range(5))))[1:]
    assert lost(found) == 1


def test_the_markers_of_blocks_outvote_a_damaged_marker_in_the_header():
    text = packet(*(alert(number) for number in range(4)))
    first = text.index(SYNC)
    broken = text[:first] + b"!" + text[first + 1 :]
    assert sound(read(broken)) == expected(text)


def test_a_truncated_file_keeps_its_complete_blocks():
    text = packet(*(alert(number) for number in range(3)))
    found = read(text[:-1000])
    assert sound(found) == expected(text)[:2]
    assert lost(found) == 1


@pytest.mark.parametrize("codec", CODECS)
def test_a_flipped_bit_is_noticed_and_changes_no_other_record(codec):
    alerts = [alert(number) for number in range(3)]
    text = packet(*alerts, codec=codec)
    wanted = expected(packet(*alerts))
    generator = np.random.default_rng(5)
    begin = read_header(text).end
    for place in generator.integers(begin, len(text), 150).tolist():
        broken = bytearray(text)
        broken[place] ^= 1 << generator.integers(8)
        found = read(bytes(broken))
        same = sum(record in wanted for record in sound(found))
        assert same >= 1
        assert len(sound(found)) + lost(found) in (3, 4)


@pytest.mark.parametrize("version", ["3.3", "4.02"])
@pytest.mark.parametrize("bad", [0, 3, 7])
def test_a_broken_record_loses_itself_and_not_the_rest_of_its_block(version, bad):
    alerts = [alert(number, version=version) for number in range(8)]
    text = bytearray(packet(*alerts, interval=10**6, writer_schema=schema(version)))
    others = expected(bytes(text))
    del others[bad]
    identity = text.index(alerts[bad]["objectId"].encode(), text.index(SYNC) + len(SYNC))
    text[identity - 1] = 0x7F  # its length is negative now
    records = read(bytes(text))
    assert repr(sound(records)) == repr(others)
    assert lost(records) == 1


@given(st.integers(0, 10**9), st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_in_a_long_block_loses_at_most_its_record(place, change):
    text = bytearray(_LONG_BLOCK)
    begin = text.index(SYNC) + len(SYNC) + 5
    place = begin + place % (len(text) - begin - len(SYNC))
    text[place] ^= change
    records = read(bytes(text))
    originals = expected(_LONG_BLOCK)
    originals = [repr(found) for found in originals]
    kept = [found for found in sound(records) if repr(found) in originals]
    assert len(kept) >= len(originals) - 1
    assert len(sound(records)) + lost(records) == len(originals)


_LONG_BLOCK = packet(*(alert(number, shape=(21, 21)) for number in range(5)), interval=10**6)


# Unreadable records are counted from the numbers in their blocks.

MANY = [alert(number, shape=(3, 3)) for number in range(60)]
MANY_TEXT = packet(*MANY, interval=5000)


def test_the_file_of_many_has_some_blocks_of_several_records():
    counts = [count for count, _ in blocks(MANY_TEXT)[1]]
    assert sum(counts) == 60
    assert min(counts[:-1]) > 2
    assert len(counts) > 4


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ((b"\x08null", b"\x08gone"), "codec 'gone'"),
        ((b'"type": "record"', b'"type": "rec0rd"'), "schema cannot be read"),
        ((b'{"', b'["'), "schema cannot be read"),
        ((b"objectId", b"0bjectId"), "schema"),
        ((b'"stampData"', b'"stampDate"'), "no cutoutScience.stampData"),
        ((b"avro.schema", b"avro.schemb"), "no schema"),
        ((b"Obj\x01", b"Obk\x01"), "does not begin like"),
        ((b"\x16avro.schema", b"\xffavro.schema"), "header"),
    ],
)
def test_an_unreadable_file_is_lost_with_all_its_records(damage, said):
    assert damage[0] in MANY_TEXT
    (bad,) = read(MANY_TEXT.replace(*damage, 1))
    assert said in str(bad)
    assert bad.lost == 60


@pytest.mark.parametrize("codec", CODECS)
def test_blocks_that_cannot_be_decompressed_are_lost_with_all_their_records(codec):
    header, found = blocks(packet(*MANY, codec=codec, interval=5000))
    assert sum(count for count, _ in found) == 60
    damaged = header + b"".join(block(count, b"no" + data[2:-2]) for count, data in found)
    assert lost(read(damaged)) + len(sound(read(damaged))) == 60
    if codec != "null":
        assert lost(read(damaged)) == 60


@pytest.mark.parametrize("gap", [16, 0])
@pytest.mark.parametrize("codec", ["null", "xz"])
@pytest.mark.parametrize("where", ["first", "some", "last", "all"])
def test_records_before_a_wrong_or_missing_marker_are_counted(where, codec, gap):
    header, found = blocks(packet(*MANY, codec=codec, interval=5000))
    chosen = {"first": [0], "some": [1, 2], "last": [len(found) - 1], "all": range(len(found))}
    text = header
    for place, (count, data) in enumerate(found):
        # Each block has a different marker, so that the wrong markers do not form a majority.
        text += block(count, data, bytes([place]) * gap if place in chosen[where] else SYNC)
    records = read(text)
    missing = sum(found[place][0] for place in chosen[where])
    assert len(sound(records)) == 60 - missing
    assert lost(records) == missing


def test_a_truncated_block_loses_the_number_of_records_that_it_states():
    header, found = blocks(MANY_TEXT)
    for kept in (1, 3):
        text = header + b"".join(block(*each) for each in found[:kept])
        count, data = found[kept]
        records = read(text + block(count, data)[: len(data) // 2])
        assert len(sound(records)) == sum(each[0] for each in found[:kept])
        assert lost(records) == count


def test_an_impossible_number_of_records_is_ignored():
    header, found = blocks(packet(*(alert(number) for number in range(4))))
    text = header + block(*found[0])
    for damage in (b"\x82\x80\x40", b"\xfe\xff\xff\xff\x0f"):
        broken = text + damage + block(*found[1])[1:] + block(*found[2])
        assert lost(read(broken)) == 1


@pytest.mark.parametrize("codec", CODECS[1:])
def test_a_block_is_decompressed_to_its_largest_size_and_no_further(codec, monkeypatch):
    monkeypatch.setattr(avro, "MAX_RECORD_BYTES", 100_000)
    sizes = []
    zstd = cramjam.zstd.decompress_into
    monkeypatch.setattr(
        cramjam.zstd, "decompress_into", lambda b, out: sizes.append(len(out)) or zstd(b, out)
    )
    text = packet(*(alert(number) for number in range(9)), codec=codec, interval=10**7)
    records = read(text)
    assert sound(records) == []
    assert lost(records) == 9
    assert max(sizes, default=0) <= 100_000


def test_a_zstandard_block_may_be_larger_than_the_first_buffer(monkeypatch):
    records = [alert(number) for number in range(2)]
    monkeypatch.setattr(avro, "ROOM_BYTES", 1000)
    text = packet(*records, codec="zstandard", interval=10**7)
    assert sound(read(text)) == expected(packet(*records, interval=10**7))


def test_running_out_of_memory_does_not_count_as_damage(monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    text = packet(alert(1), codec="xz")
    monkeypatch.setitem(avro._CODECS, "xz", exhausted)
    with pytest.raises(MemoryError):
        read(text)
    monkeypatch.undo()
    monkeypatch.setattr(avro, "_known", ())
    monkeypatch.setattr(fastavro.schema, "parse_schema", exhausted)
    with pytest.raises(MemoryError):
        read(text)


def test_the_candid_may_be_only_in_the_candidate():
    changed = schema()
    changed["fields"] = [field for field in changed["fields"] if field["name"] != "candid"]
    text = packet(alert(3), writer_schema=changed)
    (record,) = read(text)
    assert values(record)["candid"] is None
    assert values(record)["candidate.candid"] == 10**15 + 3
    candidate = next(field for field in changed["fields"] if field["name"] == "candidate")["type"]
    candidate["fields"] = [field for field in candidate["fields"] if field["name"] != "candid"]
    (bad,) = read(packet(alert(3), writer_schema=changed))
    assert "no candid" in str(bad)


def test_a_snappy_block_that_claims_too_large_a_size_is_refused():
    text = packet(alert(1), codec="snappy")
    header = read_header(text)
    block = b"\xff\xff\xff\xff\x0f" + b"1234"
    broken = text[: header.end] + b"\x02" + bytes([2 * len(block)]) + block + SYNC
    (bad,) = read(broken)
    assert "bytes" in str(bad)


def test_a_schema_that_refers_to_itself_is_read_value_by_value():
    tree = {
        "type": "record",
        "name": "tree",
        "fields": [{"name": "next", "type": ["null", "tree"]}],
    }
    changed = schema()
    changed["fields"].insert(0, {"name": "tree", "type": tree})
    text = packet({**alert(3), "tree": {"next": {"next": None}}}, writer_schema=changed)
    (record,) = read(text)
    assert not record.by_walking
    assert values(record) == expected(text)[0]


def test_items_without_bytes_are_not_read_one_by_one():
    with pytest.raises(Unsupported):
        compile_program({"type": "array", "items": "null"})


# Hypothesis draws schemas: the fields of an alert in any order, among fields of any type.

_LEAVES = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "string": st.text(max_size=70),
    "bytes": st.binary(max_size=70),
    "null": st.none(),
}


@st.composite
def _typed(draw, depth=0):
    """Draw a type and a strategy for its values."""
    kinds = (
        list(_LEAVES)
        + ["fixed", "enum"]
        + (["array", "map", "record", "union"] if depth < 3 else [])
    )
    kind = draw(st.sampled_from(kinds))
    name = f"n{draw(st.uuids()).hex}"
    if kind == "fixed":
        size = draw(st.integers(1, 20))
        return {"type": "fixed", "name": name, "size": size}, st.binary(
            min_size=size, max_size=size
        )
    if kind == "enum":
        return {"type": "enum", "name": name, "symbols": ["a", "b", "c"]}, st.sampled_from("abc")
    if kind == "array":
        items, strategy = draw(_typed(depth + 1))
        return {"type": "array", "items": items}, st.lists(strategy, max_size=4)
    if kind == "map":
        items, strategy = draw(_typed(depth + 1))
        keys = st.text(max_size=4)
        return {"type": "map", "values": items}, st.dictionaries(keys, strategy, max_size=3)
    if kind == "record":
        parts = draw(st.lists(_typed(depth + 1), max_size=4))
        fields = [{"name": f"f{place}", "type": part[0]} for place, part in enumerate(parts)]
        document = {"type": "record", "name": name, "fields": fields}
        return document, st.fixed_dictionaries({f"f{i}": part[1] for i, part in enumerate(parts)})
    if kind == "union":
        other = draw(
            st.sampled_from(["int", "long", "float", "double", "string", "bytes", "boolean"])
        )
        branches = draw(st.permutations(["null", other]))
        return branches, st.none() | _LEAVES[other]
    return kind, _LEAVES[kind]


def _record(name, fields, values):
    document = {"type": "record", "name": name, "fields": fields}
    return document, values


@st.composite
def _files(draw):
    """Draw an Avro file of alerts whose schema has other fields anywhere, in any order."""
    base = schema(null_first=draw(st.booleans()))
    extras = draw(st.lists(_typed(), max_size=5))
    inner_extras = draw(st.lists(_typed(), max_size=3))
    candidate = base["fields"][4]["type"]
    candidate["fields"] += [
        {"name": f"inner{place}", "type": kind} for place, (kind, _) in enumerate(inner_extras)
    ]
    candidate["fields"] = draw(st.permutations(candidate["fields"]))
    cutouts = base["fields"][-3:]
    rest = base["fields"][:-3] + [
        {"name": f"outer{place}", "type": kind} for place, (kind, _) in enumerate(extras)
    ]
    # The cutouts keep their order, because the first cutout defines their type.
    order = draw(st.permutations([*rest, *["cutout"] * 3]))
    queue = iter(cutouts)
    base["fields"] = [next(queue) if field == "cutout" else field for field in order]
    records = []
    for number in range(draw(st.integers(0, 3))):
        record = alert(number)
        for name in ("rb", "drb", "xpos", "ypos", "field"):
            if draw(st.booleans()):
                record["candidate"][name] = None
        for name in ("cutoutScience", "cutoutDifference"):
            if draw(st.booleans()):
                record[name] = None
        for place, (_, strategy) in enumerate(extras):
            record[f"outer{place}"] = draw(strategy)
        for place, (_, strategy) in enumerate(inner_extras):
            record["candidate"][f"inner{place}"] = draw(strategy)
        records.append(record)
    return packet(
        *records,
        codec=draw(st.sampled_from(["null", "deflate", "snappy", "bzip2", "xz"])),
        interval=draw(st.sampled_from([1, 30_000, 10**6])),
        writer_schema=base,
    )


@settings(max_examples=80)
@given(_files())
def test_any_schema_decodes_as_in_fastavro(text):
    wanted = expected(text)
    assert sound(read(text)) == wanted
    with pytest.MonkeyPatch.context() as patch:
        # Also value by value, as for schemas that cannot be compiled.
        patch.setattr(avro, "compile_program", _unsupported)
        patch.setattr(avro, "_known", ())
        found = read(text)
        assert sound(found) == wanted
        assert not any(record.by_walking for record in found)


def _unsupported(_):
    raise Unsupported("for this test")


def test_every_path_has_one_slot():
    assert sorted(SLOTS.values()) == list(range(len(FIELDS)))
    assert {*TEXTS, *IMAGES} <= set(FIELDS)


def test_numbers_of_more_than_64_bits_are_refused():
    assert read_long(b"\xff" * 9 + b"\x01", 0) == (-(2**63), 10)
    with pytest.raises(BadAvro, match="64 bits"):
        read_long(b"\x82" + b"\x80" * 8 + b"\x02", 0)
    # The compiled loop agrees: a block with such a count is not read as one record.
    content = packet(alert(1))
    header = read_header(content)
    sound = content[header.end :]
    assert sound[:1] == b"\x02"
    long = content[: header.end] + b"\x82" + b"\x80" * 8 + b"\x02" + sound[1:]
    for text, walked in ((content, True), (long, False)):
        places = np.array([[0, len(text)]])
        assert walk_stretch(text, places)[1].tolist() == [walked]
