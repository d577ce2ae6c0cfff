"""Label lists: layouts, repeated objects, unknown classes, and a count of every row."""

import contextlib
import csv
import gzip
import io
import json
import random
import tarfile
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skymill.engine import gzipped
from skymill.engine.errors import SkymillError
from skymill.simulate.ztf_labels import label_rows, write_labels
from skymill.ztf import label_lists
from skymill.ztf.classes import CLASSES, MEMBERS, PUBLISHED_COUNTS, KnownClasses
from skymill.ztf.labels import MOST_CLASSES, PARTS, SCHEMA, Rules, read_labels

HEADER = ("oid", "predicted_class", "predicted_class_proba")


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
        counts = content["counts"]
        assert counts["rows"] == counts["accepted"] + counts["rejected"]
        assert counts["accepted"] == sum(counts[part] for part in PARTS)
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


def test_the_map_and_the_default_class_can_be_set(read):
    rows = [("a", "QSO", 1), ("b", "AGN", 1), ("c", "E", 1)]
    _, labels, _ = read(rows, labels={"QSO": "active", "AGN": "active"}, other="rest")
    assert [row["label"] for row in labels.values()] == ["active", "active", "rest"]


@pytest.mark.parametrize(
    "header",
    [
        ("oid", "predicted_class", "predicted_class_proba"),
        ("objectId", "classALeRCE", "probability"),
        ("object_id", "class", "probability"),
        ("oid", "class_name", "probability"),
        ("i:objectId", "d:cdsxmatch", "probability"),
        ("ZTFID", "type", "Probability"),
        ("OID", "Class", "PROBABILITY"),
        ("\ufeffoid", " classALeRCE ", "probability"),
        ("\n\n  \noid", "class", "probability"),
    ],
)
def test_common_names_of_columns_are_recognised(read, header):
    _, labels, _ = read([("a", "E", 0.5)], header)
    assert labels["a"]["alerce_class"] == "E"
    assert labels["a"]["probability"] == 0.5


@pytest.mark.parametrize("name", ["index", "", "Unnamed: 0"])
def test_an_index_only_counts_as_the_object_if_it_has_names_of_a_survey(read, name):
    rows = [("ZTF18abcdefg", "QSO"), ("ztf18abcdefh", "QSO"), ("x", "QSO")]
    _, labels, _ = read(rows, (name, "predicted_class"))
    assert len(labels) == 3
    with pytest.raises(SkymillError, match="no column of the object"):
        read([(0, "QSO"), (1, "QSO"), ("ZTF18abcdefg", "QSO")], (name, "predicted_class"))


def test_other_columns_are_ignored_even_without_a_name_or_with_the_same_one(read):
    header = ("", "index", "x", "predicted_class", "x", "oid")
    _, labels, _ = read([("ZTF18abcdefg", "ZTF18abcdefg", 1, "CEP", 2, "a")], header)
    assert labels["a"]["alerce_class"] == "CEP"
    assert labels["a"]["probability"] is None


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (("oid", "period"), "no column of the class"),
        (("name", "class"), "no column of the object"),
        (("oid", "class", "oid"), "more than one column oid"),
        (("OID", "class", "Oid"), "more than one column OID or Oid"),
        (("<html>",), "an HTML or XML page"),
        (('{"oid": 1}',), "a JSON document"),
        (("oid;class",), "no column of the object"),
        (("oid", "clas"), "Is clas meant"),
        (("ZTF18abcdefg", "QSO"), "Its first line is a row"),
    ],
)
def test_other_layouts_fail_with_the_columns_found_and_expected(read, header, what):
    with pytest.raises(SkymillError) as caught:
        read([("a",) * len(header)], header)
    message = str(caught.value)
    assert what in message
    assert header[0] in message
    assert "column" not in what or "classALeRCE" in message or "more than one" in what


