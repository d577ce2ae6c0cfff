"""The catalogue of SWAN-SF has windows and their distinct steps; a bad window only loses itself."""

import gzip
import json
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from swan_files import (
    COLUMNS,
    ORDER,
    Catalogued,
    catalogued,
    name,
    rows,
    step_values,
    tarball,
    text,
    time_of,
    window,
)

from skymill.engine import gzipped
from skymill.engine.errors import SkymillError
from skymill.raw.files import HashedRaw, verify_raw
from skymill.swan_sf import catalogue as catalogue_module
from skymill.swan_sf import members, parse, steps
from skymill.swan_sf.check import exceeded, require_accepted
from skymill.swan_sf.names import parse_name
from skymill.swan_sf.noaa import BadNumbersError, parse_numbers
from skymill.swan_sf.schema import PARAMETERS, STEPS
from skymill.swan_sf.tables import STEPS_SCHEMA, WINDOWS_SCHEMA

LIMITS = {"max_rejected_windows_fraction": 0.02, "max_differing_steps_fraction": 0.01}


def losses(found):
    """Return (member, reason) of each line of the quarantine."""
    lines = found.quarantine.read_text().splitlines()
    return [(entry["member"], entry["reason"]) for entry in map(json.loads, lines)]


# --- Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "label", "goes", "flare", "event", "role"),
    [
        ("partition1/FL/M1.0@1235:Primary_ar384_{new}", "M", "M1.0", 1235, "Primary", "FL"),
        ("partition2/FL/X10.2@7:Secondary_ar384_{new}", "X", "X10.2", 7, "Secondary", "FL"),
        ("partition1/NF/B8@1235_ar384_{new}", "B", "B8", 1235, None, "NF"),
        ("partition1/NF/A9.9@12:Primary_ar384_{new}", "Q", "A9.9", 12, "Primary", "NF"),
        ("partition1/NF/FQ_ar384_{new}", "Q", None, None, None, "NF"),
        ("elsewhere/FQ_ar384_{new}", "Q", None, None, None, None),
        ("FL/lab[C]1.0@7433_id[384]_{old}", "C", "C1.0", 7433, None, "FL"),
        ("lab[NF]_id[384]_{old}", "Q", None, None, None, None),
        ("lab[FQ]_id[384]_{old}", "Q", None, None, None, None),
    ],
)
def test_the_name_of_a_window_says_class_flare_harp_and_times(
    member, label, goes, flare, event, role
):
    new = "s2011-02-16T23:00:00_e2011-02-17T10:48:00.csv"
    old = "st[2011-02-16T23:00:00]_et[2011-02-17T10:48:00].csv"
    found = parse_name(member.format(new=new, old=old))
    assert (found.label, found.goes, found.flare_id) == (label, goes, flare)
    assert (found.event, found.role, found.harp) == (event, role, 384)
    assert np.datetime64(found.start, "s") == np.datetime64("2011-02-16T23:00:00")
    assert np.datetime64(found.end, "s") == np.datetime64("2011-02-17T10:48:00")


@pytest.mark.parametrize(
    "member",
    [
        "window_1.csv",
        "FQ_ar384_s2011-02-16T23:00:00.csv",
        "D1.0@1_ar384_s2011-02-16T23:00:00_e2011-02-17T10:48:00.csv",
        "M1.0_ar384_s2011-02-16T23:00:00_e2011-02-17T10:48:00.csv",
        "FQ_ar384_s2011-02-30T23:00:00_e2011-02-17T10:48:00.csv",
        "FQ_ar384_s1911-02-16T23:00:00_e1911-02-17T10:48:00.csv",
        "FQ_ar384_s9999-02-16T23:00:00_e9999-02-17T10:48:00.csv",
        "FQ_ar384_s2011-02-16T23:00:00_e2011-02-17T10:48:00.csv.bak",
    ],
)
def test_other_names_are_refused(member):
    assert parse_name(member) is None


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        (None, ()),
        ("", ()),
        ("0.0", ()),
        ("11953.0", (11953,)),
        ("11953", (11953,)),
        ("11964;11958;11959", (11958, 11959, 11964)),
        ("11958; 11958", (11958,)),
    ],
)
def test_noaa_numbers_are_a_list(written, numbers):
    assert parse_numbers(written) == numbers


