"""The documentation as a site: `make docs` builds it; no page loads anything from other sites."""

import re
import subprocess
import sys

import pytest

from projects import REPOSITORY


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_loads_anything_from_another_site(site):
    fetched = re.compile(
        r"<(?:script|img|iframe|source)[^>]* src=\"?(https?:)?//|@import|url\(\"?http"
    )
    linked = re.compile(r"<link[^>]* (?:rel=\"?(?:stylesheet|preconnect)[^>]*href=\"?https?:)")
    pages = sorted(site.glob("*.html"))
    assert len(pages) >= 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not fetched.search(text), page.name
        assert not linked.search(text), page.name


def test_the_search_works_without_a_server(site):
    assert (site / "search" / "search_index.js").exists()
    assert "iframe-worker.js" in (site / "index.html").read_text(encoding="utf-8")


def test_links_of_the_readme_point_to_the_site(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="settings.html"' in page
    assert 'href="files/LICENSE"' in page
    assert ".md" not in "".join(re.findall(r"href=\"([^\"#]+)", page))
