"""Records get HARP and time from their values: the right ones or none, despite any damage."""

import json

import numpy as np
import pytest
from aligned_damage import DAMAGES, through_float32
from aligned_tables import BEGIN, CLOCK, Sky, ids_of, record_keys, series
from hypothesis import given, settings
from hypothesis import strategies as st

from skymill.aligned.keys import ROUNDED_PARAMETERS, five_digits, keys
from skymill.aligned.locate import count_votes, locate
from skymill.aligned.nearest import Values
from skymill.magnetic.fingerprints import TRIVIAL
from skymill.swan_sf.places import harp_and_time, place_of
from skymill.swan_sf.schema import PARAMETERS, STEP_SECONDS

LENGTH = 100
HARPS = {7: series(7, LENGTH), 12: series(12, LENGTH), 30: series(30, LENGTH)}


def sky():
    made = Sky()
    for harp, values in HARPS.items():
        made.add(harp, values, noaa=[11000 + harp])
    return made.steps()


STEPS_OF_SKY = sky()


def window(harp, step):
    return HARPS[harp][:, step : step + 60].copy()


def located(records, steps=STEPS_OF_SKY, **more):
    values = np.stack(records, axis=1)
    table, counts = locate(ids_of(len(records)), *record_keys(values), steps, CLOCK, **more)
    return table.to_pylist(), counts


def through_json(values):
    return np.array(json.loads(json.dumps(values.tolist())))


@pytest.mark.parametrize(
    ("change", "tier"),
    [
        (through_json, "exact"),
        (through_float32, "rounded"),
        (lambda values: np.round(values, 10), "rounded"),
    ],
)
def test_a_window_is_located_where_it_was_taken(change, tier):
    (row,), counts = located([change(window(12, 17))])
    assert (row["status"], row["tier"]) == ("located", tier)
    assert row["harp"] == 12
    start = np.datetime64(BEGIN + 17 * STEP_SECONDS, "s")
    assert np.datetime64(row["start_tai"]) == start
    assert np.datetime64(row["end_tai"]) == start + 59 * STEP_SECONDS
    assert np.datetime64(row["start"]) == start - 35
    assert row["noaa"] == [11012]
    assert row["votes"] >= 20
    assert counts["outcomes"][tier] == 1


def test_a_record_that_is_not_in_the_catalogue_is_absent(caplog):
    (row,), counts = located([series(99, 60)])
    assert "None of the 1 magnetic records is in SWAN-SF" in caplog.text
    assert row["status"] == "absent"
    assert row["tier"] is row["harp"] is row["start"] is row["noaa"] is None
    assert counts["by_partition_and_label"]["train_partition1_data Q"]["absent"] == 1


def test_a_series_that_two_harps_have_is_ambiguous():
    made = Sky().add(7, HARPS[7], noaa=[11007]).add(8, HARPS[7], noaa=[11008])
    (row,), _ = located([window(7, 3)], made.steps())
    assert (row["status"], row["votes"], row["runner_up_votes"]) == ("ambiguous", 60, 60)
    assert row["harp"] is None


def test_a_rival_with_more_than_a_tenth_of_the_votes_makes_a_record_ambiguous():
    mixed = window(7, 3)
    for own, rivals, status in ((50, 5, "located"), (50, 6, "ambiguous")):
        mixed = series(99, 60)
        mixed[:, :own] = window(7, 3)[:, :own]
        mixed[:, own : own + rivals] = window(12, 3)[:, own : own + rivals]
        (row,), _ = located([mixed])
        assert row["status"] == status


@pytest.mark.parametrize(("kept", "status"), [(20, "located"), (19, "absent")])
def test_a_location_needs_twenty_votes(kept, status):
    values = window(30, 5)
    values[:, kept:] = np.nan
    (row,), _ = located([values])
    assert (row["status"], row["votes"]) == (status, kept)


def test_a_value_that_many_steps_share_does_not_count():
    constant = np.repeat(series(1, 1), 400, axis=1)
    made = Sky().add(1, constant)
    (row,), _ = located([constant[:, :60]], made.steps())
    assert row["status"] != "located"


def test_empty_tables_locate_nothing():
    (row,), _ = located([window(7, 0)], Sky().add(7, HARPS[7][:, :0]).steps())
    assert row["status"] == "absent"
    votes = count_votes(
        np.zeros((0, 60), np.uint64), STEPS_OF_SKY.exact, STEPS_OF_SKY.harp, STEPS_OF_SKY.time
    )
    assert len(votes.best) == 0


def plain_votes(records, key, harp, time):
    """Count votes one by one. Return the two largest counts, and the best place."""
    found = []
    for record in records:
        votes = {}
        for seq, value in enumerate(record):
            for place in np.flatnonzero(key == value) if value != TRIVIAL else ():
                name = (int(harp[place]), int(time[place]) - seq * STEP_SECONDS)
                votes[name] = votes.get(name, 0) + 1
        ranked = sorted(votes.items(), key=lambda item: (-item[1], item[0]))
        best = ranked[0] if ranked else ((0, 0), 0)
        found.append((*best[0], best[1], ranked[1][1] if len(ranked) > 1 else 0))
    return found


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_votes_equal_those_counted_one_by_one(seed, different):
    rng = np.random.default_rng(seed)
    records = rng.integers(0, different, (5, 60)).astype(np.uint64)
    key = rng.integers(0, different + 2, 30).astype(np.uint64)
    harp = rng.integers(1, 4, 30)
    time = BEGIN + rng.permutation(30) * STEP_SECONDS
    votes = count_votes(records, key, harp, time)
    counted = zip(
        *(part.tolist() for part in (votes.harp, votes.start, votes.best, votes.second)),
        strict=True,
    )
    assert list(counted) == plain_votes(records, key, harp, time)


