"""Parts, charts and pages of the report: text stays text, nothing is asked for, counts add up."""

import re
from html.parser import HTMLParser

import pytest

from skymill.engine.errors import SkymillError
from skymill.engine.products import Product
from skymill.report import charts, flow
from skymill.report.flow import Flow
from skymill.report.folder import read_section, write_section
from skymill.report.page import body_of, part_page, report_page
from skymill.report.parts import (
    Part,
    Section,
    bullets,
    drawing,
    image,
    link,
    paragraph,
    sheet,
    table,
)
from skymill.report.style import PATTERNS, STYLE

HOSTILE = '<script>alert("1")</script> & `x` \N{RIGHT-TO-LEFT OVERRIDE}'


class Elements(HTMLParser):
    """Collects the elements of a page, and whether each is closed in order."""

    VOID = frozenset(["meta", "link", "img", "br"])

    def __init__(self, page):
        super().__init__()
        self.names, self.attributes, self.open = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        """Keep an element, which is open until its end."""
        self.names.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Keep an element without content."""
        self.names.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        """Close the element that was opened last."""
        assert self.open.pop() == tag


def section(*parts):
    return Section("magnetic", "Magnetic records", "What they are.", parts)


@pytest.mark.parametrize(
    "body",
    [
        paragraph(HOSTILE),
        bullets([HOSTILE]),
        drawing("<svg ></svg>", HOSTILE),
        image(b"png", HOSTILE, width=10),
        sheet([("<img>", [HOSTILE])]),
        table(["a", HOSTILE], [[HOSTILE, 1]], HOSTILE),
        link("https://example.org/" + HOSTILE, HOSTILE),
        link("javascript:alert(1)", HOSTILE),
    ],
)
def test_text_is_never_markup(body):
    found = Elements(part_page(Part("name", HOSTILE, HOSTILE, body), HOSTILE))
    assert "script" not in found.names
    assert not any(str(value).startswith("javascript") for _, value in found.attributes)
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in body


def test_a_page_asks_for_nothing_and_has_its_headings_in_order():
    parts = [Part("a", "First", "Caption.", paragraph("x")), Part("b", "Second", "C.", "", True)]
    page = report_page("Title", paragraph("Summary"), [section(*parts)], paragraph("End"))
    found = Elements(page)
    assert "script" not in found.names
    assert re.findall(r'(?:src|href)="(?!#|data:)', page) == []
    assert "url(" not in STYLE.replace("url(#", "")
    assert [name for name in found.names if re.fullmatch(r"h\d", name)] == ["h1", "h2", "h3", "h3"]
    assert ("lang", "en") in found.attributes
    assert ("href", "#content") in found.attributes
    assert page.index('href="#content"') < page.index("<h1>")


def test_a_section_is_read_as_it_was_written(tmp_path, described_folder):
    parts = (Part("a", "First", "Caption.", paragraph("x")), Part("b", "Second", "C.", "y", True))
    written = section(*parts)
    folder = tmp_path / "processed/report/magnetic"
    described_folder(folder, write_section(written, folder))
    assert read_section(Product(folder)) == written
    assert sorted(path.name for path in folder.iterdir()) == [
        *("01_a.html", "02_b.html", "section.json")
    ]
    (folder / "01_a.html").write_text((folder / "01_a.html").read_text().replace("x", "z"))
    with pytest.raises(SkymillError, match=r"01_a\.html is damaged or was changed"):
        read_section(Product(folder))


@pytest.fixture
def described_folder(tmp_path):
    """Return a function that writes the manifest of a folder of the results."""
    from skymill.engine.products import manifest_path, write_document

    def describe(folder, entries):
        name = folder.relative_to(tmp_path).as_posix()
        files = [{**entry, "name": f"{name}/{entry['name']}"} for entry in entries]
        write_document(manifest_path(folder), {"product": name, "files": files})

    return describe


def test_a_page_of_one_part_gives_the_part_back():
    part = Part("a", "First", "Caption.", paragraph("x") + paragraph("y"))
    assert body_of(part_page(part, "Magnetic records")) == part.body


def test_tables_have_scopes_and_a_caption_and_numbers_on_the_right():
    body = table(["class", "count", "share"], [["X", 1234, 0.5], ["M", None, 0.25]], "What it is")
    assert "<caption>What it is</caption>" in body
    assert body.count('scope="col"') == 3
    assert body.count('scope="row"') == 2
    assert "<td class=number>1,234</td>" in body
    assert "<td class=number></td>" in body
    assert 'tabindex="0"' in body


CHARTS = {
    "bars": lambda: charts.bars({"a": 1, "b": 0}, unit="records"),
    "stacked": lambda: charts.stacked({"a": {"x": 1, "y": 2}}, unit="records", share=True),
    "grouped": lambda: charts.grouped({"a": {"x": 1, "y": 2}}, unit="records", log=True),
    "lines": lambda: charts.lines({"a": [(0, 1.0), (1, None), (2, 3.0)]}, x="x", title="t"),
    "ranges": lambda: charts.ranges({"a": {0.05: 1, 0.25: 2, 0.5: 3, 0.75: 4, 0.95: 5}}, x="x"),
    "units": lambda: charts.units({"a": ["x"]}, ["x"], series_title="t", ends={"a": "1 of 1"}),
}


@pytest.mark.parametrize("kind", CHARTS)
def test_a_chart_is_svg_of_the_pages_colours_with_text_as_text(kind):
    svg = CHARTS[kind]()
    found = Elements(svg)
    assert found.names[0] == "svg"
    assert "text" in found.names
    colours = {value for name, value in found.attributes if name in ("fill", "stroke")}
    assert {value for value in colours if not value.startswith(("var(--", "url(#fill"))} <= {
        *("none", "transparent")
    }
    assert not {"script", "image"} & {*found.names}
    assert not any(name.startswith("aria") for name, _ in found.attributes)


def test_the_same_numbers_give_the_same_chart():
    assert CHARTS["grouped"]() == CHARTS["grouped"]()


def test_a_number_is_written_as_it_is_given():
    assert ">0.123456%</text>" in charts.bars({"a": 1}, unit="%", shown={"a": "0.123456%"})


def test_no_chart_breaks_where_there_is_nothing_to_draw():
    assert charts.bars({}, unit="records")
    assert charts.stacked({}, unit="records")
    assert charts.grouped({"a": {}}, unit="records")
    assert charts.ranges({"a": {}}, x="x")
    assert charts.units({"a": []}, ["x"], series_title="t", ends={"a": "0"})


def test_the_page_has_every_fill_that_a_chart_may_name():
    for number in range(charts.FILLS):
        assert f'id="{charts.fill(number)[5:-1]}"' in PATTERNS
        assert f"--c{number}:" in STYLE
    hatches = re.findall(r'stroke-width="1.4">(.*?)</g>', PATTERNS)
    assert len({*hatches}) == charts.FILLS


@pytest.fixture
def no_drawing(monkeypatch):
    monkeypatch.setattr(flow, "draw", lambda spec: "<svg ></svg>")


def test_a_flow_adds_up(no_drawing):
    records = Flow("records")
    records.total("read", 10)
    records.leaves("blank", 1)
    records.leaves("identical", 0)
    records.total("kept", 9)
    records.joins("copies", 3)
    records.total("in the data set", 12)
    records.parts({"train": 8, "test": 4})
    body = records.body("Records")
    assert "identical" not in body
    for name, shown in (("read", "10"), ("blank", "1"), ("copies", "3"), ("test", "4")):
        assert re.search(f"<tr><th scope=.row.>{name}</th>.*?>{shown}</td></tr>", body)


@pytest.mark.parametrize(
    "last", [lambda flow: flow.total("kept", 8), lambda flow: flow.parts({"train": 5, "test": 3})]
)
def test_a_flow_whose_counts_do_not_add_up_is_an_error(last):
    records = Flow("records")
    records.total("read", 10)
    records.leaves("blank", 1)
    with pytest.raises(SkymillError, match=r"8, but the counts before add up to 9 records"):
        last(records)
