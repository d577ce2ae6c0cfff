"""Random draws depend on the seed and the purpose, never on the order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.engine.randomness import generator, key, keyed_hash, smallest

IDS = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=60)


@given(IDS, st.integers(0, 60), st.integers(0, 2**64 - 1), st.randoms(use_true_random=False))
def test_a_choice_does_not_depend_on_order(identifiers, count, secret, random):
    chosen = smallest(np.array(identifiers, np.int64), count, secret)
    assert len(chosen) == min(count, len(identifiers))
    assert set(chosen.tolist()) <= set(identifiers)
    assert chosen.tolist() == sorted(chosen.tolist())
    random.shuffle(identifiers)
    assert np.array_equal(smallest(np.array(identifiers, np.int64), count, secret), chosen)


@given(IDS.filter(bool), st.integers(0, 59))
def test_a_larger_choice_contains_the_smaller_one(identifiers, count):
    identifiers = np.array(identifiers, np.int64)
    assert set(smallest(identifiers, count, 5)) <= set(smallest(identifiers, count + 1, 5))


@given(IDS, st.integers(0, 2**64 - 1))
def test_different_identifiers_never_tie(identifiers, secret):
    hashes = keyed_hash(np.array(identifiers, np.int64), secret)
    assert hashes.dtype == np.uint64
    assert len(np.unique(hashes)) == len(identifiers)


def test_hashes_are_uniform_for_consecutive_identifiers():
    share = keyed_hash(np.arange(100_000), key(1, "split")) / 2.0**64
    assert share.mean() == pytest.approx(0.5, abs=0.005)
    assert np.histogram(share, 10, (0, 1))[0] == pytest.approx(10_000, rel=0.05)


def test_choices_for_different_purposes_are_independent():
    one = smallest(np.arange(10_000), 5000, key(1, "undersample", "Q"))
    for other in (key(2, "undersample", "Q"), key(1, "duplicate", "Q"), key(1, "undersample", "C")):
        shared = np.isin(one, smallest(np.arange(10_000), 5000, other)).mean()
        assert shared == pytest.approx(0.5, abs=0.03)


def test_different_parts_give_different_keys():
    keys = [key(1, "a", "b"), key(1, "ab"), key(1, "b", "a"), key(11, "a", "b"), key(1, 1), key(11)]
    assert len(set(keys)) == len(keys)
    assert key(1, "a", "b") == keys[0]
    assert all(0 <= number < 2**64 for number in keys)


def test_generators_depend_only_on_key_and_identifier():
    def draw(secret, identifier):
        return generator(secret, identifier).normal(size=4).tolist()

    assert draw(2**64 - 1, 7) == draw(2**64 - 1, 7)
    assert len({str(draw(*pair)) for pair in [(1, 7), (1, 8), (2, 7), (7, 1)]}) == 4
