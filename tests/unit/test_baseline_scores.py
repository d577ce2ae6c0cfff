"""Scores: their properties, undefined scores, and the draws of the bootstrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.baseline.scores import (
    DRAWS,
    Score,
    best_threshold,
    confusion,
    count_forecasts,
    draw_groups,
    evaluate,
    heidke_skill,
    macro_f1,
    true_skill,
)

CLASSES = ("X", "M", "Q")
POSITIVE = ("X", "M")
FORECASTS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: len({event for event, _ in pairs}) == 2
)
"""Events and forecasts: at least one record is an event and one is not."""


def split(pairs):
    event, forecast = map(np.array, zip(*pairs, strict=True))
    return event, forecast


@given(FORECASTS)
def test_tss_and_hss_are_between_minus_one_and_one(pairs):
    counts = count_forecasts(*split(pairs))
    assert counts.sum() == len(pairs)
    assert -1 <= true_skill(counts) <= 1
    assert -1 <= heidke_skill(counts) <= 1


@given(FORECASTS)
def test_a_perfect_forecast_scores_one_and_a_wrong_one_minus_one(pairs):
    event, _ = split(pairs)
    assert true_skill(count_forecasts(event, event)) == 1
    assert heidke_skill(count_forecasts(event, event)) == 1
    assert true_skill(count_forecasts(event, ~event)) == -1


@given(FORECASTS, st.booleans())
def test_a_constant_forecast_scores_zero(pairs, said):
    event, _ = split(pairs)
    counts = count_forecasts(event, np.full(len(event), said))
    assert true_skill(counts) == 0
    assert heidke_skill(counts) == 0


@given(FORECASTS, st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_change_a_score(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    assert (count_forecasts(*split(pairs)) == count_forecasts(*split(shuffled))).all()


@given(FORECASTS, st.integers(2, 5))
def test_tss_does_not_depend_on_the_ratio_of_the_classes(pairs, times):
    more = pairs + [pair for pair in pairs if not pair[0]] * (times - 1)
    assert true_skill(count_forecasts(*split(more))) == pytest.approx(
        true_skill(count_forecasts(*split(pairs)))
    )


def test_the_scores_follow_their_definitions():
    # Hits, misses, false alarms, correct rejections.
    counts = np.array([30, 10, 20, 140])
    assert true_skill(counts) == pytest.approx(30 / 40 - 20 / 160)
    expected = 2 * (30 * 140 - 10 * 20) / (40 * (10 + 140) + 160 * (30 + 20))
    assert heidke_skill(counts) == pytest.approx(expected)


@pytest.mark.parametrize("counts", [(0, 0, 3, 4), (3, 4, 0, 0), (0, 0, 0, 0)])
def test_without_events_or_with_events_only_a_score_is_undefined(counts):
    assert np.isnan(true_skill(np.array(counts)))
    assert np.isnan(heidke_skill(np.array(counts)))


def test_macro_f1_gives_each_class_of_the_test_set_the_same_weight():
    truth, forecast = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 2])
    counts = confusion(truth, forecast, 3)
    present = np.array([True, True, False])
    f1 = [2 / (2 + 1), 2 * 2 / (3 + 3)]
    assert macro_f1(counts, present) == pytest.approx(np.mean(f1))


def test_a_class_that_a_draw_lacks_makes_macro_f1_undefined():
    counts = confusion(np.array([0, 0]), np.array([0, 0]), 2)
    assert np.isnan(macro_f1(counts, np.array([True, True])))
    assert np.isnan(macro_f1(counts, np.array([False, False])))


@given(FORECASTS, st.data())
def test_no_other_threshold_has_a_larger_tss(pairs, data):
    event, _ = split(pairs)
    score = np.array(
        data.draw(st.lists(st.sampled_from([0, 0.1, 0.5, 0.7, 1]), min_size=len(event)))
    )[: len(event)]
    chosen = best_threshold(event, score)
    best = true_skill(count_forecasts(event, score >= chosen))
    for other in (-1, *score, 2):
        assert best >= true_skill(count_forecasts(event, score >= other)) - 1e-12


def test_the_threshold_is_halfway_between_two_scores():
    event = np.array([True, True, False, False])
    assert best_threshold(event, np.array([0.9, 0.8, 0.2, 0.1])) == pytest.approx(0.5)


def test_without_a_useful_threshold_no_event_is_forecast():
    event, score = np.array([True, False]), np.array([0.3, 0.3])
    assert not (score >= best_threshold(event, score)).any()


@pytest.mark.parametrize("event", [[True, True], [False, False], []])
def test_without_events_or_with_events_only_there_is_no_threshold(event):
    assert best_threshold(np.array(event, dtype=bool), np.zeros(len(event))) is None


def test_draws_have_the_same_number_of_groups_and_depend_only_on_the_seed():
    drawn = draw_groups(7, 1)
    assert drawn.shape == (DRAWS, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert (drawn == draw_groups(7, 1)).all()
    assert (drawn != draw_groups(7, 2)).any()


def records_in_groups(groups=40, size=25, seed=3):
    """Return truth, groups, and forecasts that are right or wrong for whole groups."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), size)
    truth = np.where(np.arange(groups) % 2, 2, 1)[group]
    right = (random.random(groups) < 0.7)[group]
    return truth, group, np.where(right, truth == 1, truth != 1)


def test_the_interval_by_groups_is_wider_than_by_records_if_groups_matter():
    truth, group, forecast = records_in_groups()
    widths = [
        (score.high - score.low)
        for score in (
            evaluate(truth, one, CLASSES, POSITIVE, is_forecast=forecast).tss
            for one in (group, np.arange(len(truth)))
        )
    ]
    assert widths[0] > 3 * widths[1]


def test_the_order_of_records_does_not_change_an_evaluation():
    truth, group, forecast = records_in_groups()
    order = np.random.default_rng(1).permutation(len(truth))
    found = [
        evaluate(
            truth[rows], group[rows], CLASSES, POSITIVE, is_forecast=forecast[rows]
        ).described()
        for rows in (np.arange(len(truth)), order)
    ]
    assert found[0] == found[1]


def test_an_undefined_score_is_null():
    truth = np.array([2, 2, 2])
    found = evaluate(
        truth,
        np.arange(3),
        CLASSES,
        POSITIVE,
        is_forecast=np.array([True, False, False]),
        forecast_class=truth,
    ).described()
    nothing = {"value": None, "low": None, "high": None, "undefined_draws": DRAWS}
    assert found["tss"] == found["hss"] == nothing
    assert found["macro_f1"]["value"] == 1
    assert found["test"]["absent_classes"] == ["X", "M"]
    assert found["test"]["events"] == found["test"]["groups_with_events"] == 0


def test_draws_without_an_event_are_counted_and_left_out_of_the_interval():
    # One group has all events. About 1/e of the draws do not contain this group.
    truth, group = np.array([0, 2, 2, 2]), np.array([0, 1, 2, 3])
    score = evaluate(truth, group, CLASSES, POSITIVE, is_forecast=truth == 0).tss
    assert 250 < score.undefined_draws < 400
    assert (score.low, score.high) == (1, 1)


def test_a_score_is_shown_with_its_interval():
    assert str(Score(0.5, 0.25, 0.75, 0)) == "0.50 (0.25 to 0.75)"
    assert str(Score(0.5, None, None, DRAWS)) == "0.50"
    assert str(Score(None, None, None, DRAWS)) == "undefined"
