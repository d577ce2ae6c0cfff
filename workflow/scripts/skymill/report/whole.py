"""The whole report: what was made, a section a branch, every check, sources and citations."""

from collections.abc import Mapping, Sequence

import skymill
from skymill.engine.markdown import escaped
from skymill.engine.products import own_entries, warnings_in
from skymill.engine.words import size_text
from skymill.paths import BRANCH_FOLDERS, SECTION, STEALTH_TABLE
from skymill.report.checks import HEADER, check_rows, is_of
from skymill.report.page import report_page
from skymill.report.parts import Part, Section, bullets, folded, link, paragraph, table

TITLE = "What Skymill made"

SOURCES = {
    "sample": "simulated",
    "local": "files that were put there by hand",
    "archive": "downloaded from the archives",
}
"""What a source is called."""

LISTED = ("processed/", STEALTH_TABLE)
"""How the names of what users work with begin."""

PRODUCTS_SHOWN = 40
"""Products that the table lists; of more, such as a file for each label, the others are counted."""


def write_whole(
    sections: Sequence[Section], documents: Sequence[Mapping], settings: Mapping
) -> str:
    """Return the page.

    Parameters
    ----------
    sections
        Of the branches that are switched on.
    documents
        Of all jobs.
    settings
        `limits` and `split_unit` of the configuration; `archives`: title, page, licence and
        citation of each archive; `bibtex`: entries to cite.
    """
    # The unpacked tree of SDOBenchmark is a raw file: its document names no product.
    documents = [
        one for one in documents if "product" in one and not is_of(one["product"], SECTION)
    ]
    products = [
        document
        for document in documents
        if "files" in document and document["product"].startswith(LISTED)
    ]
    return report_page(
        TITLE,
        _head(products, sections),
        [*sections, _checks(documents, settings), _archives(products, settings)],
        f"<p>Written by Skymill {escaped(skymill.__version__)}. The page has no times: the same "
        "inputs and settings give the same bytes.</p>",
    )


def _head(products: Sequence[Mapping], sections: Sequence[Section]) -> str:
    """Return where the data come from, in large letters if they are simulated, and the products."""
    present = {
        source for document in products for source in document.get("sources", [document["source"]])
    }
    head = ""
    if "sample" in present:
        head = (
            '<div class="simulated"><strong>SIMULATED DATA</strong>'
            "These data do not come from the sky. They try the workflow, and say nothing about "
            "the Sun or about any star. Set <code>source: local</code> or <code>source: "
            "archive</code> for real data.</div>"
        )
    if present:
        named = ", ".join(text for source, text in SOURCES.items() if source in present)
        head += paragraph(f"Source: {named}.")
    branches = [
        [section.title, *_size(products, BRANCH_FOLDERS[section.name])] for section in sections
    ]
    head += table(["branch", "products", "size"], branches, "What was made of each branch")
    rows = sorted(map(_product, products))
    shown = rows[:PRODUCTS_SHOWN]
    listed = table(["product", "rows", "size", "source"], shown, "Products, without the report")
    if len(rows) > len(shown):
        listed += paragraph(f"and {len(rows) - len(shown):,} more: `skymill summary` lists all.")
    return head + folded("All products", listed)


def _size(products: Sequence[Mapping], beginnings: tuple[str, ...]) -> list:
    """Return how many products of a branch there are, and their size."""
    own = [one for one in products if one["product"].startswith(beginnings)]
    return [len(own), size_text(sum(map(_bytes, own)))]


def _product(document: Mapping) -> list:
    members = document.get("members", {"rows": 0, "bytes": 0})
    rows = sum(entry["rows"] for entry in own_entries(document)) + members["rows"]
    is_local = any("sha256_without_location" in entry for entry in document["files"])
    return [
        document["product"],
        rows or None,
        "" if is_local else size_text(_bytes(document)),
        SOURCES[document["source"]],
    ]


def _bytes(document: Mapping) -> int:
    """Return the bytes of a product; not of what holds paths, and so depends on where it is."""
    files = [entry for entry in document["files"] if "sha256_without_location" not in entry]
    return sum(entry["bytes"] for entry in files) + document.get("members", {"bytes": 0})["bytes"]


def _checks(documents: Sequence[Mapping], settings: Mapping) -> Section:
    rows = check_rows(documents, settings)
    warned = warnings_in({document["product"]: document for document in documents})
    return Section(
        "checks",
        "Checks",
        "A run fails when a number exceeds its limit. So all of these are within their limits.",
        (
            Part(
                "all_checks",
                "Every check with its number",
                "Of several files, nights or sets the one that is nearest to its limit is shown.",
                table(HEADER, rows, "Checks and limits"),
            ),
            Part(
                "warnings",
                "Warnings",
                "What the jobs warned about. The end of a run repeats these lines.",
                bullets(warned) if warned else paragraph("No job warned about anything."),
            ),
        ),
    )


def _archives(products: Sequence[Mapping], settings: Mapping) -> Section:
    is_simulated = "sample" in {document["source"] for document in products}
    imitated = " Simulated files imitate these archives." if is_simulated else ""
    archives = "".join(
        f"<li>{link(archive['page'], archive['title'])}. Licence: {escaped(archive['licence'])}. "
        f"Cite: {escaped(archive['citation'])}.</li>"
        for archive in settings["archives"].values()
    )
    lines = (line for entry in settings["bibtex"] for line in [*entry.splitlines(), ""])
    bibtex = "\n".join(map(escaped, lines))
    return Section(
        "sources",
        "Sources and citations",
        f"Where the raw files come from, and what to cite.{imitated}",
        (
            Part(
                "archives",
                "Archives",
                "Cite the archives whose data you use, and Skymill.",
                f"<ul>{archives}</ul>"
                + folded("BibTeX, as skymill cite prints it", f"<pre>{bibtex}</pre>"),
            ),
        ),
    )