@pytest.mark.parametrize("written", ["eleven", "11953.5", "-1", "1e4", "11953,11954"])
def test_an_invalid_list_of_noaa_numbers_is_refused(written):
    with pytest.raises(BadNumbersError):
        parse_numbers(written)


# --- Regular windows -----------------------------------------------------------------------------


def test_each_step_is_kept_once_with_the_number_of_its_windows(tmp_path):
    found = catalogued(tmp_path, [window(first=0), window(first=15), window(harp=7, first=3)])
    assert found.steps.schema.equals(STEPS_SCHEMA)
    assert found.steps["harp"].to_pylist() == [7] * 60 + [3608] * 75
    assert found.steps["windows"].to_pylist() == [1] * 75 + [2] * 45 + [1] * 15
    times = found.steps["time_tai"].to_pylist()
    assert times == [*map(time_of, range(3, 63)), *map(time_of, range(75))]
    expected = [step_values(7, step) for step in range(3, 63)]
    expected += [step_values(3608, step) for step in range(75)]
    np.testing.assert_array_equal(found.values(), expected)
    assert found.counts["steps"] == 135
    assert losses(found) == []


def test_windows_have_the_values_of_their_names_and_the_numbers_of_their_steps(tmp_path):
    table = rows(first=5)
    table[0]["NOAA_AR"], table[9]["NOAA_AR"] = "", "11954;11953"
    late = name(first=5, label="M1.6@12:Primary")
    found = catalogued(tmp_path, [(late, text(table)), window(first=0, NOAA_AR="")])
    assert found.windows.schema.equals(WINDOWS_SCHEMA)
    first, second = found.windows.to_pylist()
    assert first["noaa"] == []
    assert second == {
        "partition": 1,
        "harp": 3608,
        "start_tai": time_of(5),
        "end_tai": time_of(64),
        "label": "M",
        "goes": "M1.6",
        "flare_id": 12,
        "event": "Primary",
        "role": "NF",
        "member": late,
        "noaa": [11953, 11954],
    }
    assert found.counts["valid_by_label"] == {"X": 0, "M": 1, "C": 0, "B": 0, "Q": 1}


@pytest.mark.parametrize(
    "columns",
    [
        ["Timestamp", *PARAMETERS, *COLUMNS[25:]],
        [*COLUMNS[::-1]],
        [*COLUMNS, "NEW", "", "NEW"],
        ["", *COLUMNS],
    ],
)
def test_columns_are_found_by_name_among_any_others(tmp_path, columns):
    other = name(harp=9), text(rows(harp=9), columns)
    found = catalogued(tmp_path, [window(), other])
    assert found.counts["rejected"] == 0
    expected = [step_values(harp, step) for harp in (9, 3608) for step in range(STEPS)]
    np.testing.assert_array_equal(found.values(), expected)


def test_a_file_without_quality_and_flag_has_null_values(tmp_path):
    columns = [c for c in COLUMNS if c not in ("QUALITY", "IS_TMFI")]
    found = catalogued(tmp_path, [(name(), text(rows(), columns))])
    assert found.steps["quality"].null_count == found.steps["is_tmfi"].null_count == STEPS


@pytest.mark.parametrize("missing", ["", "NaN", "nan", "NA", "None"])
def test_missing_values_are_written_in_several_ways(tmp_path, missing):
    gone = dict.fromkeys((*PARAMETERS, "NOAA_AR", "QUALITY", "IS_TMFI"), missing)
    table = rows()
    table[3] |= gone
    found = catalogued(tmp_path, [(name(), text(table)), window(harp=9)])
    assert found.counts["rejected"] == 0
    assert np.isnan(found.values()).all(axis=1).tolist() == [i == 63 for i in range(120)]
    step = found.steps.slice(63, 1).to_pylist()[0]
    assert (step["noaa"], step["quality"], step["is_tmfi"]) == ([], None, None)


