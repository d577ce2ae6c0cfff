"""What a report consists of: sections of parts, and the HTML that a part may hold.

All text that comes here is text and not markup: the functions of this module escape it.
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
        The name of its file: lower case, digits, underscores, unique in the section.
    title
        A few words.
    caption
        What a reader sees here, in one to three sentences.
    body
        HTML of drawing, image, sheet, table and paragraph, joined.
    is_folded
        Whether the body is shown only after a click on the title: for what is long.
    """

    name: str
    title: str
    caption: str
    body: str
    is_folded: bool = False


@dataclass(frozen=True)
class Section:
    """The part of a report that is about one branch.

    Attributes
    ----------
    name
        The name of the branch.
    title
        As the table of contents shows it.
    introduction
        What the data set is, in a few sentences.
    parts
        In the order in which they are read.
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
    """Return a link; an address that a browser does not open stays text."""
    if not address.startswith(("https://", "http://")):
        return escaped(text)
    return f'<a href="{escaped(address)}">{escaped(text)}</a>'


def drawing(svg: str, alt: str) -> str:
    """Return a chart of charts.py with its description for those who do not see it.

    A chart keeps its size on a narrow screen, and scrolls in a region of its own.
    """
    shown = svg.replace("<svg ", f'<svg role="img" aria-label="{escaped(alt)}" ', 1)
    return _scrolling(shown, alt)


def side_by_side(bodies: Iterable[str]) -> str:
    """Return several drawings or images in as many columns as the screen has room for."""
    return f'<div class="columns">{"".join(f"<div>{body}</div>" for body in bodies)}</div>'


def image(png: bytes, alt: str, *, width: int, pixelated: bool = False) -> str:
    """Return a PNG of a size that a screen has room for.

    Parameters
    ----------
    png
        The content of a PNG file.
    width
        Width in pixels of the screen; on a narrow screen the image shrinks.
    pixelated
        Whether a pixel of the file that is enlarged is shown as a square.
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
    """Return a table; numbers are aligned right and grouped by thousands.

    Parameters
    ----------
    header
        The names of the columns.
    rows
        Text and numbers. The first cell of a row is its heading.
    what
        What the table is of: its caption.
    """
    rows = [list(row) for row in rows]
    numeric = [any(_is_number(row[place]) for row in rows) for place in range(len(header))]
    classes = [" class=number" if is_numeric else "" for is_numeric in numeric]
    head = "".join(
        # A heading without words would be read aloud as one.
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
    """Return content that is shown after a click on its summary."""
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
    """Return content that scrolls by itself where the screen is too narrow, also by keyboard."""
    return (
        f'<div class="wide" role="group" tabindex="0" aria-label="{escaped(what)}">{content}</div>'
    )


def picture_table(
    header: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], what: str
) -> str:
    """Return a table of pictures, which shrink so that all columns are on the screen.

    Parameters
    ----------
    header
        The names of all columns.
    rows
        The heading of each row, and the HTML of its cells: of image, absent and so on.
    what
        What the table is of: its caption.
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
    """Return a hatched square with words, in the place of a picture that there is none of."""
    return f'<div class="absent"><span>{escaped(text)}</span></div>'


def note(text: str) -> str:
    """Return a short remark below a picture."""
    return f'<span class="note">{escaped(text)}</span>'


def swatch(colour: tuple[int, int, int], text: str) -> str:
    """Return a line of a legend: a square of a colour that pictures have, and what it means."""
    red, green, blue = colour
    return (
        f'<p class="legend"><span class="swatch" style="background:rgb({red},{green},{blue})">'
        f"</span>{escaped(text)}</p>"
    )
