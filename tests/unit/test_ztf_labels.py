"""Reading label lists: layouts, repeated objects, unknown classes, and no row unaccounted for."""

import contextlib
import csv
import gzip
import io
import json
import tarfile
from collections import Counter, defaultdict

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymill.engine.errors import SkymillError
from skymill.simulate.ztf_labels import label_rows, write_labels
from skymill.ztf import label_lists
from skymill.ztf.classes import CLASSES, MEMBERS, PUBLISHED_COUNTS, canonical_class
from skymill.ztf.labels import SCHEMA, Rules, read_labels

HEADER = ("oid", "predicted_class", "predicted_class_proba")
PARTS = ("bad", "unknown_class", "low_probability", "merged", "conflicts", "kept")


@pytest.fixture
def read(tmp_path):
    """Return a function that reads rows as a list: content, {object: row}, problems."""

    def read(rows, header=HEADER, raw=None, **rules):
        if raw is None:
            raw = tmp_path / "list.csv"
            raw.write_text("".join(",".join(map(str, row)) + "\n" for row in [header, *rows]))
        output, problems = tmp_path / "labels.parquet", tmp_path / "problems.jsonl"
        content = read_labels(raw, output, problems, Rules(**rules))
        table = pq.read_table(output)
        assert table.num_rows == content["counts"]["kept"]
        assert sum(content["counts"][part] for part in PARTS) == content["counts"]["rows"]
        told = [json.loads(line) for line in problems.read_text().splitlines()]
        return content, {row["object_id"]: row for row in table.to_pylist()}, told

    return read


def test_published_counts_add_up():
    assert len(CLASSES) == 15
    assert sum(PUBLISHED_COUNTS.values()) == 868_371


def test_classes_are_mapped_and_sorted(read, tmp_path):
    rows = [("ZTF18c", "RRL", 0.5), ("ZTF18a", "QSO", 0.75), ("ZTF18b", "SLSN", 1)]
    content, labels, told = read(rows)
    assert [(row["object_id"], row["label"]) for row in labels.values()] == [
        ("ZTF18a", "QSO"),
        ("ZTF18b", "Otro"),
        ("ZTF18c", "Otro"),
    ]
    assert labels["ZTF18b"]["alerce_class"] == "SLSN"
    assert labels["ZTF18a"]["probability"] == 0.75
    assert told == []
    assert content["labels"] == {"QSO": 1, "Otro": 2}
    assert content["classes"]["QSO"] == {"objects": 1, "published": None}
    schema = pq.read_schema(tmp_path / "labels.parquet")
    assert [(field.name, str(field.type)) for field in schema] == [
        ("object_id", "string"),
        ("alerce_class", "string"),
        ("label", "string"),
        ("probability", "float"),
    ]
    assert schema.names == SCHEMA.names


def test_the_map_and_the_rest_can_be_named_otherwise(read):
    rows = [("a", "QSO", 1), ("b", "AGN", 1), ("c", "E", 1)]
    _, labels, _ = read(rows, labels={"QSO": "active", "AGN": "active"}, other="rest")
    assert [row["label"] for row in labels.values()] == ["active", "active", "rest"]


@pytest.mark.parametrize(
    "header",
    [
        ("oid", "predicted_class", "predicted_class_proba"),
        ("objectId", "classALeRCE", "probability"),
        ("object_id", "class", "probability"),
        ("\ufeffoid", " classALeRCE ", "probability"),
    ],
)
def test_names_of_columns_have_aliases(read, header):
    _, labels, _ = read([("a", "E", 0.5)], header)
    assert labels["a"]["alerce_class"] == "E"
    assert labels["a"]["probability"] == 0.5


def test_other_columns_are_ignored_even_without_a_name_or_with_the_same_one(read):
    header = ("", "index", "x", "predicted_class", "x", "oid")
    _, labels, _ = read([(0, 0, 1, "CEP", 2, "a")], header)
    assert labels["a"]["alerce_class"] == "CEP"
    assert labels["a"]["probability"] is None


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (("oid", "period"), "no alerce_class"),
        (("name", "class"), "no object_id"),
        (("oid", "class", "oid"), "oid more than once"),
        (("<html>",), "no object_id"),
    ],
)
def test_other_layouts_fail_with_the_columns_found_and_expected(read, header, what):
    with pytest.raises(SkymillError) as caught:
        read([("a",) * len(header)], header)
    message = str(caught.value)
    assert what in message
    assert ", ".join(header) in message
    assert "classALeRCE" in message


