"""Groups of active regions are connected components of NOAA and HARP numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill import solar_regions
from skymill.engine.errors import SkymillError
from skymill.solar_regions import group_regions, harp_table, harps_of


def test_the_table_has_the_harps_and_noaa_numbers_of_jsoc():
    harps, regions = (set(numbers) for numbers in zip(*harp_table(), strict=True))
    assert len(harps) == 1350
    assert (min(regions), max(regions)) == (11063, 12757)
    assert harps_of()[11402] == {1321}


def test_the_regions_of_sdobenchmark_are_in_967_groups_of_up_to_six():
    known = np.array([region for region in range(11386, 12701) if region in harps_of()])
    groups, sizes = np.unique(group_regions(known), return_counts=True)
    assert (len(known), len(groups), sizes.max()) == (1251, 967, 6)


def test_two_numbers_of_one_patch_are_one_group_named_by_its_smallest_number():
    assert group_regions(np.array([11402, 11401, 11407])).tolist() == [11401] * 3
    assert group_regions(np.array([11402])).tolist() == [11401]


def test_a_region_in_no_harp_is_a_separate_group():
    assert group_regions(np.array([99999, 1, 99999])).tolist() == [99999, 1, 99999]
    assert group_regions(np.array([], dtype=np.int64)).tolist() == []


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 15)), max_size=40), st.randoms())
def test_groups_contain_all_linked_regions_in_any_order(links, random):
    regions = np.arange(1, 16)
    reached = {region: {region} for region in regions.tolist()}
    for _ in regions:
        for harp, noaa in links:
            for other, region in links:
                if harp == other:
                    reached[noaa] |= reached[region]
                    reached[region] |= reached[noaa]
        for region, others in reached.items():
            for other in list(others):
                reached[region] |= reached[other]
    expected = [min(reached[region]) for region in regions.tolist()]
    random.shuffle(links)
    assert group_regions(regions, links).tolist() == expected


def test_a_table_that_differs_from_the_expected_one_is_refused(tmp_path, monkeypatch):
    other = tmp_path / "table.txt"
    other.write_text("HARPNUM NOAA_ARS\n1 11067\n")
    monkeypatch.setattr(solar_regions, "TABLE", other)
    harp_table.cache_clear()
    with pytest.raises(SkymillError, match="not the table of this version"):
        harp_table()
