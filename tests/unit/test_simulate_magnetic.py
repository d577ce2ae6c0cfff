"""The simulated magnetic files have the archive's format and its important properties."""

import json
import math
import pickle
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import orjson
import pytest

from skymill.magnetic.schema import (
    EXTENSIVE_PARAMETERS,
    INDEX,
    LABELS,
    LORENTZ,
    MAGNETIC_PARAMETERS,
    PARAMETERS,
    PARTITIONS,
    STEPS,
    TEST_PARTITION,
    TRAIN_PARTITIONS,
    XR_MAX_MISSING,
)
from skymill.simulate.magnetic import chunks, layout, write_chunk

RECORDS, TEST_RECORDS, SEED = 2000, 600, 7
STEP_KEYS = [str(step) for step in range(STEPS)]


def write_file(plan, partition, folder):
    """Return the bytes of one whole file."""
    parts = []
    for chunk in range(chunks(plan, partition)):
        path = folder / f"{partition}.{chunk}"
        written = write_chunk(plan, partition, chunk, path)
        parts.append(path.read_bytes())
        assert written == {"lines": parts[-1].count(b"\n"), "bytes": len(parts[-1])}
    return b"".join(parts)


@dataclass
class Line:
    """A parsed line. `record` is None if the line is truncated; `fault` is None if it is valid."""

    text: bytes
    record_id: int
    record: dict | None
    fault: str | None


def read_line(text):
    record_id = int(text.split(b'"', 2)[1])
    try:
        # orjson is used for speed. Another test shows that Python's json reads the same values.
        (record,) = orjson.loads(text.replace(b"NaN", b"null")).values()
    except orjson.JSONDecodeError:
        return Line(text, record_id, None, "truncated")
    return Line(text, record_id, record, fault_of(record["values"]))


def fault_of(values):
    """Return the name of the fault in the values of a record; None for a valid record."""
    if "USFLUX" not in values:
        return "USFLUX missing"
    if any(len(series) == STEPS - 1 for series in values.values()):
        return "59 steps"
    flux = set(values["USFLUX"].values())
    return {(0.0,): "USFLUX zero", (None,): "USFLUX NaN"}.get(tuple(flux))


def as_array(record):
    """Return the values of a valid record, shape (33, 60)."""
    series = [list(record["values"][name].values()) for name in PARAMETERS]
    return np.array(series, dtype=np.float64)


@pytest.fixture(scope="module")
def plan():
    return layout(RECORDS, TEST_RECORDS, SEED)


@pytest.fixture(scope="module")
def contents(plan, tmp_path_factory):
    """The bytes of the four files."""
    folder = tmp_path_factory.mktemp("simulated")
    return {name: write_file(plan, name, folder) for name in PARTITIONS}


@pytest.fixture(scope="module")
def files(contents):
    """The lines of the four files without the blank line."""
    return {
        name: [read_line(text) for text in content.split(b"\n") if text]
        for name, content in contents.items()
    }


@pytest.fixture(scope="module")
def sound(files):
    """(partition, id, label, values) of every valid record."""
    return [
        (partition, line.record_id, line.record.get("label"), as_array(line.record))
        for partition, lines in files.items()
        for line in lines
        if line.fault is None
    ]


@pytest.fixture(scope="module")
def regions(sound):
    """Positions in `sound` of the records of each region, found only from shared steps."""
    holders = defaultdict(list)
    for position, (_, _, _, values) in enumerate(sound):
        magnetic = values[[INDEX[name] for name in MAGNETIC_PARAMETERS]]
        for step in magnetic.T:
            if (np.isfinite(step) & (step != 0)).sum() >= 20:
                holders[step.tobytes()].append(position)
    parent = list(range(len(sound)))

    def root(position):
        while parent[position] != position:
            position = parent[position]
        return position

    for first, *others in holders.values():
        for other in others:
            parent[root(other)] = root(first)
    members = defaultdict(list)
    for position in range(len(sound)):
        members[root(position)].append(position)
    return list(members.values())


def nan_lines(lines):
    return [line for line in lines if b": NaN" in line.text][:5]


def test_lines_equal_the_output_of_json_dumps(files):
    for lines in files.values():
        sample = [*lines[:10], *(line for line in lines if line.fault), *nan_lines(lines)]
        for line in sample:
            if line.fault != "truncated":
                assert json.dumps(json.loads(line.text)).encode() == line.text


