"""A flow shows what became of everything, and refuses counts that do not add up."""

import pytest

from skymill.engine.errors import SkymillError
from skymill.report.flow import Stage, flow, require_sums

READ = Stage("Lines read", 10, {"kept": 8}, {"damaged": 2, "repeated": 0})
SPLIT = Stage("Records", 8, {"train": 8, "test": 0})


def test_a_flow_says_every_number_in_words_as_well():
    drawn = flow([READ, SPLIT])
    assert (
        'aria-label="Lines read: 10. Of these: kept 8. Left out: damaged 2. '
        'Records: 8. Of these: train 8, test 0."' in drawn
    )
    for text in ("Lines read: 10", "→ kept", "8 (80.0%)", "✕ damaged", "2 (20.0%)", "0 (0.0%)"):
        assert text in drawn


def test_nothing_that_left_is_not_drawn():
    assert "repeated" not in flow([READ])


def test_a_stage_of_nothing_is_drawn():
    assert "Records: 0" in flow([Stage("Records", 0, {"train": 0})])


def test_names_are_text_and_not_markup():
    drawn = flow([Stage("<b>", 1, {'"&': 1})])
    assert "<b>" not in drawn
    assert '"&"' not in drawn


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([Stage("Lines read", 10, {"kept": 8}, {"damaged": 1})], "10, but the parts are 9"),
        ([Stage("Lines read", 7, {"kept": 8}, {"damaged": -1})], "7, but the parts are 7"),
        ([READ, Stage("Records", 7, {"train": 7})], "7, but 8 are left of Lines read"),
    ],
)
def test_counts_that_do_not_add_up_are_an_error(stages, message):
    with pytest.raises(SkymillError, match=message):
        flow(stages)


def test_a_stage_may_count_other_things_than_the_one_before():
    require_sums([READ, Stage("Regions", 3, {"train": 3}, is_new=True)])
