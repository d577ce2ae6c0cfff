"""The sections and parts of a report, and the HTML elements of a part.

The functions of this module escape all texts that they are given.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skymill.engine.markdown import escaped


@dataclass(frozen=True)
class Part:
    """A figure or a table of a report.

    Attributes
    ----------
    name
        The name of its file: lower case, digits and underscores, unique in the section.
    title
        A few words.
    caption
        One to three sentences that say what the part shows.
    body
        The joined HTML of drawings, images, sheets, tables and paragraphs.
    is_folded
        Whether the body appears only after a click on the title, because the part is long.
    """

    name: str
    title: str
    caption: str
    body: str
    is_folded: bool = False


@dataclass(frozen=True)
class Section:
    """The section of a report about one branch.

    Attributes
    ----------
    name
        The name of the branch.
    title
        The title in the table of contents.
    introduction
        A few sentences about the data set.
    parts
        The parts in reading order.
    """

    name: str
    title: str
    introduction: str
    parts: tuple[Part, ...]


def paragraph(text: str) -> str:
    """Return a paragraph of text."""
    return f"<p>{escaped(text)}</p>"


def bullets(texts: Iterable[str]) -> str:
    """Return a list of sentences."""
    return f"<ul>{''.join(f'<li>{escaped(text)}</li>' for text in texts)}</ul>"


def link(address: str, text: str) -> str:
    """Return a link, or the text alone if the address is not http(s)."""
    if not address.startswith(("https://", "http://")):
        return escaped(text)
    return f'<a href="{escaped(address)}">{escaped(text)}</a>'


def drawing(svg: str, alt: str) -> str:
    """Return a chart of charts.py with a description for screen readers.

    On a narrow screen the chart keeps its size and scrolls separately.
    """
    shown = svg.replace("<svg ", f'<svg role="img" aria-label="{escaped(alt)}" ', 1)
    return _scrolling(shown, alt)


def side_by_side(bodies: Iterable[str]) -> str:
    """Return drawings or images in columns; the width of the screen decides how many columns."""
    return f'<div class="columns">{"".join(f"<div>{body}</div>" for body in bodies)}</div>'


def image(png: bytes, alt: str, *, width: int, pixelated: bool = False) -> str:
    """Return a PNG as an image that shrinks to the width of the screen.

    Parameters
    ----------
    png
        The content of a PNG file.
    width
        Width on the screen in pixels. On a narrow screen the image shrinks.
    pixelated
        Whether each pixel of an enlarged image is shown as a square.
    """
    style = " class=pixels" if pixelated else ""
    data = base64.b64encode(png).decode()
    return (
        f'<img{style} alt="{escaped(alt)}" style="width:{width}px" '
        f'src="data:image/png;base64,{data}">'
    )


def sheet(items: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Return images in rows, with lines of text below each: (HTML of an image, lines)."""
    cells = (
        f"<li>{picture}{''.join(f'<span>{escaped(line)}</span>' for line in lines)}</li>"
        for picture, lines in items
    )
    return f'<ul class="sheet">{"".join(cells)}</ul>'


def table(header: Sequence[str], rows: Iterable[Sequence], what: str) -> str:
    """Return a table. Numbers are aligned right, with commas between thousands.

    Parameters
    ----------
    header
        The names of the columns.
    rows
        Texts and numbers. The first cell of a row is the heading of the row.
    what
        The caption of the table.
    """
    rows = [list(row) for row in rows]
    numeric = [any(_is_number(row[place]) for row in rows) for place in range(len(header))]
    classes = [" class=number" if is_numeric else "" for is_numeric in numeric]
    head = "".join(
        # A screen reader would announce an empty heading.
        f'<th scope="col"{style}>{escaped(name)}</th>' if name else "<td></td>"
        for name, style in zip(header, classes, strict=True)
    )
    lines = []
    for row in rows:
        cells = [f"{_shown(cell)}" for cell in row]
        first = f'<th scope="row">{cells[0]}</th>'
        others = (
            f"<td{style}>{cell}</td>" for cell, style in zip(cells[1:], classes[1:], strict=True)
        )
        lines.append(f"<tr>{first}{''.join(others)}</tr>")
    return _scrolling(
        f"<table><caption>{escaped(what)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>",
        what,
    )


def folded(summary: str, content: str) -> str:
    """Return content that appears after a click on its summary."""
    return f"<details><summary>{escaped(summary)}</summary>{content}</details>"


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float)


def _shown(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.4g}"
    return escaped("" if cell is None else cell)


def _scrolling(content: str, what: str) -> str:
    """Return content that scrolls separately on a narrow screen, also by keyboard."""
    return (
        f'<div class="wide" role="group" tabindex="0" aria-label="{escaped(what)}">{content}</div>'
    )


def picture_table(
    header: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], what: str
) -> str:
    """Return a table of pictures. The pictures shrink until all columns fit on the screen.

    Parameters
    ----------
    header
        The names of all columns.
    rows
        The heading of each row and the HTML of its cells, for example from image or absent.
    what
        The caption of the table.
    """
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{escaped(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}'
        "</tr>"
        for name, cells in rows
    )
    return (
        f'<table class="pictures"><caption>{escaped(what)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def absent(text: str) -> str:
    """Return a hatched square with a text in place of a missing picture."""
    return f'<div class="absent"><span>{escaped(text)}</span></div>'


def note(text: str) -> str:
    """Return a short remark below a picture."""
    return f'<span class="note">{escaped(text)}</span>'


def swatch(colour: tuple[int, int, int], text: str) -> str:
    """Return a line of a legend: a square of a colour, and the meaning of the colour."""
    red, green, blue = colour
    return (
        f'<p class="legend"><span class="swatch" style="background:rgb({red},{green},{blue})">'
        f"</span>{escaped(text)}</p>"
    )