def test_a_valid_record_has_a_label_and_all_parameters_and_steps_in_order(files):
    record = next(line.record for line in files[TRAIN_PARTITIONS[0]] if line.fault is None)
    assert list(record) == ["label", "values"]
    assert list(record["values"]) == list(PARAMETERS)
    assert all(list(series) == STEP_KEYS for series in record["values"].values())


def test_every_number_is_a_float_of_full_precision(sound):
    for _, _, _, values in sound[:50]:
        flux = values[INDEX["TOTUSJH"]]
        spelled = [len(repr(number)) for number in flux[np.isfinite(flux) & (flux != 0)].tolist()]
        assert np.median(spelled) >= 16


def test_records_are_split_over_the_partitions_as_in_the_archive(files):
    counts = [len(files[name]) for name in PARTITIONS]
    assert sum(counts[:3]) == RECORDS
    assert counts[3] == TEST_RECORDS
    assert counts[0] == pytest.approx(RECORDS * 77270 / 214023, abs=1)
    assert counts[1] == pytest.approx(RECORDS * 93767 / 214023, abs=1)


def test_only_partition_3_has_a_blank_line_and_only_one(contents):
    lines = [content.split(b"\n")[:-1] for content in contents.values()]
    assert [found.count(b"") for found in lines] == [0, 0, 1, 0]


def test_ids_run_through_partitions_1_and_2_and_partition_3_collides_with_partition_2(files):
    first, second, third, test = (len(files[name]) for name in PARTITIONS)
    starts = (1, first + 1, second + 1, 1)
    for partition, start, count in zip(
        PARTITIONS, starts, (first, second, third, test), strict=True
    ):
        ids = [line.record_id for line in files[partition]]
        assert ids == list(range(start, start + count))


def test_test_records_have_no_label_and_one_in_three_lacks_the_key(files):
    records = [line.record for line in files[TEST_PARTITION]]
    assert sum("label" not in record for record in records) == len(records) // 3
    assert all(record.get("label") is None for record in records)


def test_chunks_are_the_same_in_any_order_and_from_a_pickled_layout(plan, contents, tmp_path):
    copy = pickle.loads(pickle.dumps(plan))
    for partition in (TEST_PARTITION, TRAIN_PARTITIONS[2]):
        content = {}
        for chunk in reversed(range(chunks(copy, partition))):
            path = tmp_path / f"{partition}.{chunk}"
            write_chunk(copy, partition, chunk, path)
            content[chunk] = path.read_bytes()
        joined = b"".join(content[chunk] for chunk in sorted(content))
        assert joined == contents[partition]


def test_another_seed_gives_other_records(contents, tmp_path):
    other = layout(RECORDS, TEST_RECORDS, SEED + 1)
    write_chunk(other, TEST_PARTITION, 0, tmp_path / "chunk")
    lines = (tmp_path / "chunk").read_bytes().splitlines()
    assert not set(lines) & set(contents[TEST_PARTITION].splitlines())


def test_every_file_of_the_default_size_has_chunks_for_two_processes(plan):
    assert all(chunks(plan, partition) >= 2 for partition in PARTITIONS)


def test_a_chunk_that_does_not_exist_is_refused(plan, tmp_path):
    with pytest.raises(ValueError, match="has 2 chunks, but no chunk 2"):
        write_chunk(plan, TEST_PARTITION, 2, tmp_path / "chunk")


def test_windows_of_a_region_share_steps_in_all_parameters(sound, regions):
    families = [members for members in regions if len(members) > 1]
    assert sum(map(len, families)) > 0.98 * len(sound)
    assert 6 < np.mean([len(members) for members in families]) < 16
    assert max(map(len, families)) <= 40
    for members in families[:30]:
        rows = [{step.tobytes() for step in sound[member][3].T} for member in members]
        shared = [
            max(len(row & other) for other in rows if other is not row) for row in rows
        ]  # bytes are compared, so NaN in one parameter does not matter
        assert min(shared) >= STEPS - 2 * 20
        assert max(shared) <= STEPS - 5


def test_shared_steps_follow_from_windows_that_slide_by_one_stride_per_region(sound, regions):
    for members in regions[:30]:
        if len(members) < 4:
            continue
        series = [sound[member][3][INDEX["TOTUSJH"]] for member in members]
        shifts = set()
        for one in series:
            for step in (5, 10, 15, 20):
                if any(np.array_equal(one[step:], other[:-step]) for other in series):
                    shifts.add(step)
        assert shifts
        assert all(shift % min(shifts) == 0 for shift in shifts)


