"""The simulated sky: SWAN-SF, the 2020 records and the samples of SDOBenchmark fit together."""

import gzip
import itertools
import pickle
import re
import tarfile
from collections import Counter, defaultdict

import numpy as np
import pytest
from swan_files import Catalogued

from skymill.engine.products import read_json
from skymill.magnetic.schema import INDEX, LABELS, STEPS
from skymill.magnetic.schema import PARTITIONS as FILES
from skymill.raw.files import origin, sidecar_path
from skymill.simulate.magnetic import record_ids, region_series
from skymill.simulate.sky import STEP_SECONDS, draw_sky, goes_class, records, tai
from skymill.simulate.swan_sf import windows, write_partition
from skymill.swan_sf.names import parse_name
from skymill.swan_sf.schema import PARAMETERS, PARTITIONS

SIZE = {
    "magnetic": {"records": 2000, "test_records": 600, "seed": 20},
    "sdo": {"training_samples": 60, "test_samples": 20, "copies": 1, "seed": 20},
    "coverage": 0.3,
    "seed": 20,
}
SMALL = {
    "magnetic": {"records": 300, "test_records": 40, "seed": 20},
    "sdo": {"training_samples": 20, "test_samples": 10, "copies": 1, "seed": 20},
    "coverage": 0.5,
    "seed": 3,
}


@pytest.fixture(scope="module")
def sky():
    return draw_sky(**SIZE)


def names_of(sky):
    """Return the names of all windows of SWAN-SF, without the damaged windows."""
    found = []
    for stretch in sky.stretches:
        for partition in sorted({*stretch.partition}):
            found += [name for name, _ in windows(sky.layout, stretch, partition)]
    return found


# --- The sky -------------------------------------------------------------------------------------


def test_the_sky_depends_only_on_its_settings(sky):
    assert pickle.dumps(draw_sky(**SIZE)) == pickle.dumps(sky)
    other = draw_sky(**{**SIZE, "seed": 21})
    assert pickle.dumps(other.layout) == pickle.dumps(sky.layout)
    assert other.stretches != sky.stretches


@pytest.mark.parametrize(
    ("time", "ahead"),
    [
        ("2012-06-30T23:59:59", 34),
        ("2012-07-01T00:00:00", 35),
        ("2014-01-15T14:00:00", 35),
        ("2015-07-01T00:00:00", 36),
        ("2017-01-01T00:00:00", 37),
    ],
)
def test_tai_is_ahead_of_utc_by_the_leap_seconds(time, ahead):
    unix = int(np.datetime64(time, "s").astype(int))
    assert tai(unix) - unix == ahead


@pytest.mark.parametrize(
    ("flux", "said"),
    [(1e-9, None), (3.5294117647058825e-07, "B3.0"), (1.0235294117647e-4, "M8.7"), (2e-4, "X1.7")],
)
def test_a_peak_flux_has_a_goes_class(flux, said):
    assert goes_class(flux) == said


def test_harps_have_no_to_several_numbers_and_one_series_at_a_time(sky):
    of_harp = defaultdict(list)
    for stretch in sky.stretches:
        of_harp[stretch.harp].append(stretch)
        assert stretch.start % STEP_SECONDS == 0
    for held in of_harp.values():
        assert len({stretch.numbers for stretch in held}) == 1
        for one, other in itertools.pairwise(held):
            steps = region_series(sky.layout, one.region).shape[1]
            assert one.start + steps * STEP_SECONDS <= other.start
    counts = Counter(len(held[0].numbers) for held in of_harp.values())
    assert {0, 1, 2, 3} <= set(counts)


def test_a_harp_contains_a_training_region_and_a_region_of_the_official_test_set(sky):
    sets = {sample.region: sample.collection for sample in sky.samples}
    of_harp = {s.harp: {sets.get(number) for number, _ in s.numbers} for s in sky.stretches}
    assert {"training", "test"} in [held - {None} for held in of_harp.values()]


def test_a_region_is_in_two_harps_at_the_same_time(sky):
    places = defaultdict(list)
    for stretch in sky.stretches:
        for number, _ in stretch.numbers:
            places[number].append(stretch)
    both = [
        (one, other)
        for held in places.values()
        for one, other in itertools.combinations(held, 2)
        if one.harp != other.harp and abs(one.start - other.start) < 60 * STEP_SECONDS
    ]
    # One of the two has the number from its first step on.
    assert any(since == one.start for pair in both for one in pair for _, since in one.numbers)


