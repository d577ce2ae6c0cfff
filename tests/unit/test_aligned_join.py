"""Samples get the series of their region up to their end, and no later steps."""

import numpy as np
import pytest
from aligned_tables import BEGIN, Sky, series, windows_of
from hypothesis import given
from hypothesis import strategies as st

from skymill.aligned.join import Windows, find_records, find_series
from skymill.swan_sf.schema import STEP_SECONDS

STEP = STEP_SECONDS


def ends(*seconds):
    """Return ends of samples in TAI, given in seconds after the first step."""
    return (BEGIN + np.array(seconds, dtype=np.int64)).astype("M8[s]").astype("M8[ns]")


def find(region, seconds, sky):
    found = find_series(np.array([region]), ends(seconds), sky.steps())
    return {name: values[0] for name, values in vars(found).items()}


def test_the_series_ends_twelve_minutes_before_the_sample():
    sky = Sky().add(5, series(1, 100), noaa=[11953])
    for seconds, last in ((80 * STEP, 79), (80 * STEP - 1, 78), (80 * STEP + 719, 79)):
        found = find(11953, seconds, sky)
        assert (found["harp"], found["reason"]) == (5, None)
        assert found["end"] == BEGIN + last * STEP
        assert found["start"] == BEGIN + (last - 59) * STEP
        assert (found["present"], found["numbered"]) == (60, 60)


def test_the_series_uses_the_time_grid_of_its_harp():
    sky = Sky().add(5, series(1, 100), noaa=[11953], begin=BEGIN + 100)
    found = find(11953, 80 * STEP, sky)
    assert found["end"] == BEGIN + 100 + 78 * STEP


@pytest.mark.parametrize(
    ("missing", "present", "reason"), [(12, 48, None), (13, 47, "too_little_overlap")]
)
def test_a_series_needs_48_steps(missing, present, reason):
    sky = Sky().add(5, series(1, 100), noaa=[11953], missing=range(30, 30 + missing))
    found = find(11953, 80 * STEP, sky)
    assert (found["present"], found["reason"]) == (present, reason)


def test_missing_last_steps_keep_their_slots():
    sky = Sky().add(5, series(1, 100), noaa=[11953], missing=range(75, 100))
    found = find(11953, 80 * STEP, sky)
    assert found["end"] == BEGIN + 79 * STEP
    assert found["present"] == 55


def test_a_sample_long_after_the_series_gets_no_series():
    sky = Sky().add(5, series(1, 100), noaa=[11953])
    assert find(11953, 300 * STEP, sky)["reason"] == "no_harp"


def test_a_number_without_a_harp_gets_no_series():
    sky = Sky().add(5, series(1, 100), noaa=[11953])
    found = find(11954, 80 * STEP, sky)
    assert (found["harp"], found["reason"], found["present"]) == (-1, "no_harp", 0)


def test_a_number_at_half_of_the_steps_or_fewer_gets_no_series():
    late = [[] for _ in range(50)] + [[11953]] * 50
    sky = Sky().add(5, series(1, 100), noaa=late)
    # The window has steps 20 to 79; 30 of them have the number.
    assert find(11953, 80 * STEP, sky)["reason"] == "no_harp"
    found = find(11953, 81 * STEP, sky)
    assert (found["reason"], found["numbered"], found["present"]) == (None, 31, 60)


def test_the_harp_with_the_number_at_most_steps_is_selected():
    sky = Sky().add(5, series(1, 100), noaa=[11953], missing=[40, 41])
    sky.add(6, series(2, 100), noaa=[11953])
    assert find(11953, 80 * STEP, sky)["harp"] == 6


def test_harps_with_the_number_at_equally_many_steps_give_no_series():
    sky = Sky().add(5, series(1, 100), noaa=[11953]).add(6, series(2, 100), noaa=[11953])
    assert find(11953, 80 * STEP, sky)["reason"] == "several_harps"


