"""Damage to the values of a record of 2020, float64 (24, 60), such as a file format may cause.

Each function takes the values, a random generator, and the values of another record. It may change
the values in place.
"""

import numpy as np


def through_float32(values):
    return values.astype(np.float32).astype(np.float64)


def lose_steps(values, rng, other):
    values[:, rng.random(60) < rng.random()] = np.nan
    return values


def lose_values(values, rng, other):
    values[rng.random(values.shape) < 0.2 * rng.random()] = np.nan
    return values


def zero_steps(values, rng, other):
    values[:, rng.random(60) < 0.5] = 0.0
    return values


def swap_steps(values, rng, other):
    first, second = rng.integers(0, 60, 2)
    values[:, [first, second]] = values[:, [second, first]]
    return values


def take_from_another(values, rng, other):
    """Replace a few steps: too few to locate the other record."""
    chosen = rng.choice(60, rng.integers(0, 7), replace=False)
    values[:, chosen] = other[:, chosen]
    return values


def add_noise(values, rng, other):
    return values * (1 + rng.normal(0, 10.0 ** rng.uniform(-9, -1), values.shape))


def narrow(values, rng, other):
    return through_float32(np.clip(values, -1e30, 1e30))


def cut_decimals(values, rng, other):
    return np.round(values, int(rng.integers(0, 11)))


DAMAGES = [
    lose_steps,
    lose_values,
    zero_steps,
    swap_steps,
    take_from_another,
    add_noise,
    narrow,
    cut_decimals,
]
