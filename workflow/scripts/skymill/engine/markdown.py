"""Tables and text in Markdown, for the pages that people read."""

import json
import re
from collections.abc import Mapping

_MARKUP = re.compile(
    r"""[&<>"`*\[\]|~\\@]      # HTML, code, emphasis, links, cells, mail addresses
    |(?<![^\W_])_|_(?![^\W_])  # an underscore that does not stand inside a word
    |:(?=//)|(?<=www)\.        # addresses, which readers make links of
    |^(?!-$)[#+=-](?=[#=-]*(\s|$))|^\d+[.)](?=\s|$)  # headings, rules and lists
    """,
    re.VERBOSE | re.IGNORECASE,
)


def escaped(text: object) -> str:
    """Return text that came with the data as it is shown in a page, in Markdown and in HTML.

    What a reader of Markdown or HTML takes for markup becomes a character reference. In HTML the
    text may be an element's content or an attribute in double quotes. What cannot be printed, such
    as a line feed or a change of the writing direction, becomes its escape in Python. A lone dash
    stays: pages write it where there is nothing.
    """
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))
    return _MARKUP.sub(lambda found: f"{found[0][:-1]}&#{ord(found[0][-1])};", shown)


def markdown_table(header: list[str], rows: list[list]) -> str:
    """Return a Markdown table; numbers are aligned right and grouped by thousands.

    Cells are text, not markup: see escaped.
    """
    shown = [
        [f"{cell:,}" if isinstance(cell, int) else escaped(cell) for cell in row] for row in rows
    ]
    header = [escaped(name) for name in header]
    widths = [max(map(len, column)) for column in zip(header, *shown, strict=True)]
    right = [any(isinstance(row[i], int) for row in rows) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        aligned = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(cells, widths, right, strict=True)
        ]
        return f"| {' | '.join(aligned)} |"

    rule = [
        "-" * (width + 1) + (":" if number else "-")
        for width, number in zip(widths, right, strict=True)
    ]
    return "\n".join([line(header), f"|{'|'.join(rule)}|", *map(line, shown)])


def settings_table(settings: dict) -> str:
    """Return settings by their dotted names: one row for each entry of a section."""
    return markdown_table(["setting", "value"], setting_rows(settings))


def setting_rows(settings: Mapping) -> list[list[str]]:
    """Return the rows of settings_table: a dotted name, and the value as a file has it."""
    rows = []
    for name, value in sorted(settings.items()):
        if isinstance(value, dict) and value:
            rows += [[f"{name}.{key}", _as_written(inner)] for key, inner in value.items()]
        else:
            rows.append([name, _as_written(value) if value != {} else "nothing"])
    return rows


def _as_written(value) -> str:
    """Return a setting as a configuration file has it on one line."""
    return json.dumps(value).replace('"', "")