def test_columns_can_be_named(read):
    header = ("id", "oid", "kind", "class", "score")
    columns = {"object": "id", "class": "kind", "probability": "score"}
    rows = [("a", "x", "QSO", "E", 0.25)]
    content, labels, _ = read(rows, header, columns=columns)
    assert labels["a"]["alerce_class"] == "QSO"
    assert labels["a"]["probability"] == 0.25
    assert content["columns"] == columns
    with pytest.raises(SkymillError, match=r"no column scores, .*probability.* Is score meant\?"):
        read(rows, header, columns={**columns, "probability": "scores"})


def test_a_column_cannot_have_two_roles(read):
    with pytest.raises(SkymillError, match="object: class, class: class"):
        read([("a", "QSO", 1)], columns={"object": "class"}, header=("oid", "class", "x"))


def test_a_misspelt_optional_column_is_reported_by_name(read, caplog):
    header = ("oid", "predicted_class", "predicted_class_probability", "rankng")
    _, labels, _ = read([("a", "QSO", 0.9, 1)], header)
    assert labels["a"]["probability"] is None
    assert "predicted_class_probability is not read" in caplog.text
    assert "rankng is not read" in caplog.text
    with pytest.raises(SkymillError, match="Is predicted_class_probability meant"):
        read([("a", "QSO", 0.9, 1)], header, min_probability=0.5)


def test_an_empty_file_fails(read, tmp_path):
    raw = tmp_path / "empty.csv"
    raw.write_bytes(b"")
    with pytest.raises(SkymillError, match="empty"):
        read([], raw=raw)


def test_a_list_with_only_names_fails(read):
    with pytest.raises(SkymillError, match="no label is left of the 0 rows"):
        read([])


@pytest.mark.parametrize("name", ["periodic_other", "Periodic-Other", "PERIODIC OTHER"])
def test_different_spellings_of_a_class_are_one_class(name):
    assert KnownClasses().find(name) == "Periodic-Other"
    assert KnownClasses(["Periodic-other"]).find(name) == "Periodic-Other"


def test_classes_of_the_user_are_known_and_distinct_even_if_only_signs_differ():
    known = KnownClasses(["dwarf nova", "A+", "A-", "?", "-"])
    assert [known.find(name) for name in ("Dwarf-Nova", "A+", "A-", "?", "-")] == [
        *("dwarf nova", "A+", "A-", "?", "-"),
    ]
    assert [known.find(name) for name in ("A", "a+", "*", "", "SLSN-X")] == [None] * 5


@pytest.mark.parametrize(
    ("unknown", "labels", "count"),
    [("drop", {"a": "QSO"}, 3), ("other", {"a": "QSO", **dict.fromkeys("bcd", "Otro")}, 0)],
)
def test_unknown_classes_are_skipped_or_become_other_if_configured(
    read, caplog, unknown, labels, count
):
    rows = [("a", "QSO", 1), ("b", "Quasar", 1), ("c", "Quasar", 1), ("d", "SLSN-X", 1)]
    content, found, told = read(rows, unknown=unknown)
    assert {name: row["label"] for name, row in found.items()} == labels
    assert content["counts"]["unknown_class"] == count
    assert (
        told
        == [
            {"reason": "unknown_class", "detail": "Quasar", "rows": 2},
            {"reason": "unknown_class", "detail": "SLSN-X", "rows": 1},
        ][: count and 2]
    )
    assert "Quasar (2), SLSN-X (1)" in caplog.text
    if unknown == "other":
        assert content["classes"]["Quasar"] == {"objects": 2, "published": None}


def test_unknown_classes_fail_with_names_and_numbers(read):
    rows = [("a", "QSO", 1), ("b", "Quasar", 1), ("c", "Quasar", 1), ("d", "SLSN-X", 1)]
    with pytest.raises(SkymillError, match=r"3 rows .* Quasar \(2\), SLSN-X \(1\)\. .*labels\.map"):
        read(rows)
    _, labels, _ = read(rows, labels={"QUASAR": "QSO", "SLSN-X": "SN"})
    assert [row["label"] for row in labels.values()] == ["Otro", "QSO", "QSO", "SN"]
    assert [row["alerce_class"] for row in labels.values()] == ["QSO", "QUASAR", "QUASAR", "SLSN-X"]


