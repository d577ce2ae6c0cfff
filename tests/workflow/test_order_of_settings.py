"""Settings that change one after the other end in the bytes of a fresh run."""

import random

import pytest

CHANGES = [
    "seed: 7",
    "collisions: drop_identical",
    "split: {unit: record}",
    "split: {augment: all}",
    "split: {folds: 4, fold: 3}",
    "augmentation: {M: {warp: 2, scale: 1}}",
    "features: {fill: zero}",
    "features: {columns: [EPSZ]}",
    "limits: {max_rejected_fraction: 0.06}",
    "split: {unit: region}",
    "seed: 20",
]


@pytest.mark.parametrize("seed", [1])
def test_settings_changed_in_any_order_end_in_the_bytes_of_a_fresh_run(finished, project, seed):
    order = random.Random(seed)
    for number, change in enumerate(order.sample(CHANGES, 4)):
        finished.set(change)
        # Some settings change together.
        if number % 2:
            finished.run("--cores", "2", "magnetic")
    assert finished.stale("magnetic") == set()
    settings = finished.path("config/small.yaml").read_text()
    project.path("config/small.yaml").write_text(settings)
    project.run("--cores", "2", "magnetic")
    after = finished.products()
    fresh = project.products()
    assert {name: after[name] for name in fresh} == fresh


def test_equal_numbers_make_nothing_stale(finished):
    finished.set(EQUAL)
    assert finished.stale() == set()
    assert finished.stale("--config", "seed=2020.0") == set()


EQUAL = """
seed: 2020.0
augmentation: {X: {warp: 8.0, duplicate: {fraction: 1, times: 4.0}}}
sdo: {flux_scale: 0.850}
labels: {min_probability: 0.0}
ztf: {crop: 21.0, sample: {Otro: 12000.0}}
"""