def test_an_empty_file_fails(read, tmp_path):
    raw = tmp_path / "empty.csv"
    raw.write_bytes(b"")
    with pytest.raises(SkymillError, match="Found columns: nothing"):
        read([], raw=raw)


def test_a_list_of_names_alone_fails(read):
    with pytest.raises(SkymillError, match="no label is left of the 0 rows"):
        read([])


@pytest.mark.parametrize("name", ["periodic_other", "Periodic-Other", "PERIODIC OTHER"])
def test_spellings_of_a_class_are_one(name):
    assert canonical_class(name) == "Periodic-Other"


def test_a_class_that_nobody_has_heard_of_is_reported_and_left_out(read):
    rows = [("a", "QSO", 1), ("b", "Quasar", 1), ("c", "Quasar", 1), ("d", "SLSN-X", 1)]
    content, labels, told = read(rows)
    assert list(labels) == ["a"]
    assert content["counts"]["unknown_class"] == 3
    assert told == [
        {"reason": "unknown_class", "detail": "Quasar", "rows": 2},
        {"reason": "unknown_class", "detail": "SLSN-X", "rows": 1},
    ]
    assert "nobody has heard of" in content["warnings"][0]


def test_identical_rows_merge_and_keep_the_highest_probability(read):
    content, labels, told = read([("a", "E", 0.5), ("a", "E", ""), ("a", "E", 0.75)])
    assert labels["a"]["probability"] == 0.75
    assert content["counts"]["merged"] == 2
    assert told == []


def test_objects_in_conflict_are_dropped(read):
    rows = [("a", "E", 0.5), ("a", "RRL", 0.75), ("a", "E", 0.25), ("b", "QSO", 1)]
    content, labels, told = read(rows)
    assert list(labels) == ["b"]
    assert content["counts"]["conflicts"] == 3
    assert content["counts"]["conflicting_objects"] == 1
    assert told == [
        {"reason": "conflict", "detail": "a", "classes": {"E": 0.5, "RRL": 0.75}, "kept": None}
    ]


def test_the_most_probable_class_wins_a_conflict(read):
    rows = [("a", "E", 0.5), ("a", "RRL", 0.75), ("a", "RRL", 0.25), ("a", "CEP", "")]
    content, labels, told = read(rows, on_conflict="most_probable")
    assert labels["a"]["alerce_class"] == "RRL"
    assert (content["counts"]["conflicts"], content["counts"]["merged"]) == (2, 1)
    assert told[0]["kept"] == "RRL"


def test_equal_probabilities_decide_nothing(read):
    rows = [("a", "E", 0.5), ("a", "RRL", 0.5), ("b", "E", ""), ("b", "RRL", ""), ("c", "E", 1)]
    _, labels, told = read(rows, on_conflict="most_probable")
    assert list(labels) == ["c"]
    assert [entry["kept"] for entry in told] == [None, None]


def test_conflicts_can_fail(read):
    rows = [(name, label, 0.5) for name in "abcdefg" for label in ("E", "RRL")]
    with pytest.raises(SkymillError, match=r"7 objects of list\.csv") as caught:
        read(rows, on_conflict="fail")
    assert str(caught.value).count("RRL") == 5


def test_improbable_rows_say_nothing(read):
    rows = [("a", "E", 0.4), ("a", "RRL", 0.6), ("b", "E", ""), ("c", "E", 0.3)]
    content, labels, told = read(rows, min_probability=0.5)
    assert labels["a"]["alerce_class"] == "RRL"
    assert list(labels) == ["a"]
    assert content["counts"]["low_probability"] == 3
    assert told == []


def test_a_list_without_probabilities_passes_any_minimum_and_says_so(read):
    content, labels, _ = read([("a", "E")], HEADER[:2], min_probability=0.9)
    assert list(labels) == ["a"]
    assert "no effect" in content["warnings"][0]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b",E,0.5", "no_object_id"),
        (b"  ,E,0.5", "no_object_id"),
        (b"b,,0.5", "no_alerce_class"),
        (b"b,E,high", "bad_probability"),
        (b"b,E,1.5", "bad_probability"),
        (b"b,E,inf", "bad_probability"),
        (b"b,E,0_1", "bad_probability"),
        (b"b,E", "wrong_fields"),
        (b"b,E,0.5,7", "wrong_fields"),
        (b"b\xff,E,0.5", "not_text"),
    ],
)
def test_a_bad_row_costs_itself_alone(read, tmp_path, line, reason):
    raw = tmp_path / "list.csv"
    raw.write_bytes(b"oid,class,probability\na,QSO,0.5\n" + line + b"\nc,AGN,nan\nd,YSO,+0.5\n")
    content, labels, told = read([], raw=raw)
    assert {name: row["probability"] for name, row in labels.items()} == {
        "a": 0.5,
        "c": None,
        "d": 0.5,
    }
    assert content["counts"]["bad_by_reason"] == {reason: 1}
    assert [entry["reason"] for entry in told] == [reason]


