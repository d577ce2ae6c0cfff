"""The section of the report about the auxiliary table of flares."""

from collections.abc import Mapping
from pathlib import Path

from skymill.engine.tables import read_table
from skymill.report.charts import grouped, stacked
from skymill.report.flow import Flow
from skymill.report.parts import Part, Section, drawing, table
from skymill.stealth.schema import COLUMNS, PUBLISHED_ROWS

FLARES = {
    "common_flares": "C-class flares",
    "moderate_flares": "M-class flares",
    "severe_flares": "X-class flares",
}


def draw_section(counts: Mapping, path: Path) -> Section:
    """Return the section of the report.

    Parameters
    ----------
    counts
        The counts of the lines of the published file.
    path
        The table, whose content was compared with its manifest.
    """
    rows = read_table(path)
    return Section(
        "stealth",
        "Stealth flares",
        "The auxiliary table, UCI Solar Flare (1989). Each row describes one active region on one "
        f"day. The published file has {PUBLISHED_ROWS:,} rows.",
        (_flow(counts, rows.num_rows), _flares(rows), _groups(rows)),
    )


def _flow(counts: Mapping, rows: int) -> Part:
    flow = Flow("rows")
    flow.total("lines read", counts["lines"])
    flow.leaves("blank", counts["blank"])
    for reason, count in sorted(counts["rejected_by_reason"].items()):
        flow.leaves(f"rejected: {reason.replace('_', ' ')}", count)
    flow.total("valid", counts["valid"])
    flow.total("rows in the table", rows)
    return Part(
        "flow",
        "From lines to rows",
        "Every line of the file is a row of the table, or the chart shows why the line was "
        "removed. All counts add up.",
        flow.body("From lines of the file to rows of the table"),
    )


def _flares(rows) -> Part:
    columns = {title: rows[name].to_pylist() for name, title in FLARES.items()}
    values = {
        title: {
            "rows with one flare": sum(count == 1 for count in column),
            "rows with several flares": sum(count > 1 for count in column),
        }
        for title, column in columns.items()
    }
    alt = "; ".join(
        f"{title}: {', '.join(f'{count} {what}' for what, count in found.items())}"
        for title, found in values.items()
    )
    return Part(
        "flares",
        "Flares in the following 24 hours",
        f"The chart shows how many of the {rows.num_rows:,} rows have flares of each class in the "
        "following 24 hours.",
        drawing(grouped(values, unit="rows"), alt),
    )


def _groups(rows) -> Part:
    column = next(one for one in COLUMNS if one.name == "modified_zurich_class")
    found = rows[column.name].to_pylist()
    flares = zip(*(rows[name].to_pylist() for name in FLARES), strict=True)
    active = [code for code, counts in zip(found, flares, strict=True) if any(counts)]
    values = {
        code: {
            "with a flare": active.count(code),
            "without": found.count(code) - active.count(code),
        }
        for code in column.meanings
    }
    lines = [
        [f"{code}: {meaning}", *values[code].values()] for code, meaning in column.meanings.items()
    ]
    alt = "; ".join(f"{name}: {some} with a flare, {none} without" for name, some, none in lines)
    return Part(
        "sunspot_groups",
        "Classes of sunspot groups",
        "Rows of each McIntosh class (modified Zurich class), with and without a flare in the "
        "following 24 hours.",
        drawing(stacked(values, unit="rows"), alt)
        + table(["class", "with a flare", "without"], lines, "Rows of each class"),
    )
