"""Convert: the rows, once few enough lines were rejected, become the final table."""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from skymill.engine.tables import read_table, write_table
from skymill.stealth.check import require_accepted
from skymill.stealth.schema import COLUMNS, LICENCE, PUBLISHED_ROWS, SOURCE

logger = logging.getLogger(__name__)


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
    The manifest's part on content: `files`, `counts`, `ingested`, `warnings`, `origin` and
    `licence`. Rows
    that repeat an earlier one are counted and kept: they have no key, and regions may be alike.

    Raises
    ------
    SkymillError
        When too many lines were rejected, or no row is left.
    """
    require_accepted(counts, quarantine, max_rejected_fraction)
    table = read_table(rows)
    warnings = []
    if not simulated and table.num_rows != PUBLISHED_ROWS:
        warnings.append(
            f"{table.num_rows:,} rows instead of the {PUBLISHED_ROWS:,} of the published file"
        )
        logger.warning("%s: is this another version of it?", warnings[0])
    return {
        "files": [write_table(output, table)],
        "counts": count_rows(table),
        "ingested": counts,
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
