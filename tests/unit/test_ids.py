"""Ids: the first record with an id keeps it, later records get new numbers in file order."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import described

from skymill.engine.tables import write_parquet
from skymill.magnetic.catalogue import CATALOGUE_SCHEMA
from skymill.magnetic.ids import (
    IDS_SCHEMA,
    assign_ids,
    read_ids,
    steps_of_records,
    warn_of_contradictions,
)
from skymill.magnetic.schema import STEPS

NAMES = ("first", "second", "third")


def digest(number):
    return bytes([number]) * 16


def catalogue(name, rows):
    """Return a catalogue from rows (source_id, content number, label), None for a bad line."""
    lines = []
    for line, row in enumerate(rows, start=1):
        if row is None:
            # A rejected line may have an id, but does not use it up.
            lines.append((name, line, 5, "X", "rejected", "no_usflux", None, 1))
        else:
            source_id, content, label = row
            lines.append((name, line, source_id, label, "valid", None, digest(content), 1))
    columns = list(zip(*lines, strict=True)) or [()] * 8
    return pa.Table.from_arrays(
        [
            pa.array(column, type=field.type)
            for column, field in zip(columns, CATALOGUE_SCHEMA, strict=True)
        ],
        schema=CATALOGUE_SCHEMA,
    )


def assign(*files, collisions="renumber"):
    tables = [catalogue(name, rows) for name, rows in zip(NAMES, files, strict=False)]
    return assign_ids(tables, collisions=collisions)


def plain_rule(files, collisions):
    """Return {(file, line): record_id}, computed record by record as specified."""
    valid = [
        (name, line, *row)
        for name, rows in zip(NAMES, files, strict=True)
        for line, row in enumerate(rows, start=1)
        if row is not None
    ]
    new = max(171_038, 1 + max((row[2] for row in valid), default=-1))
    holders, given_ids = {}, {}
    for name, line, source_id, content, _ in valid:
        earlier = holders.setdefault(source_id, [])
        if not earlier:
            given_ids[name, line] = source_id
        elif collisions == "drop_identical" and content in earlier:
            continue
        else:
            given_ids[name, line] = new
            new += 1
        earlier.append(content)
    return given_ids


ROWS = st.lists(
    st.one_of(
        st.none(),
        st.tuples(
            st.one_of(
                st.integers(1, 6), st.sampled_from([171_037, 171_038, 171_039, 250_000, 2**53 + 1])
            ),
            st.integers(0, 2),
            st.sampled_from("XMCBQ"),
        ),
    ),
    max_size=8,
)


@given(st.tuples(ROWS, ROWS, ROWS), st.sampled_from(["renumber", "drop_identical"]))
def test_ids_follow_the_rule_record_by_record(files, collisions):
    ids, counts = assign(*files, collisions=collisions)
    found = {(row["partition"], row["line"]): row["record_id"] for row in ids.to_pylist()}
    assert found == plain_rule(files, collisions)
    assert len(set(found.values())) == len(found)
    assert counts["valid"] == counts["kept"] + counts["dropped_identical"]
    assert counts["valid"] == sum(row is not None for rows in files for row in rows)
    assert counts["kept"] == ids.num_rows == sum(counts["kept_by_label"].values())
    assert counts["renumbered"] == sum(ids["renumbered"].to_pylist())
    assert sum(counts["collisions_by_label"].values()) == counts["collisions"]


@given(st.tuples(ROWS, ROWS, ROWS), st.randoms(use_true_random=False))
def test_the_order_of_catalogue_rows_does_not_matter(files, random):
    tables = [catalogue(name, rows) for name, rows in zip(NAMES, files, strict=True)]
    shuffled = []
    for table in tables:
        order = list(range(table.num_rows))
        random.shuffle(order)
        shuffled.append(table.take(pa.array(order, pa.int64())))
    ids, counts = assign_ids(tables, collisions="renumber")
    again, counts_again = assign_ids(shuffled, collisions="renumber")
    assert ids.equals(again)
    assert counts == counts_again


def test_the_table_is_sorted_by_record_id_and_keeps_source_and_place():
    ids, _ = assign([None, (9, 0, "Q"), None, (3, 1, "M")], [(9, 2, "X")])
    assert ids.schema == IDS_SCHEMA
    rows = [tuple(row.values()) for row in ids.to_pylist()]
    assert rows == [
        (3, 3, "first", 4, 1, "M", digest(1), False, False),
        (9, 9, "first", 2, 0, "Q", digest(0), False, False),
        (171_038, 9, "second", 1, 0, "X", digest(2), True, False),
    ]


def test_new_ids_begin_after_those_of_the_archive():
    ids, counts = assign([(1, 0, "Q"), (1, 1, "Q")])
    assert ids["record_id"].to_pylist() == [1, 171_038]
    assert counts["first_new_id"] == 171_038


def test_new_ids_begin_after_the_largest_valid_id_of_all_files():
    ids, counts = assign([(1, 0, "Q"), (1, 1, "Q"), (1, 2, "Q")], [(400_000, 0, "Q")])
    assert ids["record_id"].to_pylist() == [1, 400_000, 400_001, 400_002]
    assert counts["first_new_id"] == 400_001


def test_a_rejected_line_uses_no_id():
    ids, counts = assign([None], [(5, 0, "Q")])
    assert ids["record_id"].to_pylist() == [5]
    assert counts["collisions"] == 0


def test_identical_records_with_contradictory_labels_are_counted_separately_and_shown():
    first = [(1, 0, "X"), None, (2, 1, "Q"), (3, 7, "C")]
    second = [(1, 0, "Q"), (1, 0, "X"), (5, 1, "Q"), (6, 7, "C")]
    for collisions in ("renumber", "drop_identical"):
        _, counts = assign(first, second, collisions=collisions)
        assert counts["collisions_with_identical_content"] == 2
        assert counts["collisions_with_identical_content_and_other_label"] == 1
        assert counts["contradictory"] == {
            "contents": 1,
            "records": 3,
            "examples": [
                {"partition": name, "line": line, "source_id": 1, "label": label}
                for name, line, label in (("first", 1, "X"), ("second", 1, "Q"), ("second", 2, "X"))
            ],
        }


def test_a_record_without_a_label_contradicts_nothing():
    _, counts = assign([(1, 0, None), (2, 0, "X"), (3, 0, None)])
    assert counts["contradictory"] == {"contents": 0, "records": 0, "examples": []}


def test_contradictory_labels_are_a_warning_that_names_lines(caplog):
    caplog.set_level("WARNING")
    _, counts = assign([(1, 0, "X")], [(7, 0, "Q")])
    warn_of_contradictions("train", counts)
    assert caplog.messages == [
        "2 records of the train files have the same values as another record, but another class: "
        "first.json line 1 (X), second.json line 1 (Q). A model cannot learn both "
        "classes."
    ]
    _, counts = assign([(1, 0, "X")], [(7, 0, "X")])
    warn_of_contradictions("train", counts)
    assert len(caplog.messages) == 1


@given(st.tuples(ROWS, ROWS, ROWS))
def test_contradictions_are_counted_correctly(files):
    _, counts = assign(*files)
    labels = {}
    valid = [row for rows in files for row in rows if row is not None]
    for _, content, label in valid:
        labels.setdefault(content, set()).add(label)
    several = {content for content, known in labels.items() if len(known) > 1}
    assert counts["contradictory"]["contents"] == len(several)
    assert counts["contradictory"]["records"] == sum(row[1] in several for row in valid)


def test_identical_collisions_are_reported_and_renumbered_by_default():
    ids, counts = assign([(1, 0, "Q"), (1, 0, "Q"), (1, 1, "X")])
    assert ids["collides_with_identical"].to_pylist() == [False, True, False]
    assert counts["collisions"] == 2
    assert counts["collisions_with_identical_content"] == 1
    assert counts["collisions_by_label"] == {"Q": 1, "X": 1}
    assert counts["dropped_identical"] == 0


def test_identical_collisions_are_dropped_on_request_and_leave_no_gap():
    ids, counts = assign(
        [(1, 0, "Q"), (1, 0, "Q"), (1, 1, "Q")],
        [(1, 1, "Q"), (1, 2, "Q")],
        collisions="drop_identical",
    )
    assert ids["record_id"].to_pylist() == [1, 171_038, 171_039]
    assert counts["dropped_identical"] == 2


def test_identical_content_under_another_id_is_no_collision():
    ids, counts = assign([(1, 0, "Q"), (2, 0, "Q")], collisions="drop_identical")
    assert ids["record_id"].to_pylist() == [1, 2]
    assert counts["collisions"] == 0


def test_the_unlabelled_test_file_keeps_its_ids_and_repeats_are_renumbered():
    ids, counts = assign([(7, 0, None), (8, 1, None), (7, 2, None)])
    assert ids["record_id"].to_pylist() == [7, 8, 171_038]
    assert ids["label"].to_pylist() == [None] * 3
    assert counts["kept_by_label"] == {"unknown": 3}


def test_no_valid_record_gives_an_empty_table():
    ids, counts = assign([None], [], [None, None])
    assert ids.num_rows == 0
    assert ids.schema == IDS_SCHEMA
    assert counts["kept"] == 0


def test_a_written_table_is_read_back(tmp_path):
    ids, _ = assign([(9, 0, "Q"), (3, 1, None)], [(9, 2, "X")])
    pq.write_table(ids, tmp_path / "ids.parquet")
    frame = read_ids(tmp_path / "ids.parquet")
    assert frame["record_id"].tolist() == [3, 9, 171_038]
    assert frame["label"].isna().tolist() == [True, False, False]
    assert frame["label"].tolist()[1:] == ["Q", "X"]
    assert frame["partition"].tolist() == ["first", "first", "second"]
    assert frame["content"].tolist() == [digest(1), digest(0), digest(2)]


def test_step_fingerprints_follow_records_by_partition_and_position(tmp_path):
    steps = np.arange(5 * STEPS, dtype=np.uint64).reshape(5, STEPS)
    stores = {}
    for name, part in (("first", steps[:3]), ("second", steps[3:])):
        folder = tmp_path / name
        folder.mkdir()
        table = pa.table({"fingerprint": part.reshape(-1)})
        entry = write_parquet(folder / "part.parquet", table, rows_per_group=STEPS)
        stores[name] = described(folder, [entry])
    ids = pd.DataFrame(
        {"partition": ["second", "first", "first", "second"], "position": [1, 2, 0, 0]}
    )
    assert np.array_equal(steps_of_records(ids, stores), steps[[4, 2, 0, 3]])
    del stores["second"]
    with pytest.raises(KeyError, match="second"):
        steps_of_records(ids, stores)


@pytest.mark.parametrize("last", [171_036, 171_037, 171_038])
def test_the_first_new_id_is_never_one_of_the_archives(last):
    _, counts = assign([(last, 0, "Q")])
    assert counts["first_new_id"] == max(171_038, last + 1)
