"""Ingest accounts for every line of a raw file, and its results do not depend on batches."""

import gzip
import itertools
import json
import tracemalloc
import zlib

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from records import (
    ABSENT,
    SMALL_BLOCK,
    Ingested,
    contents_of,
    document,
    ingest_small_blocks,
    physical_values,
    record,
    same_bits,
    write_raw,
)

from skymill.engine import gzipped
from skymill.engine.errors import SkymillError
from skymill.magnetic import catalogue as module
from skymill.magnetic.catalogue import read_lines
from skymill.magnetic.fingerprints import fingerprint
from skymill.magnetic.schema import INDEX, PARAMETERS, STEPS


def short_record(record_id, label):
    content = document(record_id, label)
    del content[str(record_id)]["values"]["EPSX"]["59"]
    return json.dumps(content).encode()


def dark_record(record_id, label):
    values = physical_values(0)
    values[INDEX["USFLUX"]] = np.nan
    return record(record_id, label, values)


KINDS = {
    "valid": (record(1, "C"), "valid", None),
    "valid with NaN": (
        record(2, "X", np.where(physical_values(3) < 0.7, np.nan, physical_values(3))),
        "valid",
        None,
    ),
    "windows": (record(8, "B") + b"\r", "valid", None),
    "blank": (b"", "blank", None),
    "spaces": (b" \t\r", "blank", None),
    "truncated": (record(3)[:5000], "rejected", "invalid_json"),
    "prose": (b"no json at all", "rejected", "invalid_json"),
    "not utf-8": (b'{"\xff\xfe": 1}', "rejected", "invalid_json"),
    "short": (short_record(4, "M"), "rejected", "wrong_steps"),
    "dark": (dark_record(5, "B"), "rejected", "no_usflux"),
    "unlabelled": (record(6, ABSENT), "rejected", "invalid_label"),
    "bad id": (record("07"), "rejected", "invalid_id"),
}


@pytest.fixture
def small_blocks(monkeypatch):
    """Cut files into blocks of four records."""
    monkeypatch.setattr(module, "BLOCK_BYTES", SMALL_BLOCK)


def mixed_lines(count=40):
    """Return lines of every kind in rotation; each record has different values."""
    kinds = list(KINDS)
    lines = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        if kind == "valid":
            lines.append(record(1000 + number, "XMCBQ"[number % 5], physical_values(number)))
        else:
            lines.append(KINDS[kind][0])
    return lines


@settings(max_examples=15)
@given(
    st.lists(st.sampled_from(sorted(KINDS)), max_size=8),
    st.sampled_from([9_000, 60_000, 150_000, 2**24]),
    st.booleans(),
)
def test_every_line_is_valid_rejected_or_blank(tmp_path_factory, kinds, block, final_newline):
    folder = tmp_path_factory.mktemp("mixture")
    raw = write_raw(folder / "raw.json", [KINDS[kind][0] for kind in kinds])
    lines = [KINDS[kind] for kind in kinds]
    if not final_newline and kinds:
        raw.write_bytes(raw.read_bytes()[:-1])
        if kinds[-1] == "blank":
            lines.pop()  # no text follows the last line end, so there is no further line
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_BYTES", block)
        done = Ingested(raw, folder, blocks_per_piece=50)
    counts = done.counts
    assert counts["lines"] == counts["valid"] + counts["rejected"] + counts["blank"] == len(lines)
    rows = done.catalogue.to_pylist()
    assert [row["line"] for row in rows] == list(range(1, len(lines) + 1))
    assert [(row["status"], row["reason"]) for row in rows] == [line[1:] for line in lines]
    assert len(done.fingerprints()) == counts["valid"] == done.values().shape[1]
    assert sum(counts["valid_by_label"].values()) == counts["valid"]
    assert sum(counts["rejected_by_reason"].values()) == counts["rejected"]
    assert sum(counts["rejected_by_label"].values()) == counts["rejected"]
    assert len(done.quarantine) == counts["rejected"]