def test_a_column_of_other_content_is_not_accepted_as_classes(read):
    rows = [(f"a{n}", f"c{n}") for n in range(MOST_CLASSES + 1)]
    assert len(read(rows[1:], HEADER[:2], unknown="other")[1]) == MOST_CLASSES
    with pytest.raises(SkymillError, match=r"Name the column of classes in labels\.columns\.class"):
        read(rows, HEADER[:2], unknown="other")


def test_identical_rows_merge_and_keep_the_highest_probability(read):
    content, labels, told = read([("a", "E", 0.5), ("a", "E", ""), ("a", "E", 0.75)])
    assert labels["a"]["probability"] == 0.75
    assert content["counts"]["merged"] == 2
    assert told == []


def test_objects_with_conflicting_classes_are_dropped(read):
    rows = [("a", "E", 0.5), ("a", "RRL", 0.75), ("a", "E", 0.25), ("b", "QSO", 1)]
    content, labels, told = read(rows)
    assert list(labels) == ["b"]
    assert content["counts"]["conflicts"] == 3
    assert content["counts"]["conflicting_objects"] == 1
    assert content["counts"]["undecided_objects"] == 1
    assert told == [
        {"reason": "conflict", "detail": "a", "classes": {"E": 0.5, "RRL": 0.75}, "kept": None}
    ]


def test_the_most_probable_class_wins_a_conflict(read):
    rows = [("a", "E", 0.5), ("a", "RRL", 0.75), ("a", "RRL", 0.25), ("a", "CEP", "")]
    content, labels, told = read(rows, on_conflict="most_probable")
    assert labels["a"]["alerce_class"] == "RRL"
    assert (content["counts"]["conflicts"], content["counts"]["merged"]) == (2, 1)
    assert (content["counts"]["conflicting_objects"], content["counts"]["undecided_objects"]) == (
        1,
        0,
    )
    assert told[0]["kept"] == "RRL"


def test_equal_probabilities_do_not_resolve_a_conflict(read):
    rows = [("a", "E", 0.5), ("a", "RRL", 0.5), ("b", "E", ""), ("b", "RRL", ""), ("c", "E", 1)]
    _, labels, told = read(rows, on_conflict="most_probable")
    assert list(labels) == ["c"]
    assert [entry["kept"] for entry in told] == [None, None]


def test_conflicts_can_fail(read):
    rows = [(name, label, 0.5) for name in "abcdefg" for label in ("E", "RRL")]
    with pytest.raises(SkymillError, match=r"7 objects of list\.csv") as caught:
        read(rows, on_conflict="fail")
    assert str(caught.value).count("RRL") == 5


def test_improbable_rows_are_ignored(read):
    rows = [("a", "E", 0.4), ("a", "RRL", 0.6), ("b", "E", ""), ("c", "E", 0.3)]
    content, labels, told = read(rows, min_probability=0.5)
    assert labels["a"]["alerce_class"] == "RRL"
    assert list(labels) == ["a"]
    assert content["counts"]["low_probability"] == 3
    assert told == []


@pytest.mark.parametrize(
    ("rows", "header", "rules", "what"),
    [
        ([("a", "E")], HEADER[:2], {"min_probability": 0.9}, "no column of probabilities"),
        ([("a", "E", 0.95), ("b", "E", 95)], HEADER, {"min_probability": 0.9}, "line 3: .* 95 "),
        ([("a", "E", 1)], HEADER, {"classifier": "lc"}, "no column of classifiers"),
        (
            [("a", "E"), ("a", "RRL")],
            HEADER[:2],
            {"on_conflict": "most_probable"},
            "most_probable cannot be applied",
        ),
        (
            [("a", "E", "lc"), ("b", "E", "stamp")],
            ("oid", "class", "classifier_name"),
            {"classifier": "lx"},
            r"no row of the classifier lx.* lc \(1\), stamp \(1\)",
        ),
    ],
)
def test_a_filter_that_cannot_be_applied_is_an_error(read, rows, header, rules, what):
    with pytest.raises(SkymillError, match=what):
        read(rows, header, **rules)


PER_CLASS = ("oid", "classifier_name", "class_name", "probability", "ranking")


