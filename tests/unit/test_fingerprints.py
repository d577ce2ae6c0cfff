"""Equal values have equal fingerprints; one different bit changes the fingerprint."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import physical_values

from skymill.magnetic.fingerprints import (
    TRIVIAL,
    fingerprint,
)
from skymill.magnetic.schema import INDEX, MAGNETIC_PARAMETERS, PARAMETERS, STEPS


def of_one(values):
    """Return (steps, content) of one record."""
    steps, contents = fingerprint(values[None])
    return steps[0], contents[0]


def test_shapes_and_types():
    steps, contents = fingerprint(np.stack([physical_values(0), physical_values(1)]))
    assert steps.dtype == np.uint64
    assert steps.shape == (2, STEPS)
    assert [len(content) for content in contents] == [16, 16]


def test_no_records_have_no_fingerprints():
    steps, contents = fingerprint(np.empty((0, len(PARAMETERS), STEPS)))
    assert steps.shape == (0, STEPS)
    assert contents == []


def test_the_input_is_unchanged():
    values = physical_values(0)[None]
    values[0, 3, 4] = -0.0
    before = values.copy()
    fingerprint(values)
    assert np.array_equal(values.view(np.uint64), before.view(np.uint64))


def test_different_steps_have_different_fingerprints():
    steps, contents = fingerprint(np.stack([physical_values(seed) for seed in range(20)]))
    assert len(np.unique(steps)) == 20 * STEPS
    assert len(set(contents)) == 20


@given(st.lists(st.integers(0, 29), min_size=1, max_size=STEPS), st.integers(0, 3))
def test_equal_steps_have_equal_fingerprints_in_any_record_and_place(places, seed):
    source, other = physical_values(seed, 30), physical_values(seed + 100)
    other[:, : len(places)] = source[:, places]
    known = of_one(np.concatenate([source, source], axis=1))[0]
    assert np.array_equal(known[:30], known[30:])
    assert np.array_equal(of_one(other)[0][: len(places)], known[places])


def test_fingerprints_do_not_depend_on_the_other_records_of_a_block():
    block = np.stack([physical_values(seed) for seed in range(5)])
    steps, contents = fingerprint(block)
    for number, values in enumerate(block):
        alone_steps, alone_content = of_one(values)
        assert np.array_equal(steps[number], alone_steps)
        assert contents[number] == alone_content


@pytest.mark.parametrize("name", PARAMETERS)
def test_nan_equals_nan_and_minus_zero_equals_zero(name):
    values = physical_values(0)
    values[INDEX[name], 3], values[INDEX[name], 4] = np.nan, 0.0
    other = values.copy()
    other[INDEX[name], 3] = np.array(0xFFF8000000000123, np.uint64).view(np.float64)
    other[INDEX[name], 4] = -0.0
    (steps, content), (other_steps, other_content) = of_one(values), of_one(other)
    assert np.array_equal(steps, other_steps)
    assert content == other_content


@pytest.mark.parametrize("name", MAGNETIC_PARAMETERS)
@pytest.mark.parametrize("bit", [0, 31, 52, 63])
def test_one_bit_of_a_magnetic_parameter_changes_its_step_and_the_content(name, bit):
    values = physical_values(0)
    values[INDEX[name], 7] = 1.25
    changed = values.copy()
    changed.view(np.uint64)[INDEX[name], 7] ^= np.uint64(1) << np.uint64(bit)
    (steps, content), (other_steps, other_content) = of_one(values), of_one(changed)
    assert np.flatnonzero(steps != other_steps).tolist() == [7]
    assert content != other_content


def test_nan_is_not_zero():
    values = physical_values(0)
    values[5, 3] = np.nan
    changed = values.copy()
    changed[5, 3] = 0.0
    assert of_one(values)[0][3] != of_one(changed)[0][3]


@pytest.mark.parametrize("value", [1e-6, -99999.0, np.nan, 0.0])
def test_xr_max_changes_the_content_but_no_step(value):
    values = physical_values(0)
    changed = values.copy()
    changed[INDEX["XR_MAX"], 11] = value
    (steps, content), (other_steps, other_content) = of_one(values), of_one(changed)
    assert np.array_equal(steps, other_steps)
    assert content != other_content


def test_values_swapped_between_two_parameters_change_the_step():
    values = physical_values(0)
    swapped = values.copy()
    swapped[[INDEX["MEANSHR"], INDEX["SHRGT45"]]] = values[[INDEX["SHRGT45"], INDEX["MEANSHR"]]]
    assert (of_one(values)[0] != of_one(swapped)[0]).all()


def test_the_order_of_steps_changes_the_content():
    values = physical_values(0)
    assert of_one(values)[1] != of_one(values[:, ::-1].copy())[1]


@given(
    st.integers(0, 32),
    st.sampled_from([0.0, -0.0, np.nan, np.inf]),
    st.randoms(use_true_random=False),
)
def test_a_step_is_trivial_below_eight_finite_non_zero_magnetic_values(count, filler, random):
    names = random.sample(MAGNETIC_PARAMETERS, count)
    values = np.full((len(PARAMETERS), STEPS), filler)
    values[INDEX["XR_MAX"]] = 1e-6  # does not count
    values[[INDEX[name] for name in names]] = 2.5
    assert (of_one(values)[0] == TRIVIAL).all() == (count < 8)


def test_seven_values_are_trivial_and_eight_are_not():
    values = np.zeros((len(PARAMETERS), STEPS))
    values[: STEPS // 8] = 0.0
    values[:7, :] = 1.0
    values[7, 30:] = 1.0
    steps, _ = of_one(values)
    assert (steps[:30] == TRIVIAL).all()
    assert (steps[30:] != TRIVIAL).all()


def test_trivial_steps_still_count_for_the_content():
    values = np.zeros((len(PARAMETERS), STEPS))
    changed = values.copy()
    changed[4, 4] = 1.0
    assert of_one(values)[1] != of_one(changed)[1]
