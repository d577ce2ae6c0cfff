"""Fingerprints of steps and records: equal values have equal fingerprints in all files."""

import hashlib

import numpy as np

from skymill.magnetic.schema import INDEX, MAGNETIC_PARAMETERS, STEPS

TRIVIAL_BELOW = 8
"""A step with fewer finite, non-zero magnetic parameters does not show which region it is from."""

TRIVIAL = np.uint64(0)
"""The fingerprint of every trivial step."""

_BATCH = 64
"""Records per batch: so few that a batch stays in the processor's cache."""

_MAGNETIC = [INDEX[name] for name in MAGNETIC_PARAMETERS]

_START = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)


def fingerprint(values: np.ndarray) -> tuple[np.ndarray, list[bytes]]:
    """Return the fingerprints of the steps, and a digest of each whole record.

    Parameters
    ----------
    values
        float64, shape (records, 33, 60), parameters in file order.

    Returns
    -------
    steps
        uint64, shape (records, 60): a 64-bit hash of the step's 32 magnetic parameters; TRIVIAL
        where fewer than eight parameters are finite and non-zero.
    contents
        A 16-byte digest per record of all 33 parameters.

    Notes
    -----
    NaN equals NaN and -0.0 equals 0.0. Each round is a bijection of the state for a given value,
    and a bijection of the value for a given state. So steps that differ in one parameter never
    collide. Among 13 million different steps, two collide with probability 5e-6.
    """
    steps = np.empty((len(values), STEPS), dtype=np.uint64)
    contents = []
    for start in range(0, len(values), _BATCH):
        batch = slice(start, start + _BATCH)
        contents += _fingerprint_batch(values[batch], steps[batch])
    return steps, contents


def _fingerprint_batch(values: np.ndarray, steps: np.ndarray) -> list[bytes]:
    """Fill `steps` with the records' step fingerprints and return their contents' digests."""
    plain = values + 0.0
    plain[np.isnan(plain)] = np.nan
    bits = plain.view(np.uint64)
    state = np.full(steps.shape, _START)
    spare = np.empty_like(state)
    for parameter in _MAGNETIC:
        absorb(state, bits[:, parameter], spare)
    steps[:] = state
    steps[steps == TRIVIAL] = _START
    absorb(state, bits[:, INDEX["XR_MAX"]], spare)
    magnetic = plain[:, _MAGNETIC]
    meaningful = np.isfinite(magnetic)
    meaningful &= magnetic != 0
    # Summed as bytes: there are fewer than 128 parameters.
    count = np.add.reduce(meaningful.view(np.int8), axis=1, dtype=np.int8)
    steps[count < TRIVIAL_BELOW] = TRIVIAL
    return [hashlib.blake2b(record, digest_size=16).digest() for record in state]


def is_measured(values: np.ndarray) -> np.ndarray:
    """Return which steps have enough values to be compared, see TRIVIAL_BELOW.

    `values` are float64, shape (parameters, steps). The result is bool, shape (steps,).
    """
    return (np.isfinite(values) & (values != 0)).sum(axis=0) >= TRIVIAL_BELOW


def fold(bits: np.ndarray) -> np.ndarray:
    """Return one number per column of `bits` (uint64, shape (rows, steps)), never TRIVIAL."""
    state = np.full(bits.shape[1], _START)
    spare = np.empty_like(state)
    for row in bits:
        absorb(state, row, spare)
    state[state == TRIVIAL] = _START
    return state


def absorb(state: np.ndarray, bits: np.ndarray, spare: np.ndarray) -> None:
    """Mix one parameter into the state, in place (multiply and fold, as in MurmurHash)."""
    state ^= bits
    state *= _MULTIPLIER
    np.right_shift(state, _SHIFT, out=spare)
    state ^= spare