@pytest.mark.parametrize(
    ("workers", "blocks_per_piece"), [(1, 2), (1, 3), (1, 1000), (2, 1), (3, 2)]
)
def test_products_are_the_same_for_any_number_of_workers_and_blocks_per_piece(
    tmp_path, small_blocks, monkeypatch, workers, blocks_per_piece
):
    monkeypatch.setattr(module, "_ingest_blocks", ingest_small_blocks)
    raw = write_raw(tmp_path / "raw.json", mixed_lines())
    assert raw.stat().st_size > 4 * SMALL_BLOCK
    plain = Ingested(raw, tmp_path / "plain")
    other = Ingested(raw, tmp_path / "other", workers=workers, blocks_per_piece=blocks_per_piece)
    assert other.content == plain.content
    assert len(plain.content["files"]) > 3
    for name in plain.paths:
        assert contents_of(other.paths[name]) == contents_of(plain.paths[name])


@pytest.mark.parametrize("block", [1000, 70_000, 90_001, 2**24])
def test_the_size_of_blocks_changes_neither_tables_nor_values(tmp_path, monkeypatch, block):
    raw = write_raw(tmp_path / "raw.json", mixed_lines(24))
    plain = Ingested(raw, tmp_path / "plain")
    monkeypatch.setattr(module, "BLOCK_BYTES", block)
    other = Ingested(raw, tmp_path / "other", blocks_per_piece=100)
    for name in ("catalogue", "quarantine"):
        assert contents_of(other.paths[name]) == contents_of(plain.paths[name])
    assert np.array_equal(other.fingerprints(), plain.fingerprints())
    assert same_bits(other.values(), plain.values())


