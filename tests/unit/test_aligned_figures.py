"""The section of the report about the aligned pairs, and about the windows of SWAN-SF."""

import numpy as np
import pytest
from test_aligned_report import made  # noqa: F401 (a fixture)
from test_sdo_figures import sheet

from skymill.aligned.figures import (
    Pair,
    draw_section,
    flow_of_records,
    flow_of_samples,
    flow_of_windows,
)
from skymill.engine.errors import SkymillError
from skymill.swan_sf.schema import PARAMETERS

CATALOGUES = {
    "partition3": {
        "windows": 6,
        "valid": 6,
        "rejected": 0,
        "rejected_by_reason": {},
        "valid_by_label": {"X": 1, "M": 0, "C": 0, "B": 0, "Q": 5},
        "harps": 2,
        "steps": 70,
        "differing_steps": 0,
    },
    "partition1": {
        "windows": 9,
        "valid": 7,
        "rejected": 2,
        "rejected_by_reason": {"rows": 1, "<new>": 1},
        "valid_by_label": {"Q": 7, "X": 0, "M": 0, "C": 0, "B": 0},
        "harps": 1,
        "steps": 60,
        "differing_steps": 3,
    },
}


def section(made, **more):  # noqa: F811
    pairs, counts, windows, located, _ = made
    facts = pairs.iloc[0].to_dict()
    series = np.random.default_rng(1).lognormal(size=(60, len(PARAMETERS)))
    series[:, PARAMETERS.index("USFLUX")] *= 1e22
    series[10:12] = np.nan
    given = {
        "pairs": pairs,
        "plan": counts,
        "catalogues": CATALOGUES,
        "windows": windows,
        "located": located,
        "shown": Pair(facts, series, sheet()),
        "seed": 1,
    }
    return draw_section(**{**given, **more})


@pytest.fixture(scope="module")
def drawn(made):  # noqa: F811
    return section(made)


def part(section, name):
    return next(one for one in section.parts if one.name == name)


def test_every_sample_record_and_window_is_counted_where_it_left(made):  # noqa: F811
    _, counts, _, located, _ = made
    samples = flow_of_samples(counts).counts
    assert samples["image samples"] == 9
    assert samples["no partner: no HARP"] == 1
    assert samples["train"] + samples["validation"] + samples["test"] == samples["pairs in splits"]
    records = flow_of_records(located, counts).counts
    assert (records["exact"], records["absent"], records["located in SWAN-SF"]) == (1, 1, 1)
    windows = flow_of_windows(CATALOGUES).counts
    assert (windows["windows read"], windows["rejected: rows"], windows["windows used"]) == (
        *(15, 1),
        13,
    )


def test_counts_that_do_not_add_up_are_an_error(made):  # noqa: F811
    _, counts, _, located, _ = made
    with pytest.raises(SkymillError, match="do not add up"):
        flow_of_samples({**counts, "samples": 10})
    with pytest.raises(SkymillError, match="do not add up"):
        flow_of_records(located, {**counts, "records_located": 2})


def test_a_pair_has_curves_beside_images(drawn):
    pair = part(drawn, "pair")
    assert "USFLUX, in 1e" in pair.body
    assert "USFLUX: 58 values from" in pair.body
    assert pair.body.count("<svg") == 6
    assert pair.body.count("<img") == 15
    assert pair.body.count("no image") == 1
    assert "58 of 60 steps" not in pair.body


def test_windows_are_counted_by_partition_and_rejected_ones_by_reason(drawn):
    body = part(drawn, "swan_sf").body
    assert "partition1: X 0, M 0, C 0, B 0, Q 7; partition3: X 1" in body
    assert "the number of rows is not 60" in body
    assert "<new>" not in body


def test_leaks_labels_and_agreement_are_told(drawn):
    assert "no group of regions is in two splits" in part(drawn, "splits").body
    assert "M in SDOBenchmark" in part(drawn, "labels").body
    assert "the same time 1.00" in part(drawn, "agreement").body
    assert "M: exact 1, rounded 0, nearest 0, ambiguous 0, absent 1" in part(drawn, "located").body


def test_it_holds_without_records_images_and_rejected_windows(made):  # noqa: F811
    pairs = made[0]
    dark = Pair(pairs.iloc[0].to_dict(), np.full((60, len(PARAMETERS)), np.nan), None)
    catalogues = {"partition3": CATALOGUES["partition3"]}
    drawn = section(made, located=None, shown=dark, catalogues=catalogues)
    assert "no records to locate" in part(drawn, "located").caption
    assert "sdo.tensors: false" in part(drawn, "pair").body
    assert "USFLUX: no value" in part(drawn, "pair").body
    assert "Rejected windows" not in part(drawn, "swan_sf").body
