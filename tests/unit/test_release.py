"""A release can be tagged: version, date, changelog and citation agree (`make release-check`)."""

import re

import yaml
from records import REPOSITORY

import skymill
from skymill import release
from skymill.command.cite import bibliography

CITED = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
CHANGELOG = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_citation_has_the_fields_that_its_format_requires():
    required = {"cff-version", "title", "message", "authors"}
    useful = {"abstract", "license", "version", "date-released", "keywords", "references", "type"}
    assert required | useful <= CITED.keys()
    assert re.fullmatch(r"\d+\.\d+\.\d+", CITED["version"])
    for reference in CITED["references"]:
        assert reference["title"]
        assert reference["authors"]
        assert reference["type"] in ("article", "data", "dataset")
        assert reference.keys() & {"doi", "url"}
        assert re.fullmatch(r"10\.\d{4,}/\S+", reference.get("doi", "10.1234/x"))


def test_the_citation_has_every_archive_that_skymill_cites():
    entries = bibliography().values()
    dois = {doi.lower() for entry in entries for doi in re.findall(r"doi = \{(.+?)\}", entry)}
    assert dois <= {reference.get("doi", "").lower() for reference in CITED["references"]}


def test_version_and_date_are_the_same_everywhere():
    assert CITED["version"] == skymill.__version__
    assert str(CITED["date-released"]) == release.RELEASED


def test_the_changelog_begins_with_unreleased_changes_or_with_this_version():
    """CONTRIBUTING.md says how `Unreleased` becomes the heading of a version."""
    headings = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert headings[0] == "Unreleased" or headings[0].startswith(skymill.__version__)
    if released:
        assert released[0] == f"{skymill.__version__} - {release.RELEASED}"
    assert headings.count("Unreleased") <= 1