def test_different_regions_never_share_a_step(plan, sound, regions):
    first_id = dict(zip(PARTITIONS, (1, plan.lines[0] + 1, plan.lines[1] + 1, 1), strict=True))
    first_line = dict(zip(PARTITIONS, np.cumsum([0, *plan.lines[:3]]), strict=True))
    for members in regions:
        lines = [first_line[sound[m][0]] + sound[m][1] - first_id[sound[m][0]] for m in members]
        simulated = np.searchsorted(plan.region_start, plan.window[lines], side="right") - 1
        assert len(set(simulated.tolist())) == 1


def test_only_partitions_1_and_2_share_regions(sound, regions):
    apart = [{*TRAIN_PARTITIONS[:2]}, {TRAIN_PARTITIONS[2]}, {TEST_PARTITION}]
    for members in regions:
        partitions = {sound[member][0] for member in members}
        assert any(partitions <= allowed for allowed in apart)


def test_some_regions_straddle_partitions_1_and_2(sound, regions):
    straddling = [
        members for members in regions if len({sound[member][0] for member in members}) == 2
    ]
    assert 1 <= len(straddling) <= 10


def test_windows_of_a_region_are_not_simply_consecutive_lines(sound, regions):
    gaps = [
        np.diff(sorted(sound[member][1] for member in members))
        for members in regions
        if len({sound[member][0] for member in members}) == 1
    ]
    assert np.mean(np.concatenate(gaps) == 1) < 0.2


def test_some_regions_have_windows_of_several_classes(sound, regions):
    labels = [{sound[member][2] for member in members} for members in regions]
    assert sum(len(found) > 1 for found in labels) > 20
    assert any({"X", "Q"} <= found or {"X", "C"} <= found for found in labels)


def test_classes_are_as_rare_as_in_the_archive_but_never_absent(sound):
    counts = Counter(label for partition, _, label, _ in sound if partition != TEST_PARTITION)
    assert 10 <= counts["X"] <= 15
    assert counts["M"] == pytest.approx(0.0181 * RECORDS, rel=0.2)
    assert counts["C"] == pytest.approx(0.0987 * RECORDS, rel=0.1)
    assert counts["B"] == pytest.approx(0.0557 * RECORDS, rel=0.1)


@pytest.mark.parametrize("records", [300, 500, 2000, 10_000])
@pytest.mark.parametrize("seed", range(5))
def test_every_class_is_in_five_regions_with_two_windows_each(records, seed):
    plan = layout(records, 60, seed)
    region = np.repeat(np.arange(len(plan.stride)), np.diff(plan.region_start))
    usable = np.zeros(len(region), bool)
    usable[plan.window[:records]] = plan.fault[:records] == 0
    for code, name in enumerate(LABELS):
        windows = Counter(region[usable & (plan.label == code)].tolist())
        assert sum(count >= 2 for count in windows.values()) >= 5, name


@pytest.mark.parametrize("records", range(0, 60, 7))
def test_tiny_simulations_have_the_configured_number_of_lines(records, tmp_path):
    plan = layout(records, 3, SEED)
    written = [write_file(plan, partition, tmp_path) for partition in PARTITIONS]
    assert sum(map(bool, b"".join(written[:3]).split(b"\n"))) == records
    assert len(written[3].splitlines()) == 3


def test_bad_lines_are_few_quiet_and_of_every_kind(files):
    kinds = Counter()
    for partition in TRAIN_PARTITIONS:
        bad = [line for line in files[partition] if line.fault]
        assert len(bad) == math.ceil(0.01 * len(files[partition]))
        assert all(b'{"label": "Q", ' in line.text[:40] for line in bad)
        kinds.update(line.fault for line in bad)
    assert set(kinds) == {"truncated", "USFLUX missing", "59 steps", "USFLUX zero", "USFLUX NaN"}


def test_the_test_file_has_one_bad_line_with_zero_usflux(files):
    faults = Counter(line.fault for line in files[TEST_PARTITION])
    assert faults == {None: TEST_RECORDS - 1, "USFLUX zero": 1}


@pytest.fixture(scope="module")
def steps(sound):
    """All steps of the valid records, shape (33, steps)."""
    return np.concatenate([values for *_, values in sound], axis=1)


@pytest.mark.parametrize(
    ("axis", "sign"), [("X", -1), ("Y", -1), ("Z", 1)], ids=["EPSX", "EPSY", "EPSZ"]
)
def test_force_and_its_normalised_form_obey_the_physical_identity(steps, axis, sign):
    eps, force = steps[INDEX[f"EPS{axis}"]], steps[INDEX[f"TOTF{axis}"]]
    energy = steps[INDEX["TOTBSQ"]]
    measured = np.isfinite(eps) & (energy != 0)
    assert measured.mean() > 0.97
    expected = sign * LORENTZ * force[measured] / energy[measured]
    np.testing.assert_allclose(eps[measured], expected, rtol=1e-9)
    assert np.abs(eps[measured]).max() <= 1


