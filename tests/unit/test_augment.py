"""Synthetic records stay physical, and a copy does not depend on other copies."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import FORCES, contents_of, physical_values, same_bits

from skymill.magnetic import augment as module
from skymill.magnetic.augment import FACTORS, synthesise, write_augmented
from skymill.magnetic.plan_table import CHANGED
from skymill.magnetic.schema import INDEX, PARAMETERS, STEPS, XR_MAX_MISSING
from skymill.magnetic.store import pieces

METHODS = ("warp", "scale")
EPS = [INDEX[eps] for eps, _, _ in FORCES]
OTHERS = [n for n in range(len(PARAMETERS)) if n not in EPS and n != INDEX["SHRGT45"]]
SHEAR, XR_MAX = INDEX["SHRGT45"], INDEX["XR_MAX"]


def copies(values, method, *, parent=None, copy=None, seed=1):
    """Return synthetic copies of some records, values of shape (33, records, 60)."""
    count = values.shape[1]
    parent = np.arange(count) + 1 if parent is None else np.asarray(parent)
    copy = np.ones(count, np.int16) if copy is None else np.asarray(copy)
    methods = (
        np.full(count, method, object) if isinstance(method, str) else np.array(method, object)
    )
    made = values.copy()
    synthesise(made, parent, methods, copy, seed)
    return made


def records(count, seed=0):
    return np.stack([physical_values(seed + n) for n in range(count)], axis=1)


def damaged(count, seed):
    """Return records with NaN, exact zeros, sentinels, and positive and negative values."""
    values = records(count, seed)
    rng = np.random.default_rng(seed)
    values[rng.random(values.shape) < 0.05] = np.nan
    values[rng.random(values.shape) < 0.05] = 0.0
    signed = [INDEX[name] for name in ("MEANGBZ", "MEANJZD", "MEANALP")]
    values[signed] *= rng.choice([-1.0, 1.0], values[signed].shape)
    values[XR_MAX][rng.random(values[XR_MAX].shape) < 0.2] = XR_MAX_MISSING
    values[SHEAR][rng.random(values[SHEAR].shape) < 0.2] = 100.0
    return values


def constants(values):
    energy = values[INDEX["TOTBSQ"]]
    return np.stack([values[INDEX[e]] * energy / values[INDEX[f]] for e, f, _ in FORCES])


@given(st.sampled_from(METHODS), st.integers(0, 10**6))
def test_the_physical_identity_is_kept(method, seed):
    values = records(3, seed)
    made = copies(values, method, seed=seed)
    np.testing.assert_allclose(constants(made), constants(values), rtol=1e-9)


@given(st.sampled_from(METHODS), st.integers(0, 10**6))
def test_nan_zeros_sentinels_and_signs_are_kept(method, seed):
    values = damaged(3, seed)
    made = copies(values, method, seed=seed)
    assert np.array_equal(np.isnan(made), np.isnan(values))
    assert np.array_equal(made == 0, values == 0)
    there = ~np.isnan(values)
    assert np.array_equal(np.sign(made[there]), np.sign(values[there]))
    sentinel = values[XR_MAX] == XR_MAX_MISSING
    assert (made[XR_MAX][sentinel] == XR_MAX_MISSING).all()
    assert (made[XR_MAX][~sentinel & (values[XR_MAX] != 0)] != XR_MAX_MISSING).all()
    assert np.isfinite(made[there]).all()


@given(st.sampled_from(METHODS), st.integers(0, 10**6))
def test_damaged_records_keep_the_identity_at_steps_that_obey_it(method, seed):
    values = damaged(3, seed)
    made = copies(values, method, seed=seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        before, after = constants(values), constants(made)
    usable = np.isfinite(before) & (before != 0)
    assert usable.any()
    np.testing.assert_allclose(after[usable], before[usable], rtol=1e-9)


@given(st.sampled_from(METHODS), st.integers(0, 10**6))
def test_the_shear_angle_fraction_stays_a_percentage(method, seed):
    values = damaged(4, seed)
    made = copies(values, method, seed=seed)[SHEAR]
    there = ~np.isnan(made)
    assert (made[there] >= 0).all()
    assert (made[there] <= 100).all()


def test_a_shear_angle_fraction_is_only_limited_at_100():
    values = records(40)
    ratio = copies(values, "scale")[SHEAR] / values[SHEAR]
    full = copies(values, "scale")[SHEAR] == 100
    assert full.any()
    factor = np.median(np.where(full, np.nan, ratio), axis=1)
    free = ~np.isnan(factor)
    np.testing.assert_allclose(ratio[free], factor[free, None].repeat(STEPS, axis=1))


@given(st.integers(0, 10**6))
def test_warping_multiplies_all_parameters_by_one_curve(seed):
    values = records(3, seed)
    usable = [n for n in OTHERS if values[n].all()]
    ratio = copies(values, "warp", seed=seed)[usable] / values[usable]
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape), rtol=1e-12)
    assert (ratio >= module.LOWEST_WARP * 0.999).all()


def test_warping_curves_pass_through_four_knots_around_one():
    values = np.ones((len(PARAMETERS), 2000, STEPS))
    curves = copies(values, "warp", parent=np.arange(2000))[0]
    at = np.linspace(0, STEPS - 1, 4)
    # A cubic through four knots is the same cubic between all of them.
    cubic = np.polynomial.polynomial.polyfit(np.arange(STEPS), curves[curves.min(1) > 0.1].T, 3)
    fitted = np.polynomial.polynomial.polyval(np.arange(STEPS), cubic)
    np.testing.assert_allclose(fitted, curves[curves.min(1) > 0.1], atol=1e-8)
    ends = curves[:, at[[0, -1]].astype(int)]
    assert ends.mean() == pytest.approx(1.0, abs=0.02)
    assert ends.std() == pytest.approx(0.2, abs=0.01)


class Knots:
    """A random stream that returns given numbers."""

    def __init__(self, *knots):
        self.knots = knots

    def normal(self, *_):
        """Return the given numbers, for any distribution."""
        return np.array(self.knots)


def test_a_warping_curve_that_undershoots_is_kept_above_zero():
    steep, plain = module._curves([Knots(1.6, 0.1, 0.1, 1.6), Knots(1.0, 1.1, 0.9, 1.0)])
    assert steep.min() == module.LOWEST_WARP > 0
    assert steep[[0, -1]] == pytest.approx(1.6)
    assert plain.min() > 0.85


@given(st.integers(0, 10**6))
def test_scaling_multiplies_all_steps_of_a_parameter_by_one_factor(seed):
    values = records(3, seed)
    usable = [n for n in OTHERS if values[n].all()]
    ratio = copies(values, "scale", seed=seed)[usable] / values[usable]
    np.testing.assert_allclose(ratio, ratio[..., :1].repeat(STEPS, axis=2), rtol=1e-12)
    assert (ratio >= 0.9 - 1e-12).all()
    assert (ratio <= 1.1 + 1e-12).all()
    for record in ratio[..., 0].T:
        assert len(np.unique(record)) == len(usable)


def test_scaling_factors_cover_their_range():
    values = np.ones((len(PARAMETERS), 500, STEPS))
    factors = copies(values, "scale", parent=np.arange(500))[OTHERS][:, :, 0]
    assert factors.min() < 0.901
    assert factors.max() > 1.099
    assert factors.mean() == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize("method", ["original", "duplicate"])
def test_originals_and_duplicates_are_unchanged(method):
    values = damaged(3, 5)
    assert same_bits(copies(values, method), values)


PLANNED = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["warp", "scale", "duplicate", "original"]),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=12,
    unique=True,
)


@settings(max_examples=40)
@given(PLANNED, st.data())
def test_a_copy_does_not_depend_on_the_rest_of_the_batch(planned, data):
    parents = damaged(6, 11)
    number, method, copy = map(list, zip(*planned, strict=True))
    together = copies(parents[:, number], method, parent=number, copy=copy)
    some = data.draw(st.lists(st.sampled_from(range(len(planned))), min_size=1, unique=True))
    apart = copies(
        parents[:, [number[n] for n in some]],
        [method[n] for n in some],
        parent=[number[n] for n in some],
        copy=[copy[n] for n in some],
    )
    assert same_bits(apart, together[:, some])


@pytest.mark.parametrize("method", METHODS)
def test_copies_depend_on_parent_copy_number_seed_and_method(method):
    values = np.repeat(records(1), 3, axis=1)
    made = copies(values, method, parent=[1, 1, 2], copy=[1, 2, 1])
    found = [made[:, n].tobytes() for n in range(3)]
    found.append(copies(values[:, :1], method, seed=2).tobytes())
    other = next(name for name in METHODS if name != method)
    found.append(copies(values[:, :1], other).tobytes())
    assert len(set(found)) == 5


def test_every_method_that_changes_values_has_factors():
    assert set(FACTORS) == set(CHANGED)


@pytest.mark.parametrize("unknown", ["wrap", "", "Warp"])
def test_an_unknown_method_is_refused_by_name(unknown):
    before = records(2)
    after = before.copy()
    methods = np.array(["warp", unknown], object)
    with pytest.raises(ValueError, match=f"unknown method of augmentation: {unknown}$"):
        synthesise(after, np.array([1, 2]), methods, np.ones(2, np.int16), 1)
    assert same_bits(after, before)


def written(run, folder, everything=False, workers=1):
    files, counts = write_augmented(
        run.plan,
        run.ids["train"],
        run.products[run.clean["train"]],
        folder,
        seed=run.config["seed"],
        everything=everything,
        workers=workers,
    )
    return files, counts, contents_of(folder)


@pytest.mark.parametrize("workers", [2, 3])
def test_files_are_the_same_for_any_number_of_workers(small_run, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(module, "pieces", lambda total: pieces(total, 40))
    one = written(small_run, tmp_path / "set")
    assert len(one[0]) >= 3
    assert written(small_run, tmp_path / "set", workers=workers) == one


@pytest.mark.parametrize("which", ["small_run", "published_run"])
def test_the_written_set_has_the_planned_records(request, which):
    run = request.getfixturevalue(which)
    plan = run.planned if run.everything else run.planned[run.planned["split"] == "train"]
    table = run.read(run.augmented)
    for name in ("record_id", "label", "parent", "method"):
        expected = plan[name].astype(object).where(plan[name].notna(), None)
        assert table[name].to_pylist() == [value for value in expected for _ in range(STEPS)]
    assert table["seq_id"].to_pylist() == list(range(STEPS)) * len(plan)


def test_written_values_are_made_from_the_parents_of_the_clean_set(small_run):
    clean = small_run.read(small_run.clean["train"]).to_pandas().groupby("record_id")
    table = small_run.read(small_run.augmented).to_pandas()
    seed = small_run.config["seed"]
    numbers = small_run.planned.set_index("record_id")["copy"]
    for record_id, rows in table.groupby("record_id"):
        first = rows.iloc[0]
        parent = record_id if first["method"] == "original" else int(first["parent"])
        values = clean.get_group(parent)[list(PARAMETERS)].to_numpy().T[:, None]
        made = copies(
            values, first["method"], parent=[parent], copy=[numbers[record_id]], seed=seed
        )
        assert same_bits(made[:, 0], rows[list(PARAMETERS)].to_numpy().T)


def test_the_clean_set_is_unchanged(small_run, tmp_path):
    before = contents_of(small_run.clean["train"])
    written(small_run, tmp_path / "set")
    assert contents_of(small_run.clean["train"]) == before


def test_counts_are_by_class_and_method(small_run):
    counts = small_run.products[small_run.augmented].counts
    plan = small_run.planned[small_run.planned["split"] == "train"]
    assert counts["records"] == len(plan)
    assert counts["records_by_label"] == plan["label"].value_counts().to_dict()
    assert counts["records_by_method"] == plan["method"].value_counts().to_dict()


def test_row_groups_hold_whole_records(small_run):
    for path in small_run.augmented.iterdir():
        metadata = pq.read_metadata(path)
        rows = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
        assert all(count % STEPS == 0 for count in rows)
