"""Text from the data is plain text on pages, never markup."""

import html
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from skymill.engine.markdown import escaped, markdown_table

READER = MarkdownIt("commonmark", {"html": True}).enable("table")


def cells(page: str) -> list[str]:
    """Return the cells of a table as a browser shows them, without tags."""
    return re.findall(r"<td[^>]*>(.*?)</td>", READER.render(page), re.DOTALL)


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("train_partition1_data", "train_partition1_data"),
        ("wind 3.5, 12.3 %", "wind 3.5, 12.3 %"),
        ("-", "-"),
        ("a|b", "a&#124;b"),
        ("<b>", "&#60;b&#62;"),
        ("_x_", "&#95;x&#95;"),
        ("http://sky", "http&#58;//sky"),
        ("two\nlines", "two&#92;nlines"),
        ("\u202eleft", "&#92;u202eleft"),
    ],
)
def test_only_markup_is_escaped(text, page):
    assert escaped(text) == page


@given(st.text(min_size=1))
def test_a_browser_shows_the_text_unchanged(text):
    page = markdown_table(["name", "rows"], [[text, 1]])
    printable = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    name, rows = cells(page)
    assert "<" not in name
    assert html.unescape(name) == printable.strip()
    assert rows == "1"


@given(st.lists(st.sampled_from(["#", "-", "=", "1", ".", ")", " ", "x", "_", "*", "<", "&", ";"])))
def test_a_paragraph_stays_a_paragraph(parts):
    text = "".join(parts).strip()
    assume(text != "-")
    page = READER.render(f"Before.\n\n{escaped(text)} after")
    shown = re.fullmatch(r"<p>Before\.</p>\n<p>(.*)</p>\n", page)
    assert shown
    assert html.unescape(shown[1]) == f"{text} after".strip()


@given(st.text())
def test_no_text_can_break_out_of_an_html_attribute(text):
    assert not {'"', "<", ">"} & set(escaped(text))
