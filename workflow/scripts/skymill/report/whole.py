"""The whole report: the products, a section for each branch, all checks, sources and citations."""

from collections.abc import Mapping, Sequence

import skymill
from skymill.engine.markdown import escaped
from skymill.engine.products import own_entries, warnings_in
from skymill.engine.words import size_text
from skymill.paths import BRANCH_FOLDERS, SECTION, STEALTH_TABLE
from skymill.report.checks import HEADER, check_rows, is_of
from skymill.report.page import report_page
from skymill.report.parts import Part, Section, bullets, folded, link, paragraph, table

TITLE = "Skymill report"

SOURCES = {
    "sample": "simulated",
    "local": "your own files",
    "archive": "downloaded from the archives",
}
"""Descriptions of the sources."""

LISTED = ("processed/", STEALTH_TABLE)
"""The names of the products that users work with begin with one of these texts."""

PRODUCTS_SHOWN = 40
"""The table lists at most this many products. A line below it counts the rest."""


def write_whole(
    sections: Sequence[Section], documents: Sequence[Mapping], settings: Mapping
) -> str:
    """Return the page.

    Parameters
    ----------
    sections
        The sections of the branches that are switched on.
    documents
        The documents of all jobs.
    settings
        `limits` and `split_unit` of the configuration; `archives`: title, page, licence and
        citation of each archive; `bibtex`: the entries to cite.
    """
    # The unpacked tree of SDOBenchmark is a raw file, so its document has no product.
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
        f"<p>Skymill {escaped(skymill.__version__)} wrote this page. The page contains no dates of "
        "the run, so the same inputs and settings always make the same file.</p>",
    )


def _head(products: Sequence[Mapping], sections: Sequence[Section]) -> str:
    """Return the sources and the products; a large warning comes first if data are simulated."""
    present = {
        source for document in products for source in document.get("sources", [document["source"]])
    }
    head = ""
    if "sample" in present:
        head = (
            '<div class="simulated"><strong>SIMULATED DATA</strong>'
            "Skymill generated these data to test the workflow. They say nothing about the Sun or "
            "about any star. For real data, set <code>source: archive</code> to download the "
            "files, or <code>source: local</code> to use your own files.</div>"
        )
    if present:
        named = ", ".join(text for source, text in SOURCES.items() if source in present)
        head += paragraph(f"Source: {named}.")
    branches = [
        [section.title, *_size(products, BRANCH_FOLDERS[section.name])] for section in sections
    ]
    head += table(["branch", "products", "size"], branches, "Products of each branch")
    rows = sorted(map(_product, products))
    shown = rows[:PRODUCTS_SHOWN]
    listed = table(
        ["product", "rows", "size", "source"],
        shown,
        "Products of all branches, without this report",
    )
    if len(rows) > len(shown):
        listed += paragraph(
            f"{len(rows) - len(shown):,} more products exist. Run skymill summary to list them all."
        )
    return head + folded("List of products", listed)


def _size(products: Sequence[Mapping], beginnings: tuple[str, ...]) -> list:
    """Return the number of products of a branch, and their size."""
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
    """Return the bytes of a product without files that contain paths: their size varies."""
    files = [entry for entry in document["files"] if "sha256_without_location" not in entry]
    return sum(entry["bytes"] for entry in files) + document.get("members", {"bytes": 0})["bytes"]


def _checks(documents: Sequence[Mapping], settings: Mapping) -> Section:
    rows = check_rows(documents, settings)
    warned = warnings_in({document["product"]: document for document in documents})
    return Section(
        "checks",
        "Checks",
        "A run fails if a number exceeds its limit, so all numbers below are within their limits.",
        (
            Part(
                "all_checks",
                "All checks with their numbers",
                "If a check covers several files, nights or sets, the table shows the one that is "
                "nearest to the limit.",
                table(HEADER, rows, "Checks and limits"),
            ),
            Part(
                "warnings",
                "Warnings",
                "The warnings of all jobs. Skymill prints them again at the end of a run.",
                bullets(warned) if warned else paragraph("There are no warnings."),
            ),
        ),
    )


def _archives(products: Sequence[Mapping], settings: Mapping) -> Section:
    is_simulated = "sample" in {document["source"] for document in products}
    imitated = " The simulated files imitate the files of these archives." if is_simulated else ""
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
        f"The origin of the raw files, and the works to cite.{imitated}",
        (
            Part(
                "archives",
                "Archives",
                "If you publish results, cite Skymill and the archives whose data you use.",
                f"<ul>{archives}</ul>"
                + folded("BibTeX entries (also: skymill cite)", f"<pre>{bibtex}</pre>"),
            ),
        ),
    )
