"""Convert: write the final table, unless too many lines were rejected."""

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
    """Write the final table: every valid row, in the order of the file.

    Parameters
    ----------
    rows, quarantine, counts
        The outputs of `ingest`, and the counts of its manifest.
    output
        Parquet, see schema.SCHEMA.
    max_rejected_fraction
        The largest share of rejected lines among the lines that are not blank.
    simulated
        Whether the rows are simulated. The number of real rows is compared with the published
        number.

    Returns
    -------
    The manifest's `files`, `counts`, `ingested`, `warnings`, `origin` and `licence`. Rows that
    repeat an earlier row are counted and kept: rows have no key, and regions may be alike.

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
        logger.warning("%s: is this another version of the file?", warnings[0])
    return {
        "files": [write_table(output, table)],
        "counts": count_rows(table),
        "ingested": counts,
        "warnings": warnings,
        "origin": SOURCE,
        "licence": LICENCE,
    }


def count_rows(table: pa.Table) -> dict:
    """Return the number of rows, of rows with flares of each class, and of repeated rows."""
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