def test_nothing_left_fails_with_the_reasons(read):
    with pytest.raises(SkymillError, match="no label is left of the 2 rows") as caught:
        read([("a", "Quasar", 1), ("", "E", 1)])
    assert "bad 1, unknown_class 1" in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ({"labels": {"Quasar": "QSO"}}, "labels.map names Quasar"),
        ({"on_conflict": "guess"}, "labels.on_conflict is 'guess'"),
        ({"source": "memory"}, "labels.source is 'memory'"),
    ],
)
def test_impossible_rules_are_refused(rules, what):
    with pytest.raises(SkymillError, match=what):
        Rules(**rules)


def tarball(path, members):
    """Write a tarball of text members."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return path


@pytest.mark.parametrize("source", list(MEMBERS))
def test_the_member_of_the_source_is_read_at_any_depth(read, tmp_path, source):
    members = {
        "folder/notes.txt": b"not a list",
        f"folder/._{MEMBERS[source]}": b"\x00\x05\x16\x07",
    }
    lists = {
        f"folder/{member}": f"oid,class\n{name},E\n".encode() for name, member in MEMBERS.items()
    }
    raw = tarball(tmp_path / "lists.tar.gz", members | lists)
    content, labels, _ = read([], raw=raw, source=source)
    assert list(labels) == [source]
    assert content["list"] == MEMBERS[source]


def test_published_counts_stand_beside_those_of_the_published_list(read, tmp_path):
    raw = tarball(tmp_path / "lists.tar.gz", {MEMBERS["predictions"]: b"oid,class\na,E\n"})
    content, _, _ = read([], raw=raw)
    assert content["classes"]["E"] == {"objects": 1, "published": 198_122}
    assert set(content["classes"]) == set(PUBLISHED_COUNTS)


def test_a_tarball_without_the_list_says_what_it_holds(read, tmp_path):
    raw = tarball(tmp_path / "other.tar.gz", {"a.csv": b"x", "b.csv": b"y"})
    with pytest.raises(SkymillError, match=r"Found in it: a\.csv, b\.csv"):
        read([], raw=raw)


def test_gzip_of_something_else_fails(read, tmp_path):
    raw = tmp_path / "list.csv.gz"
    raw.write_bytes(gzip.compress(b"oid,class\na,E\n" * 1000))
    with pytest.raises(SkymillError, match="cannot be read to its end"):
        read([], raw=raw)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9])
def test_a_truncated_tarball_fails(read, tmp_path, share):
    whole = tmp_path / "whole.tar.gz"
    lines = "".join(f"ZTF18{number * 7919 % 99991:07d},E\n" for number in range(50_000))
    tarball(whole, {MEMBERS["predictions"]: f"oid,class\n{lines}".encode()})
    content = whole.read_bytes()
    raw = tmp_path / "cut.tar.gz"
    raw.write_bytes(content[: 2 + int(share * len(content))])
    with pytest.raises(SkymillError, match="cannot be read to its end"):
        read([], raw=raw)


def test_a_damaged_tarball_fails(read, tmp_path):
    raw = tmp_path / "labels.tar.gz"
    lines = "".join(f"ZTF18{number * 7919 % 99991:07d},E\n" for number in range(50_000))
    tarball(raw, {MEMBERS["predictions"]: f"oid,class\n{lines}".encode()})
    content = bytearray(raw.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    raw.write_bytes(content)
    with pytest.raises(SkymillError, match="cannot be read"):
        read([], raw=raw)


def test_the_simulated_lists_can_be_read(read, tmp_path):
    raw = tmp_path / "simulated.tar.gz"
    write_labels(raw, objects=150, seed=20)
    predictions, _ = label_rows(150, 20)
    content, labels, told = read([], raw=raw)
    assert content["counts"]["rows"] == len(predictions)
    assert content["counts"]["merged"] == 4
    assert [entry["reason"] for entry in told] == ["conflict"] * 3
    assert {row["label"] for row in labels.values()} == {"QSO", "AGN", "YSO", "Otro"}
    catalogue, _, _ = read([], raw=raw, source="catalogue")
    assert catalogue["counts"]["kept"] == catalogue["counts"]["rows"]


names = st.sampled_from(["a", "b", "c", "d", "e", ""])
classes = st.sampled_from(["E", "RRL", "QSO", "qso", "Quasar", "", "CV/Nova"])
probabilities = st.sampled_from(["", "0.25", "0.5", "0.75", "nan", "x", "2"])
rows = st.lists(st.tuples(names, classes, probabilities), min_size=1, max_size=12)


def expected_labels(rows, on_conflict, minimum):
    """Return {object: (class, probability)} by the plainest code that there is."""
    listed = defaultdict(lambda: defaultdict(list))
    for name, label, text in rows:
        known = canonical_class(label) if label else None
        if not name or not known or text in ("x", "2"):
            continue
        sure = None if text in ("", "nan") else float(text)
        if minimum and (sure is None or sure < minimum):
            continue
        listed[name][known].append(-1 if sure is None else sure)
    labels = {}
    for name, options in listed.items():
        best = {label: max(found) for label, found in options.items()}
        ranked = sorted(best.values(), reverse=True)
        if len(best) > 1 and (on_conflict == "drop" or ranked[0] == ranked[1]):
            continue
        label = max(best, key=best.get)
        labels[name] = (label, None if best[label] < 0 else best[label])
    return labels


@given(rows, st.sampled_from(["drop", "most_probable"]), st.sampled_from([0, 0.5]), st.randoms())
@settings(max_examples=150)
def test_labels_follow_the_rules_in_any_order_of_rows(read, rows, on_conflict, minimum, random):
    expected = expected_labels(rows, on_conflict, minimum)
    rules = {"on_conflict": on_conflict, "min_probability": minimum}
    shuffled = random.sample(rows, len(rows))
    if not expected:
        with pytest.raises(SkymillError, match="no label is left"):
            read(rows, **rules)
        return
    content, labels, told = read(rows, **rules)
    found = {name: (row["alerce_class"], row["probability"]) for name, row in labels.items()}
    assert found == expected
    assert list(labels) == sorted(labels)
    assert read(shuffled, **rules) == (content, labels, told)
    bad = sum(not name or not label or text in ("x", "2") for name, label, text in rows)
    assert content["counts"]["bad"] == bad
    reasons = Counter(entry["reason"] for entry in told)
    assert reasons["conflict"] == content["counts"]["conflicting_objects"]


@given(rows)
def test_blocks_do_not_matter(read, rows):
    rows = [("z", "E", "1"), *rows]
    whole = read(rows)
    size = label_lists.BLOCK_BYTES
    label_lists.BLOCK_BYTES = 64
    try:
        assert read(rows) == whole
    finally:
        label_lists.BLOCK_BYTES = size


@given(st.binary(max_size=200))
def test_any_bytes_are_labels_or_an_error_for_the_user(read, tmp_path, content):
    raw = tmp_path / "any.csv"
    raw.write_bytes(b"oid,class\nz,E\n" + content)
    with contextlib.suppress(SkymillError):
        read([], raw=raw)


@given(st.binary(max_size=60), st.integers(1, 20))
def test_what_is_no_text_is_replaced_wherever_blocks_end(content, size):
    stream = label_lists._Text(io.BytesIO(content))
    parts = list(iter(lambda: stream.read(size), b""))
    assert b"".join(parts) == content.decode("utf-8", "replace").encode()
    assert all(len(part) <= size for part in parts)


@given(st.lists(st.tuples(st.text(max_size=8), st.sampled_from(CLASSES)), min_size=1, max_size=5))
def test_quoted_names_read_like_csv(read, tmp_path, rows):
    rows = [(f"Z{name}", label) for name, label in rows if name.isprintable() and name.strip()]
    rows = list({name.strip(): (name, label) for name, label in rows}.values())
    rows = [("ZTF", "E"), *rows]
    raw = tmp_path / "quoted.csv"
    with open(raw, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([("oid", "class"), *rows])
    _, labels, _ = read([], raw=raw)
    assert {name: row["alerce_class"] for name, row in labels.items()} == {
        name.strip(" \t"): label for name, label in rows
    }