@settings(max_examples=8)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 32), st.integers(0, 58)),
        st.floats(allow_infinity=False),
        max_size=50,
    )
)
def test_values_in_parquet_equal_those_of_python_bit_for_bit(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("values")
    values = physical_values(1)
    for place, number in numbers.items():
        values[place] = number
    done = Ingested(write_raw(folder / "raw.json", [record(1, "Q", values)]), folder)
    ((_, content),) = json.loads(record(1, "Q", values)).items()
    expected = [[content["values"][name][str(s)] for s in range(STEPS)] for name in PARAMETERS]
    assert same_bits(done.values()[:, 0], np.array(expected))


def test_values_have_one_row_per_step_in_order_and_no_nulls(tmp_path):
    done = Ingested(write_raw(tmp_path / "raw.json", mixed_lines()), tmp_path)
    for path in done.store.files():
        table = pq.read_table(path)
        assert table["seq_id"].to_pylist() == list(range(STEPS)) * (len(table) // STEPS)
        assert sum(column.null_count for column in table.columns) == 0
        assert table.column_names == ["seq_id", "fingerprint", *PARAMETERS]


def test_the_catalogue_describes_every_line(tmp_path):
    lines = [record(5, "X"), b"", short_record(6, "M"), b"{", record(9, "Q", physical_values(4))]
    done = Ingested(write_raw(tmp_path / "train.json", lines), tmp_path)
    rows = done.catalogue.to_pylist()
    _, (first, second) = fingerprint(np.stack([physical_values(0), physical_values(4)]))
    shown = [tuple(row.values()) for row in rows]
    assert shown == [
        ("train", 1, 5, "X", "valid", None, first, 1),
        ("train", 2, None, None, "blank", None, None, 1),
        ("train", 3, 6, "M", "rejected", "wrong_steps", None, 1),
        ("train", 4, None, None, "rejected", "invalid_json", None, 1),
        ("train", 5, 9, "Q", "valid", None, second, 1),
    ]


def test_step_fingerprints_follow_the_valid_records_in_file_order(tmp_path):
    lines = [record(5, "X"), dark_record(6, "Q"), record(9, "Q", physical_values(4))]
    done = Ingested(write_raw(tmp_path / "train.json", lines), tmp_path)
    expected, _ = fingerprint(np.stack([physical_values(0), physical_values(4)]))
    assert np.array_equal(done.fingerprints(), expected)


def test_counts_are_by_label_and_by_reason(tmp_path):
    lines = [KINDS[kind][0] for kind in ("valid", "windows", "windows", "short", "short", "prose")]
    counts = Ingested(write_raw(tmp_path / "raw.json", lines), tmp_path).counts
    assert counts["valid_by_label"] == {"C": 1, "B": 2}
    assert counts["rejected_by_reason"] == {"invalid_json": 1, "wrong_steps": 2}
    assert counts["rejected_by_label"] == {"M": 2, "unknown": 1}


def test_the_test_file_accepts_records_without_a_label(tmp_path):
    lines = [record(1, ABSENT), record(2, None), record(3, "M")]
    raw = write_raw(tmp_path / "test.json", lines)
    done = Ingested(raw, tmp_path / "unlabelled", labelled=False)
    assert done.catalogue["label"].to_pylist() == [None, None, "M"]
    assert Ingested(raw, tmp_path / "labelled").counts["rejected"] == 2


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_byte_order_mark_loses_no_record(tmp_path, small_blocks, end):
    raw = tmp_path / "raw.json"
    # The second mark is from a file that was appended.
    raw.write_bytes(BOM + record(1, "X") + b"\n" + BOM + record(2) + b"\n" + BOM + end)
    done = Ingested(raw, tmp_path)
    assert done.catalogue["source_id"].to_pylist() == [1, 2, None]
    assert done.catalogue["status"].to_pylist() == ["valid", "valid", "blank"]
    assert same_bits(done.values()[:, 0], physical_values(0))


@pytest.mark.parametrize("name", ["raw.json", "raw.json.gz"])
@pytest.mark.parametrize("members", [1, 3])
def test_a_gzipped_file_gives_the_same_products_as_the_plain_file(
    tmp_path, small_blocks, name, members
):
    lines = mixed_lines()
    plain = Ingested(write_raw(tmp_path / "raw.json", lines), tmp_path / "plain")
    content = b"".join(line + b"\n" for line in lines)
    cuts = [len(content) * number // members for number in range(members + 1)]
    parts = [content[a:b] for a, b in itertools.pairwise(cuts)]
    raw = tmp_path / "gzipped" / name
    raw.parent.mkdir()
    raw.write_bytes(b"".join(gzip.compress(part, mtime=0) for part in parts))
    gzipped = Ingested(raw, tmp_path / "gzipped", partition="raw")
    for kind in ("values", "catalogue", "quarantine"):
        found, expected = gzipped.paths[kind], plain.paths[kind]
        assert list(contents_of(found).values()) == list(contents_of(expected).values())
    assert gzipped.content == plain.content
    # The unpacked copy was deleted.
    assert {path.suffix for path in raw.parent.rglob("*.*") if path.is_file()} == {
        *(".parquet", ".jsonl", raw.suffix, ".json")
    }
    assert not [*raw.parent.rglob("unpacked*")]


@settings(max_examples=40)
@given(st.integers(0, 10**9), st.integers(0, 7))
def test_a_gzipped_file_with_a_changed_bit_is_never_read_as_other_data(
    tmp_path_factory, place, bit
):
    folder = tmp_path_factory.mktemp("flip")
    lines = [record(1, "X"), record(2)]
    whole = bytearray(gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0))
    whole[2 + place % (len(whole) - 2)] ^= 1 << bit
    raw = folder / "raw.json"
    raw.write_bytes(whole)
    try:
        gzip.decompress(whole)
    except (EOFError, OSError, zlib.error):
        with pytest.raises(SkymillError, match=r"raw\.json is (damaged|cut short)"):
            Ingested(raw, folder)
        assert not done_files(folder)
    else:  # a bit of the header that does not affect the content
        done = Ingested(raw, folder)
        assert done.catalogue["source_id"].to_pylist() == [1, 2]
        assert same_bits(done.values()[:, 0], physical_values(0))


def done_files(folder):
    """Return the files in a folder, without the raw file."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "raw.json"]


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 1000])
def test_a_gzipped_file_that_is_cut_short_is_an_error(tmp_path, cut):
    raw = tmp_path / "raw.json"
    raw.write_bytes(gzip.compress(record(1), mtime=0)[:-cut])
    with pytest.raises(SkymillError, match=r"raw\.json is cut short: .*Fetch or copy"):
        Ingested(raw, tmp_path)
    assert not done_files(tmp_path)


def test_bytes_after_the_end_of_a_gzip_stream_are_an_error(tmp_path):
    raw = tmp_path / "raw.json"
    raw.write_bytes(gzip.compress(record(1), mtime=0) + b"more")
    with pytest.raises(SkymillError, match=r"raw\.json is damaged"):
        Ingested(raw, tmp_path)


def test_swan_sfs_names_of_quiet_windows_count_as_q(tmp_path):
    raw = write_raw(tmp_path / "raw.json", [record(1, "FQ"), record(2, "N"), record(3, "NF")])
    done = Ingested(raw, tmp_path)
    assert done.counts["valid_by_label"] == {"Q": 2}
    assert "NF is no class" in done.quarantine[0]["detail"]


def test_the_quarantine_names_file_line_reason_and_beginning(tmp_path, small_blocks):
    lines = mixed_lines()
    raw = write_raw(tmp_path / "raw.json", lines)
    done = Ingested(raw, tmp_path)
    assert raw.stat().st_size > 3 * SMALL_BLOCK
    for entry in done.quarantine:
        line = lines[entry["line"] - 1]
        assert entry["file"] == "raw.json"
        assert entry["detail"]
        assert entry["beginning"] == line[:160].decode("utf-8", "replace")
    found = {entry["line"]: entry["reason"] for entry in done.quarantine}
    kinds = [KINDS[list(KINDS)[number % len(KINDS)]] for number in range(len(lines))]
    assert found == {n: kind[2] for n, kind in enumerate(kinds, start=1) if kind[1] == "rejected"}


def test_the_quarantine_has_one_json_document_per_line_for_any_input(tmp_path):
    lines = [b"\xff\x00\x85\xe2\x80\xa8\x1e'\"", '{"é\u2028"'.encode(), b"a\x0bb\x0cc\rd"]
    done = Ingested(write_raw(tmp_path / "raw.json", lines), tmp_path)
    text = done.paths["quarantine"].read_bytes()
    entries = [json.loads(line) for line in text.split(b"\n")[:-1]]
    assert [entry["line"] for entry in entries] == [1, 2, 3]


def test_an_empty_file_gives_empty_products(tmp_path):
    raw = tmp_path / "raw.json"
    raw.write_bytes(b"")
    done = Ingested(raw, tmp_path)
    assert done.content["files"] == []
    assert done.counts["lines"] == 0
    assert done.catalogue.num_rows == 0
    assert done.fingerprints().shape == (0, STEPS)
    assert done.quarantine == []
    assert list(done.values_directory.iterdir()) == []


@pytest.mark.parametrize("kinds", [["prose"], ["blank"] * 5, ["short", "dark", "prose", "blank"]])
def test_a_file_without_a_valid_record_gives_no_values(tmp_path, kinds):
    done = Ingested(write_raw(tmp_path / "raw.json", [KINDS[k][0] for k in kinds]), tmp_path)
    assert done.content["files"] == []
    assert done.counts["valid"] == 0
    assert done.catalogue.num_rows == len(kinds)
    assert done.fingerprints().shape == (0, STEPS)


def test_a_line_that_is_too_long_is_rejected_and_the_next_line_is_read(tmp_path, monkeypatch):
    lines = [record(1), b"x" * 200_000, record(2, "Q", physical_values(2)), b"y" * 90_000]
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 80_000)
    for block in (50_000, 2**24):
        monkeypatch.setattr(module, "BLOCK_BYTES", block)
        done = Ingested(write_raw(tmp_path / "raw.json", lines), tmp_path / str(block))
        assert done.catalogue["reason"].to_pylist() == [None, "line_too_long"] * 2
        assert [entry["beginning"] for entry in done.quarantine] == ["x" * 160, "y" * 160]


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize(("spare", "reason"), [(0, None), (1, None), (-1, "line_too_long")])
def test_a_line_of_exactly_the_largest_length_is_read(tmp_path, monkeypatch, end, spare, reason):
    raw = tmp_path / "raw.json"
    raw.write_bytes(record(1) + end)
    monkeypatch.setattr(module, "MAX_LINE_BYTES", len(record(1)) + spare)
    done = Ingested(raw, tmp_path / "products")
    assert done.catalogue["reason"].to_pylist() == [reason]


def many_lines(kind):
    """Return many lines of a kind that include two records."""
    return [record(1), *[kind] * 50, record(2, "Q", physical_values(2)), *[kind] * 50]


@pytest.mark.parametrize(
    ("kind", "status", "first", "later"),
    [
        (b"", "blank", None, None),
        (b"x", "rejected", "invalid_json", "line_too_short"),
        (b"{}" + b" " * 12_000, "rejected", "not_one_record", "not_one_record"),
    ],
)
def test_only_a_few_of_many_lines_without_records_get_their_own_rows(
    tmp_path, monkeypatch, kind, status, first, later
):
    monkeypatch.setattr(module, "MOST_LISTED", 10)
    lines = many_lines(kind)
    done = Ingested(write_raw(tmp_path / "raw.json", lines), tmp_path)
    rows = done.catalogue.to_pylist()
    others = [row for row in rows if row["status"] == status]
    assert [row["reason"] for row in others] == [first] * 10 + [later]
    assert [row["lines"] for row in others] == [1] * 10 + [90]
    assert [row["line"] for row in others] == list(range(2, 13))
    assert [row["line"] for row in rows if row["status"] == "valid"] == [1, 52]
    assert sum(row["lines"] for row in rows) == done.counts["lines"] == len(lines)
    assert (done.counts["valid"], done.counts[status]) == (2, 100)
    assert sum(done.counts["rejected_by_reason"].values()) == done.counts["rejected"]
    assert sum(entry["lines"] for entry in done.quarantine) == done.counts["rejected"]
    if status == "rejected":
        assert "the first of 90 such" in done.quarantine[-1]["detail"]


def test_rows_that_count_several_lines_are_per_block(tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr(module, "MOST_LISTED", 3)
    lines = [line for number in range(20) for line in (record(number), b"", b"y" * 20_000)]
    done = Ingested(write_raw(tmp_path / "raw.json", lines), tmp_path)
    counts = done.counts
    assert (counts["valid"], counts["rejected"], counts["blank"]) == (20, 20, 20)
    valid = [row["line"] for row in done.catalogue.to_pylist() if row["status"] == "valid"]
    assert valid == list(range(1, 60, 3))


def test_memory_grows_with_bytes_and_not_with_lines(tmp_path):
    raw = tmp_path / "raw.json"
    raw.write_bytes(record(1) + b"\n" * 200_000)
    tracemalloc.start()
    done = Ingested(raw, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (done.counts["valid"], done.counts["blank"]) == (1, 200_000 - 1)
    assert done.catalogue.num_rows == 1 + module.MOST_LISTED + 1
    assert peak < 40e6  # the values of a block take 22 MB of it; listed lines would take 80 MB


def test_a_gzipped_file_that_would_fill_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gzipped, "MOST_RATIO_FROM", 10**5)
    raw = tmp_path / "raw.json"
    raw.write_bytes(gzip.compress(b"\n" * 10**6, mtime=0))
    with pytest.raises(SkymillError, match="more than 100 times its size"):
        Ingested(raw, tmp_path / "products")


def test_an_earlier_ingest_is_replaced_completely(tmp_path, small_blocks):
    raw = write_raw(tmp_path / "raw.json", mixed_lines())
    Ingested(raw, tmp_path / "products")
    write_raw(raw, [record(1)])
    done = Ingested(raw, tmp_path / "products")
    names = [path.name for path in done.values_directory.iterdir()]
    assert names == [entry["name"] for entry in done.content["files"]] == ["part-00000.parquet"]


LINE_PIECES = st.one_of(
    st.just(b"\n"),
    st.just(b"\r\n"),
    st.binary(max_size=5),
    st.builds(
        lambda byte, length: byte * length, st.sampled_from([b"a", b"b"]), st.integers(0, 40)
    ),
)


@settings(max_examples=300)
@given(
    st.lists(LINE_PIECES, max_size=25).map(b"".join),
    st.integers(1, 50),
    st.integers(1, 50),
)
@example(b"", 1, 1)
@example(b"\n", 1, 1)
@example(b"a", 1, 1)
@example(b"a\n\nb", 2, 1)
@example(b"abc\n" * 4, 4, 3)
@example(b"abcd\n" * 4, 5, 3)
def test_the_lines_of_all_blocks_are_the_lines_of_the_file(tmp_path_factory, content, block, most):
    path = tmp_path_factory.getbasetemp() / "lines"
    path.write_bytes(content)
    *ended, last = content.split(b"\n")
    expected = [line + b"\n" for line in ended] + [last] * bool(last)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_BYTES", block)
        patch.setattr(module, "MAX_LINE_BYTES", most)
        blocks = range(-(-len(content) // block))
        found = [line for number in blocks for line in read_lines(path, number)]
    assert len(found) == len(expected)
    for line, whole in zip(found, expected, strict=True):
        if len(whole.removesuffix(b"\n")) <= most:
            assert line == whole
        else:
            assert whole.startswith(line)
            assert len(line) == most + 1  # a huge line is never completely in memory