def test_quality_is_a_bit_mask_and_infinite_values_are_missing(tmp_path):
    table = rows()
    table[0]["QUALITY"], table[1]["QUALITY"], table[2]["IS_TMFI"] = "66560.0", "1024", "False"
    table[4]["USFLUX"], table[5]["EPSX"] = "inf", "-1e999"
    found = catalogued(tmp_path, [(name(), text(table))])
    assert found.steps["quality"].to_pylist()[:3] == [66560, 1024, 0]
    assert found.steps["is_tmfi"].to_pylist()[:3] == [True, True, False]
    assert found.counts["infinite_values"] == 2
    assert np.argwhere(np.isnan(found.values())).tolist() == [
        [4, PARAMETERS.index("USFLUX")],
        [5, PARAMETERS.index("EPSX")],
    ]


@pytest.mark.parametrize(
    "content",
    [
        text(rows(), end="\r\n"),
        text(rows()).rstrip(b"\n"),
        text(rows()) + b"\n\n",
        b"\xef\xbb\xbf" + text(rows()),
        text(rows()).replace(b"11953.0", b'"11953.0"'),
    ],
    ids=["crlf", "no end", "blank lines", "byte order mark", "quoted"],
)
def test_line_ends_marks_and_quotes_make_no_difference(tmp_path, content):
    found = catalogued(tmp_path, [window(harp=7), (name(), content), window(harp=9999)])
    plain = catalogued(tmp_path, [window(harp=7), window(), window(harp=9999)])
    assert found.counts["rejected"] == 0
    assert found.steps.equals(plain.steps)


# --- Bad windows ---------------------------------------------------------------------------------


def shifted(table, step, time):
    table[step]["Timestamp"] = time
    return text(table)


def swapped(table):
    table[3], table[4] = table[4], table[3]
    return text(table)


BAD_CONTENT = [
    ("rows", b""),
    ("rows", text([])),
    ("rows", text(rows(count=59))),
    ("rows", text(rows(count=61))),
    ("rows", text(rows()) * 2),
    ("columns", text(rows(), [c for c in COLUMNS if c != "EPSZ"])),
    ("columns", text(rows(), [c for c in COLUMNS if c != "Timestamp"])),
    ("columns", text(rows(), [*COLUMNS, "EPSZ"])),
    ("columns", text(rows()).replace(b"\t", b",")),
    ("values", text(rows(TOTPOT="much"))),
    ("values", text(rows(NOAA_AR="?"))),
    ("values", text(rows(IS_TMFI="maybe"))),
    ("values", text(rows()).replace(b"200.5", b"200.5\t1", 1)),
    ("values", text(rows()).replace(b"200.5\t", b"", 1)),
    ("values", text(rows()).replace(b"200.5", b'"200.5', 1)),
    ("values", shifted(rows(), 5, "yesterday")),
    ("times", shifted(rows(), 5, "")),
    ("times", shifted(rows(), 5, "2014-01-15 06:37:00")),
    ("times", swapped(rows())),
    ("times", text(rows(first=1))),
]


@pytest.mark.parametrize(("reason", "content"), BAD_CONTENT)
def test_a_bad_window_only_loses_itself(tmp_path, reason, content):
    good = [window(first=step) for step in (5, 10, 15)]
    found = catalogued(tmp_path, [*good[:2], (name(), content), good[2]])
    assert losses(found) == [(name(), reason)]
    expected = catalogued(tmp_path, good)
    assert found.counts["rejected_by_reason"] == {reason: 1}
    assert found.windows.equals(expected.windows)
    assert found.steps.equals(expected.steps)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("partition1/NF/window_1.csv", "name"),
        (name().replace("_e2014-01-15T17:24", "_e2014-01-15T17:36"), "times"),
    ],
)
def test_a_window_under_a_bad_name_is_rejected(tmp_path, member, reason):
    found = catalogued(tmp_path, [(member, text(rows())), window(harp=9)])
    assert losses(found) == [(member, reason)]
    assert found.counts["valid"] == 1


def test_a_file_too_long_for_a_window_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "MAX_BYTES", 50_000)
    found = catalogued(tmp_path, [(name(), text(rows()) * 9), window(harp=9)])
    assert losses(found) == [(name(), "size")]
    assert found.counts["valid"] == 1


