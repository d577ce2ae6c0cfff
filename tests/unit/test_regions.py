"""Regions: windows that share a non-trivial step belong together, transitively."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from records import windows

from skymill.magnetic.fingerprints import TRIVIAL, fingerprint
from skymill.magnetic.regions import (
    REGIONS_SCHEMA,
    describe_regions,
    find_regions,
    group_harps,
    name_components,
    regions_table,
)
from skymill.magnetic.schema import STEPS


def plain_regions(record_id, steps):
    """Return the regions by comparing every pair of records until nothing changes."""
    sets = [{int(step) for step in row if step != TRIVIAL} for row in steps]
    region = [int(number) for number in record_id]
    changed = True
    while changed:
        changed = False
        for one in range(len(sets)):
            for other in range(len(sets)):
                if sets[one] & sets[other] and region[other] > region[one]:
                    region[other] = region[one]
                    changed = True
    return region


@st.composite
def catalogues(draw):
    """Draw (record_id, steps); few different steps, some of them trivial."""
    count = draw(st.integers(0, 14))
    ids = draw(st.lists(st.integers(0, 10**6), min_size=count, max_size=count, unique=True))
    largest = draw(st.integers(0, 60))
    steps = draw(arrays(np.uint64, (count, 4), elements=st.integers(0, largest), fill=st.nothing()))
    return np.array(ids, np.int64), steps


@settings(max_examples=150)
@given(catalogues())
def test_regions_equal_those_found_by_brute_force(case):
    record_id, steps = case
    assert find_regions(record_id, steps).tolist() == plain_regions(record_id, steps)


@given(catalogues(), st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(case, random):
    record_id, steps = case
    order = list(range(len(record_id)))
    random.shuffle(order)
    shuffled = find_regions(record_id[order], steps[order])
    assert np.array_equal(shuffled, find_regions(record_id, steps)[order])


def test_a_chain_of_windows_is_one_region_named_by_its_smallest_id():
    chain = np.stack(windows(1, 6, stride=40))  # only neighbouring windows share steps
    stranger = np.stack(windows(2, 1))
    steps, _ = fingerprint(np.concatenate([chain, stranger]))
    region = find_regions(np.array([50, 40, 70, 30, 60, 20, 10]), steps)
    assert region.tolist() == [20] * 6 + [10]


def test_records_that_share_only_trivial_steps_are_not_linked():
    steps = np.full((3, STEPS), TRIVIAL)
    assert find_regions(np.array([3, 1, 2]), steps).tolist() == [3, 1, 2]


def test_a_step_that_a_record_repeats_is_no_link():
    steps = np.array([[7, 7, 7], [8, 8, 9], [9, 1, 1]], np.uint64)
    assert find_regions(np.array([1, 2, 3]), steps).tolist() == [1, 2, 2]


def test_components_are_named_by_their_smallest_id():
    names = name_components(np.array([9, 4, 6, 2]), np.array([0, 1]), np.array([1, 2]))
    assert names.tolist() == [4, 4, 4, 2]


def test_the_table_has_one_row_per_record():
    table = regions_table(np.array([1, 2], np.int64), np.array([1, 1], np.int64))
    assert table.schema == REGIONS_SCHEMA
    assert table.to_pylist() == [{"record_id": 1, "region": 1}, {"record_id": 2, "region": 1}]


def test_number_and_sizes_of_regions_are_described():
    region = np.repeat([10, 20, 30, 40, 50], [1, 1, 2, 4, 12])
    found = describe_regions(region)
    assert (found["regions"], found["records"]) == (5, 20)
    assert (found["largest"], found["largest_region"]) == (12, 50)
    assert found["median_size"] == 2
    sizes = {name: count for name, count in found["regions_by_size"].items() if count}
    assert sizes == {"1": 2, "2": 1, "3-4": 1, "10-19": 1}


@given(st.lists(st.integers(1, 1200), max_size=12))
def test_every_region_is_counted_in_one_size(sizes):
    found = describe_regions(np.repeat(np.arange(len(sizes)), sizes))
    assert sum(found["regions_by_size"].values()) == len(sizes)


# --- Windows of SWAN-SF --------------------------------------------------------------------------


def plain_groups(record_id, harp, numbers, steps):
    """Return the regions by joining sets of HARPs until nothing changes."""
    groups = [{one} for one in {*harp, *(a for a, _ in numbers), *(a for a, _ in steps)}]
    links = [*numbers, *((one, -1 - step) for one, step in steps)]
    for value in {each for _, each in links}:
        joined = {one for one, each in links if each == value}
        inside = [group for group in groups if group & joined]
        groups = [group for group in groups if not group & joined] + [set().union(*inside)]
    of = {one: number for number, group in enumerate(groups) for one in group}
    smallest = {}
    for own, one in sorted(zip(record_id, harp, strict=True)):
        smallest.setdefault(of[one], own)
    return [smallest[of[one]] for one in harp]


SMALL = st.integers(1, 8)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(1, 10**12), SMALL), unique_by=lambda row: row[0], max_size=12),
    st.lists(st.tuples(SMALL, st.integers(11_000, 11_006)), max_size=8),
    st.lists(st.tuples(SMALL, st.integers(1, 9)), max_size=8),
)
def test_groups_of_harps_equal_those_found_by_brute_force(windows_of, numbers, steps):
    record_id, harp = np.array(windows_of, np.int64).reshape(-1, 2).T
    pairs = np.array(numbers, np.int64).reshape(-1, 2)
    step_harp, step = np.array(steps, np.int64).reshape(-1, 2).T
    found = group_harps(record_id, harp, pairs, step_harp, step.astype(np.uint64))
    assert found.tolist() == plain_groups(record_id.tolist(), harp.tolist(), numbers, steps)


def test_overlap_in_time_links_nothing_and_a_number_links_its_harps():
    record_id = np.array([10, 11, 20, 30])
    harp = np.array([1, 1, 2, 3])
    numbers = np.array([[1, 11953], [2, 11953], [3, 11954]])
    nothing = np.empty(0, np.int64), np.empty(0, np.uint64)
    assert group_harps(record_id, harp, numbers, *nothing).tolist() == [10, 10, 10, 30]
    assert group_harps(record_id, harp, numbers[:0], *nothing).tolist() == [10, 10, 20, 30]
