"""The catalogue as a table: what became of each line of a file, or of each window of SWAN-SF."""

import pyarrow as pa
import pyarrow.compute as pc

from skymill.engine.arrays import to_arrow
from skymill.engine.tables import categorical
from skymill.magnetic.inputs import PARTITION_NAMES
from skymill.magnetic.schema import CLASSES, UNKNOWN

NO_USFLUX = "no_usflux"
"""A record that was never measured: its USFLUX is zero or missing at every step."""

REASONS = (
    "line_too_long",
    "invalid_json",
    "not_one_record",
    "invalid_id",
    "invalid_label",
    "missing_parameter",
    "wrong_steps",
    "not_a_number",
    "repeated_key",
    NO_USFLUX,
)
"""Why lines are rejected."""

STATUSES = ("valid", "rejected", "blank")

CATALOGUE_SCHEMA = pa.schema(
    [
        categorical("partition", PARTITION_NAMES, nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("source_id", pa.int64()),
        categorical("label", CLASSES),
        categorical("status", STATUSES, nullable=False),
        categorical("reason", REASONS),
        pa.field("content", pa.binary(16)),
    ]
)
"""A row for every line met, in file order; status is `valid`, `rejected` or `blank`."""


def count_lines(catalogue: pa.Table) -> dict:
    """Count lines by status, valid records by label, rejected lines by reason and by label.

    `catalogue` has the columns of CATALOGUE_SCHEMA.
    """

    def tally(column: pa.ChunkedArray) -> dict:
        counted = pc.value_counts(column.cast("string")).to_pylist()
        return {entry["values"]: entry["counts"] for entry in counted}

    def count(column: str, status: str) -> dict:
        wanted = to_arrow([status], pa.string())[0]
        chosen = catalogue.filter(pc.equal(catalogue["status"].cast("string"), wanted))
        counts = {value or UNKNOWN: number for value, number in tally(chosen[column]).items()}
        order = {label: place for place, label in enumerate(CLASSES)}
        return dict(sorted(counts.items(), key=lambda item: (order.get(item[0], 9), item[0])))

    statuses = {"valid": 0, "rejected": 0, "blank": 0, **tally(catalogue["status"])}
    return {
        "lines": catalogue.num_rows,
        "valid": statuses["valid"],
        "rejected": statuses["rejected"],
        "blank": statuses["blank"],
        "valid_by_label": count("label", "valid"),
        "rejected_by_reason": count("reason", "rejected"),
        "rejected_by_label": count("label", "rejected"),
    }