def test_the_first_of_two_windows_with_one_start_counts(tmp_path):
    again = name(label="C1.0@3:Primary")
    found = catalogued(tmp_path, [window(), window(harp=9), (again, text(rows()))])
    assert losses(found) == [(again, "repeated")]
    assert found.windows["member"].to_pylist() == [name(harp=9), name()]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_steps_with_different_values_get_those_of_most_windows(tmp_path, place):
    changed = rows(first=5 * place)
    changed[20 - 5 * place]["TOTPOT"] = "1.5"
    given = [window(first=5 * number) for number in range(3)]
    given[place] = given[place][0], text(changed)
    found = catalogued(tmp_path, given)
    expected = [step_values(3608, step) for step in range(70)]
    np.testing.assert_array_equal(found.values(), expected)
    assert found.counts["differing_steps"] == 1
    assert losses(found) == [(given[place][0], "differing_step")]
    assert found.counts["valid"] == 3
    detail = json.loads(found.quarantine.read_text())["detail"]
    assert str(time_of(20).isoformat()) in detail
    assert "HARP 3608" in detail


def test_the_first_of_two_windows_that_differ_counts(tmp_path):
    changed = rows(first=5)
    changed[10]["NOAA_AR"] = "11999"
    given = [(name(first=5), text(changed)), window()]
    assert catalogued(tmp_path, given).steps["noaa"].to_pylist()[15] == [11999]
    assert catalogued(tmp_path, given[::-1]).steps["noaa"].to_pylist()[15] == [11953]


@pytest.mark.parametrize("same", [("0.0", "-0.0"), ("NaN", "NA"), ("1.5", "1.50")])
def test_two_spellings_of_one_value_are_equal(tmp_path, same):
    one, other = rows(), rows(first=5)
    one[10]["EPSX"], other[5]["EPSX"] = same
    found = catalogued(tmp_path, [(name(), text(one)), (name(first=5), text(other))])
    assert found.counts["differing_steps"] == 0
    assert found.counts["steps"] == 65


def test_files_that_are_no_windows_are_counted_and_named(tmp_path):
    notes = [("partition1/README.txt", b"x"), ("partition1/NF/._FQ.csv", b"x"), ("p/", b"")]
    found = catalogued(tmp_path, [*notes[:2], window()])
    assert found.counts["ignored_members"] == 2
    assert found.content["ignored"] == ["partition1/README.txt", "partition1/NF/._FQ.csv"]
    assert found.counts["windows"] == 1


# --- Damaged tarballs ----------------------------------------------------------------------------


def many(count=30):
    return [window(first=5 * number) for number in range(count)]


def whole(tmp_path):
    return tarball(tmp_path / "whole.tar.gz", many()).read_bytes()


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_the_readable_part_of_a_truncated_tarball_is_kept_and_the_check_refuses_it(tmp_path, kept):
    content = whole(tmp_path)
    raw = tmp_path / "partition1_instances.tar.gz"
    raw.write_bytes(content[: int(kept * len(content))])
    found = Catalogued(raw, tmp_path)
    assert 0 < found.counts["valid"] < 30
    assert refusal(found).startswith("partition1_instances.tar.gz is not whole: ")


@pytest.mark.parametrize("place", [8, 4, 1])
def test_a_wrong_checksum_at_the_end_is_reported(tmp_path, place):
    content = whole(tmp_path)
    raw = tmp_path / "x.tar.gz"
    raw.write_bytes(flipped(content, len(content) - place))
    found = Catalogued(raw, tmp_path)
    assert found.counts["valid"] == 30
    assert "is not whole" in refusal(found)


@pytest.mark.parametrize("at", [0, 100, 124, 148])
def test_a_damaged_header_of_the_tarball_is_reported(tmp_path, at):
    text_of = gzip.decompress(whole(tmp_path))
    place = text_of.index(many()[10][0].encode())
    raw = tmp_path / "x.tar.gz"
    raw.write_bytes(gzip.compress(flipped(text_of, place + at), 1))
    found = Catalogued(raw, tmp_path)
    assert found.counts["valid"] == 10
    assert "is not whole" in refusal(found)


def test_a_tarball_that_ends_between_two_members_is_reported(tmp_path):
    text_of = gzip.decompress(whole(tmp_path))
    place = text_of.index(many()[10][0].encode())
    raw = tmp_path / "x.tar.gz"
    raw.write_bytes(gzip.compress(text_of[:place], 1))
    assert "ends too early" in refusal(Catalogued(raw, tmp_path))


