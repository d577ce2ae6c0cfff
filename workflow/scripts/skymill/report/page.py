"""HTML pages of the report: one file each, without scripts, for light and dark screens."""

from collections.abc import Iterable

from skymill.engine.markdown import escaped
from skymill.report.parts import Part, Section
from skymill.report.style import PATTERNS, STYLE

_BEGIN, _END = "<!-- part -->\n", "\n<!-- end -->"


def part_page(part: Part, section: str) -> str:
    """Return a page that shows one part alone. `body_of` returns the body of such a page."""
    return _page(
        f"{part.title} ({section})",
        f"<main><h1>{escaped(part.title)}</h1>"
        f"<p>{escaped(part.caption)}</p>\n{_BEGIN}{part.body}{_END}\n</main>",
    )


def body_of(page: str) -> str:
    """Return the body of the part from a page that part_page made."""
    return page.partition(_BEGIN)[2].partition(_END)[0]


def report_page(title: str, summary: str, sections: Iterable[Section], closing: str) -> str:
    """Return the page of the whole report.

    Parameters
    ----------
    title
        The heading of the page.
    summary, closing
        HTML before the table of contents, and HTML at the end of the page.
    sections
        The sections in the order of the page.
    """
    sections = list(sections)
    contents = "".join(
        f'<li><a href="#{section.name}">{escaped(section.title)}</a></li>' for section in sections
    )
    return _page(
        title,
        '<a class="skip" href="#content">Skip to the content</a>'
        f"<header><h1>{escaped(title)}</h1>{summary}</header>"
        f'<nav aria-label="Contents"><ul>{contents}</ul></nav>'
        f'<main id="content">{"".join(map(_section, sections))}</main>'
        f"<footer>{closing}</footer>",
    )


def _section(section: Section) -> str:
    parts = "\n".join(_part(part, section.name) for part in section.parts)
    return (
        f'<section id="{section.name}" aria-labelledby="{section.name}-title">'
        f'<h2 id="{section.name}-title">{escaped(section.title)}</h2>'
        f"<p>{escaped(section.introduction)}</p>\n{parts}</section>\n"
    )


def _part(part: Part, section: str) -> str:
    heading = f"<h3>{escaped(part.title)}</h3>"
    caption = f"<figcaption>{escaped(part.caption)}</figcaption>"
    inside = f"{heading}{caption}{part.body}"
    if part.is_folded:
        inside = f"<details><summary>{heading}</summary>{caption}{part.body}</details>"
    return f'<figure id="{section}-{part.name}">{inside}</figure>'


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escaped(title)}</title><style>{STYLE}</style></head>\n"
        f"<body>{PATTERNS}{body}</body></html>\n"
    )