def test_about_one_step_in_a_hundred_is_not_measured(steps):
    zero = steps[INDEX["USFLUX"]] == 0
    assert 0.004 < zero.mean() < 0.02
    names = [*EXTENSIVE_PARAMETERS, "MEANPOT", "MEANSHR", "EPSX", "EPSY", "EPSZ"]
    block = steps[[INDEX[name] for name in names]][:, zero]
    assert (block[~np.isnan(block)] == 0).all()
    assert not np.signbit(block).any()
    assert (steps[[INDEX[name] for name in EXTENSIVE_PARAMETERS]] == 0).any(axis=0).sum() == (
        zero.sum()
    )


def test_about_one_step_in_two_hundred_has_no_magnetic_number(steps):
    magnetic = np.isnan(steps[[INDEX[name] for name in MAGNETIC_PARAMETERS]])
    assert 0.002 < magnetic.all(axis=0).mean() < 0.01
    assert np.isfinite(steps[INDEX["XR_MAX"]]).all()


def test_about_one_x_ray_flux_in_a_hundred_is_the_sentinel(steps):
    flux = steps[INDEX["XR_MAX"]]
    assert 0.005 < np.mean(flux == XR_MAX_MISSING) < 0.02
    assert (flux[flux != XR_MAX_MISSING] > 0).all()


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("R_VALUE", 0.4, 0.65),
        ("RBZ_VALUE", 0.45, 0.8),
        ("RBT_VALUE", 0.45, 0.8),
        ("RBP_VALUE", 0.45, 0.8),
        ("PIL_LEN", 0.3, 0.55),
        ("FDIM", 0.7, 0.95),
        ("BZ_FDIM", 0.7, 0.95),
        ("BT_FDIM", 0.7, 0.95),
        ("BP_FDIM", 0.7, 0.95),
    ],
)
def test_zero_is_frequent_in_parameters_that_can_be_zero(steps, name, least, most):
    assert least < np.mean(steps[INDEX[name]] == 0) < most


def test_shrgt45_is_a_percentage(steps):
    assert np.nanmin(steps[INDEX["SHRGT45"]]) >= 0
    assert np.nanmax(steps[INDEX["SHRGT45"]]) <= 100


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("TOTUSJH", (43.2, 154, 625)),
        ("TOTBSQ", (3.29e8, 1.42e9, 8.10e9)),
        ("TOTPOT", (2.35e21, 1.03e22, 1.00e23)),
        ("TOTUSJZ", (9.66e11, 3.32e12, 1.32e13)),
        ("ABSNJZH", (3.13, 10.5, 46.7)),
        ("SAVNCPP", (2.77e11, 8.12e11, 2.73e12)),
        ("USFLUX", (6.38e20, 2.39e21, 9.77e21)),
        ("TOTFZ", (-2.63e24, -7.70e23, -1.91e23)),
        ("MEANPOT", (1570, 1951, 5075)),
        ("EPSZ", (-0.629, -0.567, -0.373)),
        ("SHRGT45", (2.24, 4.81, 21.6)),
        ("MEANSHR", (21.9, 23.9, 32.1)),
        ("XR_MAX", (3.97e-7, 7.09e-7, 1.16e-6)),
    ],
)
def test_quartiles_are_near_the_published_ones(steps, name, published):
    quartiles = np.nanquantile(steps[INDEX[name]], (0.25, 0.5, 0.75))
    ratios = quartiles / published
    assert (ratios > 1 / 2.5).all(), ratios
    assert (ratios < 2.5).all(), ratios


def test_regions_of_strong_flares_are_larger(sound):
    size = defaultdict(list)
    for _, _, label, values in sound:
        size[label].append(np.nanmedian(values[INDEX["USFLUX"]]))
    medians = {label: np.median(found) for label, found in size.items()}
    assert medians["Q"] < medians["C"] < medians["X"]
    assert medians["Q"] < medians["M"]


def test_the_layout_of_the_full_archive_is_small():
    plan = layout(213_000, 120_000, SEED)
    assert len(pickle.dumps(plan)) < 5_000_000
    counts = Counter(plan.label[:213_000].tolist())
    assert counts[LABELS.index("X")] == 385
