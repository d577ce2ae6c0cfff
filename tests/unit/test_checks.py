"""An output is checked before it moves into place: its records, 60 steps, finite values."""

import numpy as np
import pyarrow as pa
import pytest

from skymill.engine.errors import SkymillError
from skymill.magnetic.output_checks import require_counts, require_finite, require_records
from skymill.magnetic.schema import STEPS


def table(record_id, seq_id=None, values=None):
    record_id = np.repeat(record_id, STEPS)
    seq_id = np.tile(np.arange(STEPS), len(record_id) // STEPS) if seq_id is None else seq_id
    values = np.ones(len(record_id)) if values is None else values
    return pa.table({"record_id": record_id, "seq_id": seq_id, "TOTFX": values})


def test_the_expected_records_pass():
    require_records(table([3, 5, 9]), np.array([3, 5, 9]))


@pytest.mark.parametrize("record_id", [[3, 5], [3, 5, 9, 10], [3, 5, 8], [5, 3, 9]])
def test_other_records_are_refused(record_id):
    with pytest.raises(SkymillError, match="not the ids of the plan"):
        require_records(table(record_id), np.array([3, 5, 9]))


@pytest.mark.parametrize("record_id", [[3, 3], [5, 3]])
def test_a_record_that_occurs_twice_is_refused(record_id):
    with pytest.raises(SkymillError, match="occurs twice"):
        require_records(table(record_id), np.array(record_id))


def test_swapped_repeated_or_missing_steps_are_refused():
    steps = np.tile(np.arange(STEPS), 2)
    for place, step in ((0, 1), (119, 58), (60, 59)):
        changed = steps.copy()
        changed[place] = step
        with pytest.raises(SkymillError, match="other steps"):
            require_records(table([3, 5], changed), np.array([3, 5]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_non_finite_value_is_refused_with_its_place(value):
    values = np.ones(2 * STEPS)
    values[STEPS + 7] = value
    with pytest.raises(SkymillError, match=f"TOTFX is {value} in record 5, step 7"):
        require_finite(table([3, 5], values=values))


def test_finite_values_pass():
    require_finite(table([3, 5], values=np.full(2 * STEPS, -1e308)))


def test_classes_without_records_need_not_be_named(tmp_path):
    require_counts(tmp_path, {"Q": 3}, {"X": 0, "Q": 3})


@pytest.mark.parametrize("found", [{"Q": 2}, {"Q": 3, "X": 1}, {}, {"M": 3}])
def test_counts_that_differ_from_the_plan_are_refused(tmp_path, found):
    with pytest.raises(SkymillError, match="the plan has"):
        require_counts(tmp_path, found, {"X": 0, "Q": 3})
