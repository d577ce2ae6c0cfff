"""Fingerprints of steps and records: equal values give equal fingerprints, whatever the file."""

import hashlib

import numpy as np
import pyarrow as pa

from skymill.magnetic.schema import INDEX, MAGNETIC_PARAMETERS, PARAMETERS, STEPS

TRIVIAL_BELOW = 8
"""A step with fewer finite, non-zero magnetic parameters says nothing about where it is from."""

TRIVIAL = np.uint64(0)
"""The fingerprint that stands for every trivial step."""

STEPS_SCHEMA = pa.schema([pa.field("steps", pa.list_(pa.uint64(), STEPS), nullable=False)])
"""The 60 step fingerprints of each valid record, in file order."""

_START = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)


def fingerprint(values: np.ndarray) -> tuple[np.ndarray, list[bytes]]:
    """Fingerprint the steps and the whole of each record.

    Parameters
    ----------
    values
        float64, shape (records, 33, 60), parameters in file order.

    Returns
    -------
    steps
        uint64, shape (records, 60): a 64-bit hash of the step's 32 magnetic parameters, TRIVIAL
        where fewer than eight of them are finite and non-zero.
    contents
        A 16-byte digest per record, over all 33 parameters.

    Notes
    -----
    NaN equals NaN and -0.0 equals 0.0. Each round is a bijection of the state for a given value
    and of the value for a given state, so steps that differ in one parameter never collide; of
    13 million different steps two collide with probability 5e-6.
    """
    assert values.shape[1:] == (len(PARAMETERS), STEPS), values.shape
    plain = values + 0.0
    plain[np.isnan(plain)] = np.nan
    bits = plain.view(np.uint64)
    state = np.full((len(values), STEPS), _START)
    for name in MAGNETIC_PARAMETERS:
        _absorb(state, bits[:, INDEX[name]])
    steps = state.copy()
    steps[steps == TRIVIAL] = _START
    _absorb(state, bits[:, INDEX["XR_MAX"]])
    contents = [hashlib.blake2b(row, digest_size=16).digest() for row in state]

    magnetic = plain[:, [INDEX[name] for name in MAGNETIC_PARAMETERS]]
    meaningful = (np.isfinite(magnetic) & (magnetic != 0)).sum(axis=1)
    steps[meaningful < TRIVIAL_BELOW] = TRIVIAL
    return steps, contents


def _absorb(state: np.ndarray, bits: np.ndarray) -> None:
    """Mix one parameter into the state, in place (multiply and fold, as in MurmurHash)."""
    state ^= bits
    state *= _MULTIPLIER
    state ^= state >> _SHIFT


def steps_to_table(steps: np.ndarray) -> pa.Table:
    """Return step fingerprints, uint64 of shape (records, 60), as a table of STEPS_SCHEMA."""
    flat = pa.array(np.ascontiguousarray(steps).reshape(-1))
    return pa.Table.from_arrays(
        [pa.FixedSizeListArray.from_arrays(flat, STEPS)], schema=STEPS_SCHEMA
    )


def steps_from_table(table: pa.Table) -> np.ndarray:
    """Return step fingerprints as uint64 of shape (records, 60)."""
    return table.column("steps").combine_chunks().flatten().to_numpy().reshape(-1, STEPS)