@pytest.mark.parametrize("size", [SIZE, SMALL], ids=["demo", "small"])
def test_many_events_have_an_earlier_window_with_their_label(size):
    sky = draw_sky(**size)
    ends = defaultdict(set)
    for stretch in sky.stretches:
        stride = int(sky.layout.stride[stretch.region])
        for window, goes in enumerate(stretch.goes):
            last = stretch.start + (window * stride + STEPS - 1) * STEP_SECONDS
            for number, _ in stretch.numbers:
                ends[number, last].add(goes)
    events = [sample for sample in sky.samples if sample.folder.endswith("_0")]
    met = 0
    for event in events:
        end = tai(event.end // 10**9)
        in_time = [t for t in range(end - 3600, end - STEP_SECONDS + 1) if t % STEP_SECONDS == 0]
        found = set().union(*(ends[event.region, time] for time in in_time))
        wanted = goes_class(event.peak_flux)
        met += wanted in found or (event.goes_class == "Q" and None in found)
    assert met >= 0.3 * len(events)
    assert met < len(events)


def test_each_record_is_located_absent_or_ambiguous(sky):
    truth = list(records(sky))
    assert len(truth) == sum(sky.layout.lines)
    counts = Counter(record["status"] for record in truth)
    assert min(counts["located"], counts["absent"]) > 400
    assert counts["ambiguous"] > 0
    for record in truth:
        assert (record["harp"] is None) == (record["status"] != "located")
    ids = [[r["source_id"] for r in truth if r["partition"] == name] for name in FILES]
    assert ids == [list(record_ids(sky.layout, index)) for index in range(len(FILES))]


def test_coverage_is_the_share_of_the_sky_in_swan_sf():
    held = {
        share: len({s.region for s in draw_sky(**{**SIZE, "coverage": share}).stretches})
        for share in (0, 0.5, 1)
    }
    assert held[0] < held[0.5] < held[1] == len(draw_sky(**SIZE).layout.stride)


# --- The tarballs --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def partitions(tmp_path_factory):
    """Return the catalogues of the five partitions of a small sky."""
    found = []
    for name in PARTITIONS:
        folder = tmp_path_factory.mktemp(name)
        raw = folder / f"{name}_instances.tar.gz"
        write_partition(raw, name, **SMALL)
        found.append(Catalogued(raw, folder))
    return found


def test_swan_sf_and_the_records_have_the_same_steps(partitions):
    sky = draw_sky(**SMALL)
    held = defaultdict(dict)
    for found in partitions:
        harps, times = found.steps["harp"].to_pylist(), found.steps["time_tai"].to_numpy()
        seconds = times.astype("M8[s]").astype(int).tolist()
        for harp, time, values in zip(harps, seconds, found.values(), strict=True):
            held[harp][time] = values
    own = [INDEX[name] for name in PARAMETERS]
    exact = rounded = hidden = compared = 0
    for stretch in sky.stretches:
        series = region_series(sky.layout, stretch.region)[own].T
        for step, values in enumerate(series):
            found = held[stretch.harp].get(stretch.start + step * STEP_SECONDS)
            if found is None:
                continue  # only in damaged windows
            compared += 1
            if step < stretch.hidden:
                hidden += np.isnan(found).all()
            elif np.array_equal(found, values, equal_nan=True):
                exact += 1
            else:
                rounded += np.array_equal(found, np.round(values, 10), equal_nan=True)
    assert exact + rounded + hidden == compared
    assert exact > 0.4 * compared
    assert min(rounded, hidden) > 0
    total = sum(region_series(sky.layout, s.region).shape[1] for s in sky.stretches)
    assert compared > 0.98 * total


def test_windows_start_on_the_grid_and_have_the_label_of_their_record(partitions):
    sky = draw_sky(**SMALL)
    label_of = {}
    for stretch in sky.stretches:
        stride = int(sky.layout.stride[stretch.region])
        first = int(sky.layout.region_start[stretch.region])
        for window in range(len(stretch.goes)):
            start = stretch.start + window * stride * STEP_SECONDS
            label_of[stretch.harp, start] = LABELS[sky.layout.label[first + window]]
    starts, met = defaultdict(list), 0
    for found in partitions:
        for window in found.windows.to_pylist():
            start = int(np.datetime64(window["start_tai"], "s").astype(int))
            starts[window["harp"]].append(start)
            label = label_of.get((window["harp"], start))
            met += label is not None
            assert label in (None, window["label"])
            assert (window["goes"] or "Q")[0] == window["label"]
            assert window["role"] == ("FL" if window["label"] in "XM" else "NF")
    assert met > 0.9 * len(label_of)
    for times in starts.values():
        assert not (np.diff(sorted(times)) % STEP_SECONDS).any()
        assert len(set(times)) == len(times)


def test_some_windows_are_damaged(tmp_path):
    reasons = Counter()
    for name in PARTITIONS[:2]:
        raw = tmp_path / f"{name}.tar.gz"
        write_partition(raw, name, **{**SIZE, "coverage": 0.6})
        found = Catalogued(raw, tmp_path)
        reasons.update(found.counts["rejected_by_reason"])
        reasons["differing"] += found.counts["differing_steps"]
        assert found.counts["rejected"] <= 0.02 * found.counts["windows"]
    assert set(reasons) == {"rows", "times", "name", "differing"}
    assert min(reasons.values()) > 0


def test_both_forms_of_names_and_columns_occur(sky):
    forms = Counter()
    for stretch in sky.stretches[:20]:
        name, text = next(windows(sky.layout, stretch, stretch.partition[0]))
        assert parse_name(name).harp == stretch.harp
        forms["lab[" in name, text.partition("\n")[0].count("\t") + 1] += 1
        body = [line.split("\t") for line in text.splitlines()]
        assert {len(row) for row in body} == {len(body[0])}
    assert set(forms) == {(True, 52), (False, 55)}


def test_a_window_is_in_one_partition_once(sky):
    partitions, _, names = zip(*(name.partition("/") for name in names_of(sky)), strict=True)
    assert len(set(names)) == len(names)
    assert set(partitions) == {*PARTITIONS}


def test_the_tarball_is_the_same_for_any_workers(tmp_path):
    one, two = tmp_path / "one.tar.gz", tmp_path / "two.tar.gz"
    write_partition(one, "partition2", **SMALL)
    write_partition(two, "partition2", **SMALL, workers=2)
    assert one.read_bytes() == two.read_bytes()
    assert origin(one) == "sample"
    assert read_json(sidecar_path(one))["simulator"] == SMALL
    with tarfile.open(one) as archive:
        names = archive.getnames()
    assert all(re.match(r"partition2/(FL|NF)/", name) for name in names)
    assert gzip.decompress(one.read_bytes())
