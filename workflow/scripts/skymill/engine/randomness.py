"""Randomness as a function of the seed and a purpose, never of the order.

Choices use keyed hashes, so the choice for one record does not depend on the other records. Curves
and factors come from a counter-based generator with a key per use.
"""

import hashlib

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def key(seed: int, *purpose: object) -> int:
    """Return the 64-bit key of one purpose, such as `("split", "dev")`."""
    text = "\0".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def keyed_hash(identifiers: np.ndarray, key: int) -> np.ndarray:
    """Return a uniform uint64 for each int64 identifier, shape (n,).

    The function applies the finaliser of SplitMix64 (Steele, Lea and Flood 2014) before and after
    it mixes in the key. This is a bijection for each key, so different identifiers never tie.
    """
    state = _finalise(identifiers.astype(np.int64).view(np.uint64) * _GOLDEN)
    return _finalise(state ^ np.uint64(key))


def _finalise(state: np.ndarray) -> np.ndarray:
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))


def smallest(identifiers: np.ndarray, count: int, key: int) -> np.ndarray:
    """Return the `count` identifiers with the smallest keyed hashes, ascending by identifier.

    The result does not depend on the order of the identifiers.
    """
    order = np.argsort(keyed_hash(identifiers, key), kind="stable")
    return np.sort(identifiers[order[:count]])


def generator(key: int, identifier: int) -> np.random.Generator:
    """Return the random generator of one identifier with one key (Philox, counter-based)."""
    return np.random.Generator(np.random.Philox(key=np.array([key, identifier], dtype=np.uint64)))
