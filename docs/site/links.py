"""Links of pages as GitHub reads them, and as the site does: one text for both."""

import posixpath
import re
from pathlib import Path

PAGES = {
    "README.md": "index.md",
    "config/config.yaml": "settings.md",
    "config/sources.yaml": "sources.md",
    "workflow/scripts/skymill/command/app.py": "commands.md",
    "profiles/README.md": "clusters.md",
    "benchmarks/README.md": "benchmarks.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the site by the file of the checkout that they show. Files in docs/ keep their names."""

ALIASES = {"config/README.md": "configuration.md"}
"""Files of the checkout that only lead to a page."""

FILES = "files/"
"""Folder of the site for files of the checkout that pages link to."""

FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|/)([^)#\s]*)(#[^)\s]*)?(?=\))")


def source_of(page: str) -> str:
    """Return the file of the checkout that a page of the site shows."""
    return next((source for source, name in PAGES.items() if name == page), f"docs/{page}")


def targets(text: str, source: str) -> list[tuple[str, str]]:
    """Return the relative links of a page: the file in the checkout, and the anchor with its #."""
    prose = FENCE.sub("", text)
    return [(_target(link[1], source), link[2] or "") for link in LINK.finditer(prose)]


def files_of(text: str, source: str, root: Path) -> set[str]:
    """Return the files of the checkout that a page links to and that are no pages."""
    return {name for name, _ in targets(text, source) if not _page(name, root)}


def rewritten(text: str, source: str, root: Path) -> str:
    """Return a page with links to the pages of the site in place of files of the checkout."""
    here = posixpath.dirname(PAGES.get(source, source.removeprefix("docs/")))

    def pointed(link: re.Match) -> str:
        if not link[1]:
            return link[0]
        name = _target(link[1], source)
        target = _page(name, root) or FILES + name
        return posixpath.relpath(target, here or ".") + (link[2] or "")

    kept = FENCE.findall(text)
    parts = [LINK.sub(pointed, part) for part in FENCE.split(text)]
    return "".join(part + fence for part, fence in zip(parts, [*kept, ""], strict=True))


def _target(link: str, source: str) -> str:
    """Return the path in the checkout that a link of a file leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link)) if link else source


def _page(name: str, root: Path) -> str | None:
    """Return the page of the site for a file or folder of the checkout, or None."""
    if (root / name).is_dir():
        name = f"{name}/README.md"
    if name in PAGES or name in ALIASES:
        return PAGES.get(name) or ALIASES[name]
    return name.removeprefix("docs/") if name.startswith("docs/") else None