@st.composite
def damaged(draw):
    """Draw the place of a record, and the record after some damage."""
    harp = draw(st.sampled_from(sorted(HARPS)))
    step = draw(st.integers(0, LENGTH - 60))
    values = window(harp, step)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    other = window(draw(st.sampled_from(sorted(HARPS))), draw(st.integers(0, LENGTH - 60)))
    for damage in draw(st.lists(st.sampled_from(DAMAGES), max_size=3)):
        values = damage(values, rng, other)
    return harp, step, values


@settings(max_examples=60)
@given(st.lists(damaged(), min_size=1, max_size=6))
def test_locations_are_right_after_any_damage(records):
    rows, _ = located([values for _, _, values in records])
    for row, (harp, step, _) in zip(rows, records, strict=True):
        if row["status"] == "located":
            start = np.datetime64(BEGIN + step * STEP_SECONDS, "s")
            assert (row["harp"], np.datetime64(row["start_tai"])) == (harp, start)


def test_every_undamaged_record_is_located():
    records = [window(harp, step) for harp in HARPS for step in range(LENGTH - 59)]
    rows, _ = located(records)
    assert all(row["status"] == "located" for row in rows)


def nearest_values(records):
    chosen = [PARAMETERS.index(name) for name in ROUNDED_PARAMETERS]
    own = np.concatenate([HARPS[harp][chosen] for harp in sorted(HARPS)], axis=1)
    stacked = np.stack(records, axis=1)[chosen]
    return Values(lambda rows: stacked[:, rows], own)


def noisy(noise):
    rng = np.random.default_rng(5)
    return window(12, 9) * (1 + rng.normal(0, noise, (len(PARAMETERS), 60)))


def test_the_nearest_tier_is_off_by_default():
    (row,), _ = located([noisy(0.005)])
    assert row["status"] == "absent"


def test_the_nearest_tier_finds_a_record_with_little_noise():
    records = [noisy(0.005)]
    (row,), _ = located(records, nearest=nearest_values(records))
    assert (row["status"], row["tier"], row["harp"]) == ("located", "nearest", 12)
    assert np.datetime64(row["start_tai"]) == np.datetime64(BEGIN + 9 * STEP_SECONDS, "s")
    assert 0.004 < row["rms"] < 0.006


def test_the_nearest_tier_refuses_more_than_one_percent_of_noise():
    records = [noisy(0.02), noisy(0.05)]
    rows, _ = located(records, nearest=nearest_values(records))
    assert [row["status"] for row in rows] == ["absent"] * 2


def test_the_nearest_tier_skips_a_record_without_values():
    records = [np.full((len(PARAMETERS), 60), np.nan), series(99, 60)]
    rows, _ = located(records, nearest=nearest_values(records))
    assert [row["status"] for row in rows] == ["absent"] * 2


def test_missing_values_and_signs_of_zero_are_equal():
    values = series(1, 2)
    values[:, 1] = values[:, 0]
    values[20] = [0.0, -0.0]
    values[21] = [np.nan, -np.nan]
    exact, _ = keys(values)
    assert exact[0] == exact[1] != TRIVIAL


def test_a_difference_in_one_parameter_changes_the_key():
    values = np.repeat(series(1, 1), 25, axis=1)
    for parameter in range(24):
        values[parameter, parameter] = np.nextafter(values[parameter, parameter], np.inf)
    exact, rounded = keys(values)
    assert len(set(exact.tolist())) == 25
    assert len(set(rounded.tolist())) == 1


def test_a_step_with_few_values_does_not_count():
    values = np.full((24, 2), np.nan)
    values[:7, 0], values[:8, 1] = 5.0, 5.0
    exact, _ = keys(values)
    assert (exact == TRIVIAL).tolist() == [True, False]


@given(
    st.floats(1.0, 9.9999, allow_nan=False),
    st.integers(-200, 200),
)
def test_five_digits_equal_those_of_the_printed_number(mantissa, exponent):
    value = float(f"{mantissa!r}e{exponent}")
    printed = float(f"{value:.4e}")
    near = float(f"{value * (1 + 1e-13):.4e}"), float(f"{value * (1 - 1e-13):.4e}")
    codes, usable = five_digits(np.array([[value, printed]]))
    assert usable.all()
    # A number halfway between two roundings may be rounded either way.
    if near == (printed, printed):
        assert codes[0, 0] == codes[0, 1]


def test_digits_continue_across_powers_of_ten():
    codes, _ = five_digits(np.array([[999.999, 1000.0, 1000.04, 1000.1, 10000.0]]))
    assert codes[0, 0] == codes[0, 1] == codes[0, 2]
    assert len(set(codes[0].tolist())) == 3


def test_zero_missing_and_infinite_have_no_digits():
    values = np.array([[0.0, np.nan, np.inf, 1e-300, 1.0]])
    assert five_digits(values)[1].tolist() == [False] * 4 + [True]


@given(st.integers(0, 2**20), st.integers(0, 2**33))
def test_a_place_converts_back_to_harp_and_time(harp, time):
    assert harp_and_time(int(place_of(np.int64(harp), time))) == (harp, time)