def test_in_a_list_with_a_row_for_each_class_the_most_probable_one_counts(read):
    rows = [
        ("a", "lc", "QSO", 0.3, 2),
        ("a", "lc", "AGN", 0.6, 1),
        ("a", "lc", "Unheard of", 0.1, 3),
        ("b", "lc", "RRL", 0.5, 2),
        ("b", "lc", "CEP", 0.5, 1),
        ("c", "lc", "QSO", 0.5, 1),
        ("c", "lc", "AGN", 0.5, 1),
    ]
    content, labels, told = read(rows, PER_CLASS)
    assert {name: row["alerce_class"] for name, row in labels.items()} == {"a": "AGN", "b": "CEP"}
    assert content["row_per_class"]
    assert content["counts"]["less_probable"] == 3
    assert content["counts"]["conflicting_objects"] == 1
    assert [entry["detail"] for entry in told] == ["c"]


def test_the_most_probable_class_is_not_replaced_if_it_is_unknown(read):
    rows = [("a", "lc", "bogus", 0.9, 1), ("a", "lc", "QSO", 0.1, 2), ("b", "lc", "QSO", 1, 1)]
    content, labels, _ = read(rows, PER_CLASS, unknown="drop")
    assert list(labels) == ["b"]
    assert content["counts"]["unknown_class"] == 1


@pytest.mark.parametrize("left_out", ["classifier_name", "probability", "ranking"])
def test_a_list_with_a_row_per_class_is_recognised_by_columns_or_sums(read, left_out):
    rows = [
        {"oid": name, "classifier_name": "lc", "class_name": label, "probability": p, "ranking": r}
        for name in "abc"
        for label, p, r in (("QSO", 0.25, 2), ("AGN", 0.65, 1), ("Blazar", 0.1, 3))
    ]
    header = [name for name in PER_CLASS if name != left_out]
    content, labels, told = read([[row[name] for name in header] for row in rows], header)
    assert {row["alerce_class"] for row in labels.values()} == {"AGN"}
    assert content["counts"]["less_probable"] == 6
    assert told == []


def test_a_list_with_a_row_per_class_is_recognised_by_sums_of_one(read):
    header = ("oid", "class", "probability")
    rows = [(name, label, p) for name in "abc" for label, p in (("QSO", 0.666), ("AGN", 0.333))]
    assert read(rows, header)[0]["counts"]["less_probable"] == 3
    # The sums are not 1 if each row is a separate opinion.
    content, _, _ = read([*rows, ("d", "QSO", 0.9), ("d", "AGN", 0.8), ("e", "E", 1)], header)
    assert content["counts"]["conflicting_objects"] == 4


def test_one_classifier_is_selected_or_all_of_them_count_with_a_warning(read, caplog):
    rows = [("a", "lc", "QSO", 0.6, 1), ("a", "stamp", "AGN", 0.9, 1), ("b", "lc", "E", 1, 1)]
    content, labels, _ = read(rows, PER_CLASS, classifier="lc")
    assert labels["a"]["alerce_class"] == "QSO"
    assert content["counts"]["other_classifier"] == 1
    assert "several classifiers" not in caplog.text
    _, labels, _ = read(rows, PER_CLASS)
    assert labels["a"]["alerce_class"] == "AGN"
    assert "several classifiers" in caplog.text
    assert "lc (2), stamp (1)" in caplog.text


