"""Convert: the rows, once few enough lines were rejected, become the final table."""

import logging
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skymill.errors import SkymillError
from skymill.stealth.schema import COLUMNS, LICENCE, PUBLISHED_ROWS, SOURCE
from skymill.tables import write_table

logger = logging.getLogger(__name__)

SHOWN = 5
"""Rejected lines that a message shows."""


def convert(
    rows: Path,
    quarantine: Path,
    counts: dict,
    output: Path,
    *,
    max_rejected_fraction: float,
    simulated: bool,
) -> dict:
    """Write the final table, every row of the file in its order.

    Parameters
    ----------
    rows, quarantine, counts
        Of `ingest`; `counts` as its manifest has them.
    output
        Parquet, see schema.SCHEMA.
    max_rejected_fraction
        Of the lines that are not blank.
    simulated
        Whether the rows are simulated; real ones are expected to be as many as published.

    Returns
    -------
    The manifest's part on content: `files`, `counts`, `warnings`, `origin` and `licence`. Rows
    that repeat an earlier one are counted and kept: they have no key, and regions may be alike.

    Raises
    ------
    SkymillError
        When too many lines were rejected, or no row is left.
    """
    require_accepted(counts, quarantine, max_rejected_fraction)
    table = pq.read_table(rows)
    warnings = []
    if not simulated and table.num_rows != PUBLISHED_ROWS:
        warnings.append(
            f"{table.num_rows:,} rows instead of the {PUBLISHED_ROWS:,} of the published file"
        )
        logger.warning("%s: is this another version of it?", warnings[0])
    return {
        "files": [write_table(output, table)],
        "counts": count_rows(table),
        "warnings": warnings,
        "origin": SOURCE,
        "licence": LICENCE,
    }


def count_rows(table: pa.Table) -> dict:
    """Return how many rows there are, have flares of each class, and repeat an earlier row."""
    flares = {
        column.name: pc.sum(pc.greater(table[column.name], 0)).as_py() or 0
        for column in COLUMNS
        if column.meanings is None
    }
    distinct = len(set(zip(*(column.to_pylist() for column in table.columns), strict=True)))
    return {
        "records": table.num_rows,
        "records_with": flares,
        "repeat_an_earlier_row": table.num_rows - distinct,
    }


def require_accepted(counts: dict, quarantine: Path, max_rejected_fraction: float) -> None:
    """Raise SkymillError, showing the first of them, when too many lines were rejected."""
    met = counts["valid"] + counts["rejected"]
    if counts["valid"] and counts["rejected"] <= max_rejected_fraction * met:
        return
    with open(quarantine, encoding="utf-8") as stream:
        shown = "".join(f"  {line}" for line in islice(stream, SHOWN))
    reasons = ", ".join(f"{name} {count:,}" for name, count in counts["rejected_by_reason"].items())
    share = f"{counts['rejected'] / met:.2%}, " if met else ""
    raise SkymillError(
        f"{counts['rejected']:,} of {met:,} lines of the auxiliary table were rejected ({share}"
        f"allowed {max_rejected_fraction:.2%}), {counts['valid']:,} rows are left: "
        f"{reasons or 'there is no line below the names of the columns'}.\n{shown}"
        f"All of them stand in {quarantine}. Mend or replace the file, or raise "
        "limits.max_rejected_fraction if that many are expected."
    )
