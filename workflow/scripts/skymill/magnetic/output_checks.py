"""Checks of a job's output before the output moves into place."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from skymill.engine.errors import SkymillError
from skymill.magnetic.schema import STEPS


def require_records(table: pa.Table, record_id: np.ndarray) -> None:
    """Check that a table contains exactly these records, each with the steps 0..59 in order.

    `record_id` is int64, ascending and unique.
    """
    expected = np.repeat(record_id, STEPS)
    if not np.array_equal(table["record_id"].to_numpy(), expected):
        raise SkymillError(_broken("its record ids are not the ids of the plan"))
    if not (np.diff(record_id) > 0).all():
        raise SkymillError(_broken("a record id occurs twice"))
    steps = table["seq_id"].to_numpy().reshape(-1, STEPS)
    if not (steps == np.arange(STEPS)).all():
        raise SkymillError(_broken("a record has other steps than 0..59"))


def require_finite(table: pa.Table) -> None:
    """Check that every float column is finite, so that a model can be trained on it."""
    for field in table.schema:
        if pa.types.is_floating(field.type):
            values = table[field.name].to_numpy()
            if not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values))[0])
                where = f"record {table['record_id'][row]}, step {table['seq_id'][row]}"
                raise SkymillError(_broken(f"{field.name} is {values[row]} in {where}"))


def require_counts(output: Path, found: dict[str, int], expected: dict[str, int]) -> None:
    """Check that the number of written records of each class is the number in the plan."""
    planned = {label: count for label, count in expected.items() if count}
    if dict(found) != planned:
        raise SkymillError(
            f"{output} would have {dict(found)} records by class, but the plan has {planned}. The "
            "plan and the values come from different runs: delete preprocessed/solar_flare_2020 in "
            "the results folder and run again."
        )


def _broken(what: str) -> str:
    return f"the output failed a check: {what}. Please report this error and send the log."
