"""The report in a browser: complete, quiet, legible, usable by keyboard, on a phone, offline."""

import contextlib
import shutil

import pytest

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium (apt install chromium)")

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
WIDE = '.wide:has(> svg[width="660"])'
# What a screen reader or somebody who sees little would stumble over, in axe-core's words.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES_ABOUT_COLOURS = ["color-contrast", "link-in-text-block"]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(made_once):
    return made_once("finished").path("data/processed/report.html")


@contextlib.contextmanager
def opened(browser, path, viewport=DESKTOP, is_ours=True, **options):
    """Open a file; at the end it has asked for nothing else and complained of nothing.

    Of Snakemake's own report the console is not heeded: its libraries warn of themselves.
    """
    context = browser.new_context(viewport=viewport, **options)
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    if is_ours:
        page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("download", lambda download: said.append(f"download {download.suggested_filename}"))
    page.goto(path.as_uri())
    yield page
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}
    assert said == []
    context.close()


def sizes(page, selector):
    """Return width and height of what a selector finds."""
    return page.eval_on_selector_all(
        selector,
        "found => found.map(one => one.getBoundingClientRect()).map(it => [it.width, it.height])",
    )


def is_too_wide(page):
    return page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )


def violations(page, rules):
    """Return what breaks rules: the rule, and the elements that break it."""
    from axe_playwright_python.sync_playwright import Axe

    # Else axe-core describes each element that breaks no rule, which takes longer than the rules.
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]


def test_every_figure_is_there_and_nothing_is_amiss(browser, report):
    with opened(browser, report) as page:
        page.eval_on_selector_all("details", "found => found.forEach(one => one.open = true)")
        # Contrast cannot be computed on the shadows that tell what scrolls.
        page.add_style_tag(content=".wide {background: none}")
        for viewport in (DESKTOP, PHONE):
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme="light")
            figures = sizes(page, "figure")
            assert len(figures) > 15
            pictures = sizes(page, "figure svg[role=img], figure img")
            assert len(pictures) > 15
            assert all(width > 20 and height > 20 for width, height in pictures)
            assert not is_too_wide(page)
            assert violations(page, RULES) == [], viewport
            # Dark colours change no size, so they can break only the rules about colours.
            everything = sizes(page, "*")
            page.emulate_media(color_scheme="dark")
            assert sizes(page, "*") == everything
            assert violations(page, RULES_ABOUT_COLOURS) == [], viewport


def test_the_page_says_what_is_simulated_before_all_else(browser, report):
    with opened(browser, report) as page:
        assert page.title() == page.locator("h1").inner_text()
        big = page.locator("strong", has_text="SIMULATED DATA")
        assert big.is_visible()
        assert big.bounding_box()["y"] < DESKTOP["height"]
        links = page.locator("nav a")
        titles = page.locator("h2").all_inner_texts()
        assert links.all_inner_texts() == titles
        assert {"Magnetic records", "Stealth flares", "Checks"} < {*titles}


def test_the_page_is_the_same_without_scripts(browser, report):
    with opened(browser, report) as page:
        seen = page.screenshot()
    with opened(browser, report, java_script_enabled=False) as page:
        assert page.screenshot() == seen


def test_everything_is_reached_by_keyboard_and_seen_to_have_the_focus(browser, report):
    with opened(browser, report, PHONE) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        assert page.locator(".skip").bounding_box()["x"] >= 0
        count = page.evaluate(
            "[...document.querySelectorAll('a, summary, [tabindex]')]"
            ".filter(one => one.checkVisibility()).length"
        )
        focused = []
        for _ in range(count):
            focused.append(
                page.evaluate(
                    "[document.activeElement.tagName,"
                    " parseFloat(getComputedStyle(document.activeElement).outlineWidth),"
                    " document.activeElement.getBoundingClientRect().top + scrollY]"
                )
            )
            page.keyboard.press("Tab")
        assert "BODY" not in {name for name, _, _ in focused}
        assert all(width >= 2 for _, width, _ in focused)
        # What scrolls sideways does so by the arrow keys.
        page.locator(WIDE).first.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"document.querySelector('{WIDE}').scrollLeft > 0")


def test_snakemakes_report_shows_our_parts_and_downloads_nothing(
    browser, made_once, tmp_path_factory
):
    # Its own copy: a report writes to the project's folder.
    project = made_once("finished").copy(tmp_path_factory.mktemp("reported") / "project")
    project.run("--report", "report.html")
    with opened(browser, project.path("report.html"), is_ours=False) as page:
        page.get_by_text("SIMULATED DATA").wait_for()
        shown = {}
        for category in page.evaluate("Object.keys(categories)"):
            page.get_by_text(category, exact=True).first.click()
            page.wait_for_selector("table tbody tr")
            rows = page.locator("table tbody tr")
            labels = [row.split("\t")[0].strip() for row in rows.all_inner_texts()]
            assert labels == sorted(labels)
            shown[category] = labels
            page.locator("table tbody tr a").first.click()
            frame = page.frame_locator("iframe")
            frame.locator("h1").wait_for()
            assert frame.locator("svg[role=img], img, table").first.is_visible()
            # Back to the first page. A reload would read megabytes again.
            page.locator("nav ol a").first.click()
            page.get_by_text("SIMULATED DATA").wait_for()
        assert {"Magnetic records", "Stealth flares"} <= {*shown}
        assert "02 class balance" in shown["Magnetic records"]
        kinds = page.evaluate("[...new Set(Object.values(results).map(one => one.mime_type))]")
        assert kinds == ["text/html"]
        assert page.evaluate("Object.values(results).every(one => one.caption && one.labels)")
