"""`ztf.nights`: valid entries, and the errors for invalid ones with their places."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.engine.errors import SkymillError
from skymill.ztf.nights import days_since_first_public, read_nights, spans


def asked(setting):
    nights = read_nights(setting)
    return nights.named, nights.ranged


@pytest.mark.parametrize(
    ("setting", "named", "ranged"),
    [
        ([20180602, 20180601], ("20180601", "20180602"), ()),
        (["20180603_programid3", 20180603], ("20180603", "20180603_programid3"), ()),
        (20180601, ("20180601",), ()),
        ("20180601", ("20180601",), ()),
        ("20180630..20180702", (), ("20180630", "20180701", "20180702")),
        ("20180601 .. 20180601", (), ("20180601",)),
        (["my_alerts", "Fink-2024", 20180601], ("20180601", "Fink-2024", "my_alerts"), ()),
        ("my_alerts", ("my_alerts",), ()),
        (["20180601_mine", "8a", "_x"], ("20180601_mine", "8a", "_x"), ()),
        (["20200228..20200301", 20180601], ("20180601",), ("20200228", "20200229", "20200301")),
    ],
)
def test_nights_and_ranges_may_be_mixed(setting, named, ranged):
    assert asked(setting) == (named, ranged)


def test_a_file_has_one_night_or_range_per_line(tmp_path):
    path = tmp_path / "nights.txt"
    path.write_text(
        "# good seeing\n\n20180605\n  20180603_programid3   # Caltech's\r\n20180601..20180602\n"
    )
    assert asked(str(path)) == (("20180603_programid3", "20180605"), ("20180601", "20180602"))


def test_a_file_without_a_dot_in_its_name_comes_before_a_night_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert asked("nights") == (("nights",), ())
    (tmp_path / "nights").write_text("20180601\n")
    assert asked("nights") == (("20180601",), ())


def test_a_file_is_searched_in_the_folder_in_which_snakemake_runs(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    (tmp_path / "20180601.txt").write_text("20180601\n")
    assert asked("../20180601.txt") == (("20180601",), ())


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ([20180601, 20180231], ["ztf.nights, entry 2", "20180231", "not a date"]),
        ([20180601, 20180602, 20180601], ["entry 3", "20180601", "entry 1"]),
        ([20180602, "20180601..20180603"], ["entry 2", "20180602", "entry 1"]),
        (["20180601..20180603", "20180603..20180604"], ["entry 2", "20180603", "entry 1"]),
        ("20181231..20180601", ["ends before it begins", "20180601..20181231"]),
        ("20180601..20180631", ["20180631", "not a date"]),
        ("20180601..", ["neither a night nor a range"]),
        ("2018060", ["2018060", "neither a night nor a range"]),
        ("20180601..20180603_programid3", ["one by one"]),
        (["my_alerts..20180603"], ["one by one"]),
        (["-x"], ["entry 1", "-x", "neither a night nor a range"]),
        (["my alerts"], ["my alerts", "neither a night nor a range", "letters, digits"]),
        (["a/b"], ["a/b", "neither a night nor a range"]),
        (["x" * 65], ["neither a night nor a range"]),
        (["labels"], ["labels", "Use another name"]),
        (["ztf_public_20180601"], ["without ztf_public_: 20180601"]),
        (["my_alerts", "my_alerts"], ["entry 2", "my_alerts", "entry 1"]),
        ([10180601], ["10180601", "2017"]),
        (["nights.txt"], ["entry 1", "nights.txt", "neither a night nor a range"]),
        ("config/no-nights.txt", ["config/no-nights.txt", "no file"]),
    ],
)
def test_a_wrong_entry_is_named_with_its_place(setting, words):
    with pytest.raises(SkymillError) as refusal:
        read_nights(setting)
    assert str(refusal.value).startswith("ztf.nights")
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("20180601\n\n20180231\n", ["line 3", "20180231", "not a date"]),
        ("20180601\n20180601\n", ["line 2", "line 1"]),
        ("20180601 20180602\n", ["line 1", "neither a night nor a range"]),
        ("# none\n", ["contains no night"]),
        ("\x00\ufffd", ["line 1", "neither a night nor a range"]),
    ],
)
def test_a_wrong_entry_in_a_file_is_named_with_its_line(tmp_path, content, words):
    path = tmp_path / "nights.txt"
    path.write_text(content)
    with pytest.raises(SkymillError) as refusal:
        read_nights(str(path))
    assert str(refusal.value).startswith(str(path))
    for word in words:
        assert word in str(refusal.value)


DAYS = st.dates(date(2017, 1, 1), date(2099, 12, 31)).map(lambda day: day.strftime("%Y%m%d"))
OTHERS = DAYS.map(lambda day: f"{day}_programid3") | st.sampled_from(["my_alerts", "Fink-2024"])


@given(st.sets(DAYS | OTHERS, min_size=1))
def test_spans_can_be_read_again(nights):
    found = read_nights(spans(nights).split(", "))
    assert {*found.named, *found.ranged} == nights


def test_successive_days_are_shown_as_a_range():
    nights = ["20180601", "20180531", "20180602", "20180604", "20180604_programid3", "20180605"]
    assert spans(nights) == "20180531..20180602, 20180604..20180605, 20180604_programid3"
    assert spans(["x", "20180604", "20180605_x"]) == "20180604, 20180605_x, x"
    assert spans([]) == ""


@given(st.integers(-500, 5000))
def test_nights_are_counted_from_the_first_public_one(days):
    night = (date(2018, 6, 1) + timedelta(days)).strftime("%Y%m%d")
    assert days_since_first_public(night) == days
    assert days_since_first_public(f"{night}_programid3") == days


def test_more_nights_than_a_run_can_plan_are_refused_with_advice():
    with pytest.raises(SkymillError, match=r"7,306 nights, more than 5,000.* run in batches"):
        read_nights("20180601..20380601")
    with pytest.raises(SkymillError, match=r"entry 3: .* run in batches"):
        read_nights(["20180601..20300101", "20300102..20310101", "20310102..20330101"])
    assert len(read_nights("20180601..20310101").ranged) == 4598