@pytest.mark.parametrize("damaged_byte", [None, 99, -12])
def test_a_tarball_is_hashed_while_it_is_read_also_behind_damage(tmp_path, damaged_byte):
    raw = tarball(tmp_path / "partition1_instances.tar.gz", [window(), window(3609)])
    content = bytearray(raw.read_bytes())
    if damaged_byte:
        content[damaged_byte] ^= 0xFF
    raw.write_bytes(content)
    hashed = HashedRaw(raw, "gzip")
    found = Catalogued(raw, tmp_path, opener=hashed.open)
    assert (found.content["broken_off"] is None) == (damaged_byte is None)
    assert hashed.receipt() == verify_raw(raw, "gzip")
    assert found.content == Catalogued(raw, tmp_path).content


def test_a_tarball_without_windows_is_refused(tmp_path):
    found = catalogued(tmp_path, [("a/README", b"x")])
    assert found.counts["windows"] == found.steps.num_rows == found.windows.num_rows == 0
    assert "contains no valid window" in refusal(found)


def refusal(found, **limits):
    """Return why the check refuses the catalogue."""
    with pytest.raises(SkymillError) as refused:
        require_accepted(
            "partition1",
            found.counts,
            found.content["broken_off"],
            found.quarantine,
            {**LIMITS, **limits},
        )
    return str(refused.value)


# --- The check -----------------------------------------------------------------------------------


def test_a_partition_that_lost_too_many_windows_is_refused_by_name(tmp_path):
    given = [*many(20), (name(harp=9), text(rows(harp=9, count=3)))]
    found = catalogued(tmp_path, given)
    said = refusal(found)
    assert "1 of 21 windows are rejected (4.76%, allowed 2.00%)" in said
    assert "limits.max_rejected_windows_fraction" in said
    assert "has 3 rows instead of 60" in said
    allowed = {**LIMITS, "max_rejected_windows_fraction": 0.05}
    require_accepted("partition1", found.counts, None, found.quarantine, allowed)


def test_a_partition_that_contradicts_itself_is_refused_by_name(tmp_path):
    changed = rows(first=5)
    for row in changed[:2]:
        row["TOTPOT"] = "1.5"
    found = catalogued(tmp_path, [window(), (name(first=5), text(changed))])
    said = refusal(found)
    assert "2 of 65 steps have different values" in said
    assert "limits.max_differing_steps_fraction" in said


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ((100, 2, 1000, 10), []),
        ((100, 3, 1000, 10), ["limits.max_rejected_windows_fraction"]),
        ((100, 2, 1000, 11), ["limits.max_differing_steps_fraction"]),
    ],
)
def test_exactly_the_allowed_share_may_be_lost(counts, named):
    names = ("windows", "rejected", "steps", "differing_steps")
    assert exceeded(dict(zip(names, counts, strict=True)), LIMITS) == named


# --- Many windows --------------------------------------------------------------------------------


def test_the_numbers_of_threads_and_batches_change_no_byte(tmp_path, monkeypatch):
    bad = (name(harp=8), text(rows(harp=8, TOTPOT="?")))
    given = [*many(12), bad, *(window(harp=5, first=number) for number in range(9))]
    plain = catalogued(tmp_path, given)
    before = [path.read_bytes() for path in plain.outputs]
    monkeypatch.setattr(members, "BATCH_BYTES", 60_000)
    monkeypatch.setattr(steps, "MERGED_FROM", 100)
    found = catalogued(tmp_path, given, workers=3)
    assert [path.read_bytes() for path in found.outputs] == before


def test_regular_windows_are_parsed_together(tmp_path, monkeypatch):
    calls = []
    read_csv = parse.pa.csv.read_csv
    monkeypatch.setattr(parse.pa.csv, "read_csv", lambda *a: calls.append(1) or read_csv(*a))
    catalogued(tmp_path, many(30))
    assert len(calls) == 1