def plain_series(region, end, sky):
    """Return HARP, last slot, steps present and steps with the number: the slow, plain way."""
    table = sky.table().to_pylist()
    latest = int(end.astype("M8[s]").astype(np.int64)) - 720
    best = []
    for harp in {row["harp"] for row in table}:
        own = {
            int(np.datetime64(row["time_tai"], "s").astype(int)): row["noaa"]
            for row in table
            if row["harp"] == harp
        }
        grid = next(iter(own)) % STEP
        last = next(t for t in range(latest, latest - STEP, -1) if t % STEP == grid)
        slots = [last - number * STEP for number in range(60)]
        there = [slot for slot in slots if slot in own]
        numbered = [slot for slot in there if region in own[slot]]
        if 2 * len(numbered) > len(there):
            best.append((len(numbered), len(there), last, harp))
    return sorted(best, reverse=True)


@given(st.data())
def test_series_equal_those_of_a_search_through_every_step(data):
    sky = Sky()
    for harp in range(1, 1 + data.draw(st.integers(1, 3))):
        seed = data.draw(st.integers(0, 2**32 - 1))
        rng = np.random.default_rng(seed)
        number = [[[1], [2], [1, 2], []][rng.integers(4)] for _ in range(4)]
        noaa = [number[step // 20] for step in range(80)]
        begin = BEGIN + int(rng.integers(0, 3)) * 240
        missing = np.flatnonzero(rng.random(80) < 0.3)
        sky.add(harp, np.ones((24, 80)), noaa=noaa, begin=begin, missing=missing.tolist())
    region = data.draw(st.sampled_from([1, 2]))
    end = ends(data.draw(st.integers(0, 100 * STEP)))
    found = find_series(np.array([region]), end, sky.steps())
    expected = plain_series(region, end[0], sky)
    if not expected:
        assert found.reason[0] == "no_harp"
        return
    got = (found.numbered[0], found.present[0], found.end[0], found.harp[0])
    assert tuple(int(part) for part in got) == expected[0]
    tie = len(expected) > 1 and expected[1][0] == expected[0][0]
    few = expected[0][1] < 48
    reason = "several_harps" if tie else "too_little_overlap" if few else None
    assert found.reason[0] == reason


def record_of(seconds, *record_ends, harp=5):
    harps = np.full(len(record_ends), harp)
    row, offset = find_records(
        np.array([5]), ends(seconds), harps, BEGIN + np.array(record_ends, dtype=np.int64)
    )
    return int(row[0]), float(offset[0])


def test_the_latest_record_that_ends_no_later_than_the_sample_is_selected():
    assert record_of(10_000, 7000, 9000, 8000, 10_001) == (1, 1000)


def test_a_record_may_end_with_the_sample_or_an_hour_before():
    assert record_of(10_000, 10_000) == (0, 0)
    assert record_of(10_000, 6400) == (0, 3600)
    assert record_of(10_000, 6399)[0] == -1


def test_the_first_of_equal_records_is_selected():
    assert record_of(10_000, 9000, 9000)[0] == 0


def test_a_record_of_another_harp_is_never_selected():
    assert record_of(10_000, 9000, harp=4)[0] == -1
    assert record_of(10_000, 9000, harp=6)[0] == -1


def test_without_records_no_sample_has_a_record():
    assert record_of(10_000)[0] == -1


WINDOWS = Windows(
    windows_of([(5, BEGIN, "Q", None), (5, BEGIN + 3600, "M", "M1.0"), (6, BEGIN, "B", "B2.0")])
)


def window_at(harp, seconds, within=7200):
    (found,) = WINDOWS.nearest(np.array([harp]), np.array([BEGIN + seconds]), within)
    return None if found < 0 else (WINDOWS.label[found], WINDOWS.goes[found])


def test_the_nearest_window_of_the_harp_is_selected():
    assert window_at(5, 1700) == ("Q", None)
    assert window_at(5, 1900) == ("M", "M1.0")
    assert window_at(6, 3600) == ("B", "B2.0")


def test_the_earlier_of_two_equally_near_windows_is_selected():
    assert window_at(5, 1800) == ("Q", None)


def test_a_window_too_far_away_is_not_selected():
    assert window_at(5, 3600 + 7200) == ("M", "M1.0")
    assert window_at(5, 3600 + 7201) is None
    assert window_at(7, 0) is None


def test_without_windows_no_sample_has_a_window():
    none = Windows(windows_of([]))
    assert none.nearest(np.array([5]), np.array([BEGIN]), 10).tolist() == [-1]