BAD_LINES = [
    (b",E,0.5", "no_object"),
    (b"  ,E,0.5", "no_object"),
    (b"b,,0.5", "no_class"),
    (b"b,E,high", "bad_probability"),
    (b"b,E,1.5", "probability_outside"),
    (b"b,E,-0.1", "probability_outside"),
    (b"b,E,1e999", "probability_outside"),
    (b"b,E,inf", "bad_probability"),
    (b"b,E,0_1", "bad_probability"),
    (b"b,E", "wrong_fields"),
    (b"b,E,0.5,7", "wrong_fields"),
    (b"garbage", "wrong_fields"),
    (b"b\xff,E,0.5", "not_text"),
    (b"b,\xff,0.5", "not_text"),
    (b'"b,E,0.5', "stray_quote"),
    (b'b,"E,0.5', "stray_quote"),
    (b'"b"b,E,0.5', "stray_quote"),
    (b'b"b,E,0.5', "bad_object"),
    (b"b,E\r,0.5", "stray_quote"),
    (b"b\0b,E,0.5", "bad_object"),
    (b"=cmd|' /C calc'!A0,E,0.5", "bad_object"),
    (b"b b,E,0.5", "bad_object"),
    (b"-b,E,0.5", "bad_object"),
    (b"b" * 65 + b",E,0.5", "bad_object"),
    (b"b,=1+2,0.5", "bad_class"),
    (b"b,-1+2,0.5", "bad_class"),
    (b"b,@E,0.5", "bad_class"),
    (b"b,E\x07,0.5", "bad_class"),
    (b"b" * (2**20 + 1) + b",E,0.5", "too_long"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_bad_row_only_loses_itself(read, tmp_path, line, reason, end):
    raw = tmp_path / "list.csv"
    lines = [b"oid,class,probability", b"a,QSO,0.5", line, b"c,AGN,nan", b"", b" ", b"d,YSO,+0.5"]
    raw.write_bytes(end.join(lines) + end)
    content, labels, told = read([], raw=raw)
    assert {name: row["probability"] for name, row in labels.items()} == {
        "a": 0.5,
        "c": None,
        "d": 0.5,
    }
    assert content["counts"]["rejected_by_reason"] == {reason: 1}
    assert content["counts"]["rows"] == 4
    assert content["counts"]["blank"] == 2
    assert [(entry["reason"], entry["line"]) for entry in told] == [(reason, 3)]


def test_sums_of_floats_are_probabilities(read):
    rows = [("a", "E", 1.0000000000000002), ("b", "E", -1e-17), ("c", "E", "")]
    _, labels, _ = read(rows, on_conflict="most_probable")
    assert [row["probability"] for row in labels.values()] == [1, 0, None]


def test_a_misspelt_name_is_shown_in_the_spelling_of_ztf(read):
    _, _, told = read([("ZTF 18ABCDEFG", "E", 1), ("b", "E", 1)])
    assert "ZTF writes ZTF18abcdefg" in told[0]["detail"]


def test_lines_of_old_macs_are_lines(read, tmp_path):
    raw = tmp_path / "list.csv"
    raw.write_bytes(b"oid,class\ra,QSO\rb,AGN")
    content, labels, _ = read([], raw=raw)
    assert list(labels) == ["a", "b"]
    assert content["counts"]["rows"] == 2


@given(
    st.lists(st.sampled_from([line for line, _ in BAD_LINES[:-1] if b"\r" not in line]), max_size=8)
)
def test_accepted_and_rejected_rows_add_up_to_the_lines(read, tmp_path, lines):
    raw = tmp_path / "list.csv"
    raw.write_bytes(b"\n".join([b"oid,class,probability", b"a,QSO,0.5", *lines, b'"z","E","1"']))
    content, labels, _ = read([], raw=raw)
    assert list(labels) == ["a", "z"]
    assert content["counts"]["rows"] == len(lines) + 2
    assert content["counts"]["rejected"] == len(lines)


def test_a_list_without_a_valid_row_fails_with_the_reasons(read):
    with pytest.raises(SkymillError, match="no label is left of the 2 rows") as caught:
        read([("a", "Quasar", 1), ("", "E", 1)], unknown="drop")
    assert "rejected 1, unknown_class 1" in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ({"labels": {"QSO": "QSO", "qso": "quasar"}}, "QSO and qso, which are one class"),
        ({"unknown": "guess"}, "labels.unknown is 'guess'"),
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


def test_published_counts_are_shown_for_the_published_list(read, tmp_path):
    raw = tarball(tmp_path / "lists.tar.gz", {MEMBERS["predictions"]: b"oid,class\na,E\n"})
    content, _, _ = read([], raw=raw)
    assert content["classes"]["E"] == {"objects": 1, "published": 198_122}
    assert set(content["classes"]) == set(PUBLISHED_COUNTS)


def test_a_tarball_without_the_list_is_refused_with_its_members(read, tmp_path):
    raw = tarball(tmp_path / "other.tar.gz", {"a.csv": b"x", "b.csv": b"y"})
    with pytest.raises(SkymillError, match=r"It contains a\.csv, b\.csv"):
        read([], raw=raw)


def test_a_tarball_that_has_the_list_twice_is_refused(read, tmp_path):
    member = MEMBERS["predictions"]
    lists = {f"{folder}/{member}": b"oid,class\na,E\n" for folder in ("old", "new")}
    raw = tarball(tmp_path / "lists.tar.gz", lists)
    with pytest.raises(SkymillError, match=f"more than once: old/{member}, new/{member}"):
        read([], raw=raw)


def test_a_gzipped_list_is_read_under_any_name(read, tmp_path):
    for name in ("list.csv.gz", "list.csv", "lists.tar.gz"):
        raw = tmp_path / name
        raw.write_bytes(gzip.compress(b"oid,class\na,E\n"))
        assert list(read([], raw=raw)[1]) == ["a"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04", "a zip archive"),
        (bytes(range(256)) + bytes(600), "binary data"),
        ("oid,class\na,E\n".encode("utf-16"), "binary data"),
        (gzip.compress(b"<html>", mtime=0), "an HTML or XML page"),
        (gzip.compress(gzip.compress(b"a", mtime=0), mtime=0), "a gzip file"),
        (gzip.compress(b"", mtime=0), "empty"),
        (b"PAR1 and nothing else", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_is_no_list_is_named(read, tmp_path, content, what):
    raw = tmp_path / "list.csv"
    raw.write_bytes(content)
    with pytest.raises(SkymillError, match=what):
        read([], raw=raw)


@pytest.mark.parametrize(
    "table",
    [
        {"oid": ["a", "b"], "class": ["QSO", "E"], "probability": [0.5, None]},
        {
            "oid": pa.array(["a", "b"]).dictionary_encode(),
            "class": pa.array(["QSO", "E"], pa.large_string()),
            "probability": pa.array([0.5, None], pa.float32()),
        },
        {"other": [[1], []], "class": ["QSO", "E"], "oid": ["a", "b"], "prob.": ["0.5", ""]},
    ],
)
def test_parquet_is_read(read, tmp_path, table):
    raw = tmp_path / "list"
    pq.write_table(pa.table(table), raw)
    columns = {"probability": "prob."} if "prob." in table else {}
    content, labels, _ = read([], raw=raw, columns=columns)
    assert {name: row["probability"] for name, row in labels.items()} == {"a": 0.5, "b": None}
    assert content["counts"]["rows"] == 2


def test_rows_of_parquet_are_rejected_like_lines(read, tmp_path):
    raw = tmp_path / "list.parquet"
    names = ["ZTF18abcdefg", None, "=1", "ZTF18abcdefh", "ZTF18abcdefi"]
    table = {"index": names, "class": [1, 1, 1, None, 2], "probability": [1, 1, 1, 1, 7]}
    pq.write_table(pa.table(table), raw)
    content, labels, told = read([], raw=raw, labels={"1": "one"})
    assert [row["label"] for row in labels.values()] == ["one"]
    assert content["counts"]["rows"] == 5
    assert sorted((entry["line"], entry["reason"]) for entry in told) == [
        (2, "no_object"),
        (3, "bad_object"),
        (4, "no_class"),
        (5, "probability_outside"),
    ]


def test_a_damaged_parquet_file_is_labels_or_an_error_for_the_user(read, tmp_path):
    raw = tmp_path / "list.parquet"
    table = pa.table({"oid": [f"ZTF18{n:07d}" for n in range(200)], "class": ["E"] * 200})
    pq.write_table(table, raw, write_page_checksum=True)
    content = raw.read_bytes()
    expected = read([], raw=raw)[1]
    draw = random.Random(7)
    for _ in range(200):
        place = draw.randrange(8 * len(content))
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        raw.write_bytes(damaged[: draw.choice([None, place // 8 + 1])])
        with contextlib.suppress(SkymillError):
            assert read([], raw=raw)[1] == expected


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


def small_tarball(path):
    """Write a tarball of a list with another member before and after the list."""
    lines = "".join(f"ZTF18{number * 7919 % 99991:07d},E,0.{number}\n" for number in range(30))
    members = {
        "notes.txt": b"notes",
        MEMBERS["predictions"]: f"oid,class,probability\n{lines}".encode(),
        MEMBERS["catalogue"]: b"oid,class\nZTF18abcdefg,E\n",
    }
    return tarball(path, members)


def test_a_flipped_bit_anywhere_in_a_tarball_changes_no_label(read, tmp_path):
    raw = small_tarball(tmp_path / "lists.tar.gz")
    content = raw.read_bytes()
    expected = read([], raw=raw)[1]
    draw = random.Random(4279623)
    refused = 0
    # No checksum covers the gzip header: 10 bytes and the name of the file.
    bits = [*range(80), *draw.sample(range(80, 8 * len(content)), 400)]
    for bit in bits:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        raw.write_bytes(damaged)
        try:
            assert read([], raw=raw)[1] == expected
        except SkymillError:
            refused += 1
    assert refused > 0.8 * len(bits)


@pytest.mark.parametrize("cut", [700, 1024, 3000, -512, -1024])
def test_a_tar_that_was_cut_before_it_was_compressed_fails(read, tmp_path, cut):
    tar = gzip.decompress(small_tarball(tmp_path / "lists.tar.gz").read_bytes())
    tar = tar.rstrip(b"\0")
    tar += bytes(-len(tar) % 512 + 1024)
    raw = tmp_path / "cut.tar.gz"
    raw.write_bytes(gzip.compress(tar))
    read([], raw=raw)
    raw.write_bytes(gzip.compress(tar[:cut]))
    if cut == -512:  # one of the two blocks of zeros at the end is sufficient
        read([], raw=raw)
        return
    with pytest.raises(SkymillError, match="cannot be read to its end"):
        read([], raw=raw)


def test_a_flipped_bit_of_a_tar_header_is_found_by_its_checksum(read, tmp_path):
    tar = gzip.decompress(small_tarball(tmp_path / "lists.tar.gz").read_bytes())
    expected = read([], raw=tmp_path / "lists.tar.gz")[1]
    headers = [place for place in range(0, len(tar), 512) if tar[place + 257 :][:5] == b"ustar"]
    assert len(headers) == 3
    raw = tmp_path / "damaged.tar.gz"
    draw = random.Random(1)
    for place in headers:
        for bit in draw.sample(range(8 * place, 8 * (place + 512)), 40):
            damaged = bytearray(tar)
            damaged[bit // 8] ^= 1 << bit % 8
            raw.write_bytes(gzip.compress(damaged, 1))
            try:
                assert read([], raw=raw)[1] == expected
            except SkymillError:
                continue


def test_bytes_after_the_end_are_damage(read, tmp_path):
    raw = small_tarball(tmp_path / "lists.tar.gz")
    tar = gzip.decompress(raw.read_bytes())
    raw.write_bytes(gzip.compress(tar + b"x"))
    with pytest.raises(SkymillError, match="bytes after the end"):
        read([], raw=raw)


def test_an_error_in_a_damaged_file_is_reported_as_damage(read, tmp_path):
    content = bytearray(gzip.compress(b"no,columns\n" + bytes(range(1, 256)) * 100))
    content[-6] ^= 1
    raw = tmp_path / "list.csv.gz"
    raw.write_bytes(content)
    with pytest.raises(SkymillError, match="cut off or damaged"):
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
    """Return {object: (class, probability)}, computed by simple code."""
    listed = defaultdict(lambda: defaultdict(list))
    for name, label, text in rows:
        if not name or not label or text in ("x", "2"):
            continue
        known = KnownClasses().find(label) or label
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
        if label in CLASSES:
            labels[name] = (label, None if best[label] < 0 else best[label])
    return labels


def has_a_row_per_class(rows):
    """Return whether the probabilities of each object may add up to 1."""
    sums = defaultdict(float)
    for name, label, text in rows:
        if name and label and text not in ("x", "2", "", "nan"):
            sums[name] += float(text)
    return any(total >= 1 for total in sums.values())


@given(rows, st.sampled_from(["drop", "most_probable"]), st.sampled_from([0, 0.5]), st.randoms())
@settings(max_examples=150)
def test_labels_follow_the_rules_in_any_order_of_rows(read, rows, on_conflict, minimum, random):
    assume(not has_a_row_per_class(rows) and not (minimum and any(row[2] == "2" for row in rows)))
    expected = expected_labels(rows, on_conflict, minimum)
    rules = {"on_conflict": on_conflict, "min_probability": minimum, "unknown": "drop"}
    shuffled = random.sample(rows, len(rows))
    if not expected:
        with pytest.raises(SkymillError, match="no label is left"):
            read(rows, **rules)
        return
    content, labels, told = read(rows, **rules)
    found = {name: (row["alerce_class"], row["probability"]) for name, row in labels.items()}
    assert found == expected
    assert list(labels) == sorted(labels)
    again, same, told_again = read(shuffled, **rules)
    assert (again, same) == (content, labels)
    assert without_lines(told_again) == without_lines(told)
    bad = sum(not name or not label or text in ("x", "2") for name, label, text in rows)
    assert content["counts"]["rejected"] == bad
    reasons = Counter(entry["reason"] for entry in told)
    assert reasons["conflict"] == content["counts"]["conflicting_objects"]


def without_lines(told):
    """Return the problems without the line numbers of rows."""
    return sorted(str({**entry, "line": None}) for entry in told)


@given(rows)
def test_the_size_of_blocks_does_not_matter(read, rows):
    rows = [("z", "E", "1"), *rows]
    whole = read(rows, unknown="drop")
    size = label_lists.BLOCK_BYTES
    label_lists.BLOCK_BYTES = 64
    try:
        assert read(rows, unknown="drop") == whole
    finally:
        label_lists.BLOCK_BYTES = size


@given(st.binary(max_size=200))
def test_any_bytes_are_labels_or_an_error_for_the_user(read, tmp_path, content):
    raw = tmp_path / "any.csv"
    raw.write_bytes(b"oid,class\nz,E\n" + content)
    with contextlib.suppress(SkymillError):
        read([], raw=raw)


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,8}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.sampled_from(CLASSES)), min_size=1, max_size=5))
def test_quoted_names_are_read_as_in_csv(read, tmp_path, rows):
    rows = [*dict(rows).items()]
    raw = tmp_path / "quoted.csv"
    with open(raw, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
        writer.writerows([("oid", "a, b", "class"), *((name, 'x, "', c) for name, c in rows)])
    _, labels, _ = read([], raw=raw)
    assert {name: row["alerce_class"] for name, row in labels.items()} == dict(rows)


def test_a_parquet_value_repeated_without_bytes_is_refused(read, tmp_path):
    raw = tmp_path / "list.parquet"
    rows = 100_000
    repeated = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), ["Q" * 10_000])
    table = {"oid": [f"ZTF18a{n:06d}" for n in range(rows)], "class": repeated}
    # Without its Arrow schema the file does not say that its writer had a dictionary.
    pq.write_table(pa.table(table), raw, store_schema=False)
    with pytest.raises(SkymillError, match="a value has 10,000 bytes"):
        read(None, raw=raw)


def test_a_packed_list_of_too_many_rows_is_refused(read, tmp_path, monkeypatch):
    monkeypatch.setattr(gzipped, "MOST_RATIO_FROM", 10_000)
    raw = tmp_path / "list.csv.gz"
    raw.write_bytes(gzip.compress(b"oid,class\n" + b"ZTF18a,Q\n" * 2 * 10**6, 9))
    with pytest.raises(SkymillError, match="more than 100 times its size"):
        read(None, raw=raw)


def test_a_list_of_too_many_columns_is_refused(read, tmp_path):
    raw = tmp_path / "list.csv"
    raw.write_bytes(b"oid,class" + b",x" * 5000 + b"\n")
    with pytest.raises(SkymillError, match="5,002 columns"):
        read(None, raw=raw)