def test_one_bad_window_among_many_is_found_in_few_steps(tmp_path, monkeypatch):
    calls = []
    read_csv = parse.pa.csv.read_csv
    monkeypatch.setattr(parse.pa.csv, "read_csv", lambda *a: calls.append(1) or read_csv(*a))
    given = many(64)
    given[40] = given[40][0], given[40][1].replace(b"200.5", b"200.5\tx", 1)
    found = catalogued(tmp_path, given)
    assert losses(found) == [(given[40][0], "values")]
    assert len(calls) == 13


@settings(deadline=None, max_examples=30)
@given(
    places=st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 40)), min_size=1, max_size=12, unique=True
    ),
    gone=st.sets(st.tuples(st.integers(1, 3), st.integers(0, 99)), max_size=8),
    batch=st.integers(1, 300_000),
)
def test_the_steps_agree_with_the_windows(tmp_path_factory, places, gone, batch):
    folder = tmp_path_factory.mktemp("swan")
    given = []
    for harp, first in places:
        table = rows(harp, first)
        for step, row in enumerate(table, start=first):
            if (harp, step) in gone:
                row.update(dict.fromkeys(ORDER, ""))
        given.append((name(harp, first), text(table)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "BATCH_BYTES", batch)
        patch.setattr(steps, "MERGED_FROM", 1)
        found = catalogued(folder, given)
    seen = {(harp, first + step) for harp, first in places for step in range(STEPS)}
    expected = [
        np.full(24, np.nan) if place in gone else step_values(*place) for place in sorted(seen)
    ]
    np.testing.assert_array_equal(found.values(), expected)
    assert list(
        zip(found.windows["harp"].to_pylist(), found.windows["start_tai"].to_pylist(), strict=True)
    ) == [(harp, time_of(first)) for harp, first in sorted(places)]
    assert found.counts["differing_steps"] == 0


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_content_of_one_window_does_not_affect_the_others(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("swan")
    content = bytearray(text(rows(harp=9, first=7)))
    at = st.integers(0, len(content) - 1)
    special = st.sampled_from(b'\t\n\r"\0;\xff\xef\xbb\xbf0NaN')
    for place, byte in data.draw(st.lists(st.tuples(at, special), min_size=1, max_size=4)):
        content[place] = byte
    content = content[: data.draw(st.one_of(st.none(), at))]
    found = catalogued(folder, [window(), (name(harp=9, first=7), bytes(content)), window(first=5)])
    counts = found.counts
    assert counts["windows"] == counts["valid"] + counts["rejected"] == 3
    assert counts["rejected"] == len(losses(found)) <= 1
    harps = found.steps["harp"].to_numpy()
    expected = [step_values(3608, step) for step in range(65)]
    np.testing.assert_array_equal(found.values()[harps == 3608], expected)
    assert (harps == 9).sum() == (0 if counts["rejected"] else 60)


def test_times_have_no_time_zone(tmp_path):
    found = catalogued(tmp_path, [window()])
    assert found.steps["time_tai"][0].as_py() == datetime(2014, 1, 15, 5, 36)


def test_losses_and_doubtful_windows_give_warnings(tmp_path, caplog):
    changed = rows(first=5)
    changed[0]["TOTPOT"] = "1.5"
    changed[1]["USFLUX"] = "inf"
    given = [window(), (name(first=5), text(changed)), (name(harp=9), b"")]
    catalogued(tmp_path, given)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    raw = "partition1_instances.tar.gz"
    assert said == [
        f"{raw}: 1 of 3 windows are rejected (rows 1)",
        f"{raw}: 2 steps have different values in different windows; the most frequent are kept",
        f"{raw}: 1 values are infinite and are read as missing",
    ]
    assert catalogue_module.logger.name in {record.name for record in caplog.records}


def test_a_tarball_that_unpacks_to_too_much_is_not_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(gzipped, "MOST_RATIO_FROM", 10**5)
    found = catalogued(tmp_path, [window(), ("zeros", bytes(2**25)), window(3609)])
    assert "more than 100 times its size" in found.content["broken_off"]
    assert found.counts["valid"] == 1


def test_a_header_of_too_many_columns_is_rejected(tmp_path):
    member, content = window()
    wide = b"\t" * 10_000 + content
    found = catalogued(tmp_path, [(member, wide), window(3609)])
    assert found.counts["rejected_by_reason"] == {"columns": 1}
    assert found.counts["valid"] == 1
