"""The table of the catalogue: the status of each line of a file, or of each window of SWAN-SF."""

import pyarrow as pa
import pyarrow.compute as pc

from skymill.engine.arrays import to_arrow
from skymill.engine.tables import categorical
from skymill.magnetic.inputs import PARTITION_NAMES
from skymill.magnetic.schema import CLASSES, UNKNOWN

NO_USFLUX = "no_usflux"
"""The reason of records that were never measured: USFLUX is zero or missing at every step."""

REASONS = (
    "line_too_long",
    "line_too_short",
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
"""The reasons for which lines are rejected."""

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
        pa.field("lines", pa.int64(), nullable=False),
    ]
)
"""One row per line, in file order; status is `valid`, `rejected` or `blank`.

If a block of a file has very many lines that are no records, one row counts all further lines of
the block with the same status, reason and label: `lines` is their number, `line` is the first.
"""


def count_lines(catalogue: pa.Table) -> dict:
    """Count lines by status, valid records by label, rejected lines by reason and by label.

    `catalogue` has the columns of CATALOGUE_SCHEMA.
    """

    def tally(table: pa.Table, name: str) -> dict:
        counted = pc.value_counts(table[name].cast("string")).to_pylist()
        found = {entry["values"]: entry["counts"] for entry in counted}
        # The few rows that count several lines.
        several = table.filter(pc.greater(table["lines"], to_arrow([1], pa.int64())[0]))
        words, lines = several[name].cast("string").to_pylist(), several["lines"].to_pylist()
        for word, number in zip(words, lines, strict=True):
            found[word] += number - 1
        return found

    def count(column: str, status: str) -> dict:
        wanted = to_arrow([status], pa.string())[0]
        chosen = catalogue.filter(pc.equal(catalogue["status"].cast("string"), wanted))
        counts = {value or UNKNOWN: number for value, number in tally(chosen, column).items()}
        order = {label: place for place, label in enumerate(CLASSES)}
        return dict(sorted(counts.items(), key=lambda item: (order.get(item[0], 9), item[0])))

    statuses = {"valid": 0, "rejected": 0, "blank": 0, **tally(catalogue, "status")}
    return {
        "lines": pc.sum(catalogue["lines"]).as_py() or 0,
        "valid": statuses["valid"],
        "rejected": statuses["rejected"],
        "blank": statuses["blank"],
        "valid_by_label": count("label", "valid"),
        "rejected_by_reason": count("reason", "rejected"),
        "rejected_by_label": count("label", "rejected"),
    }
