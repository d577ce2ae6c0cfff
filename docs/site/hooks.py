"""What `mkdocs build` adds to docs/: pages from elsewhere in the checkout, and generated ones."""

from pathlib import Path

from mkdocs.structure.files import File

import commands_page
import links
import settings_page
import sources_page

ROOT = Path(__file__).resolve().parents[2]

GENERATED = {
    "settings.md": settings_page.page,
    "sources.md": sources_page.page,
    "commands.md": commands_page.page,
}
"""Pages that are made from the schema, the registry and the command itself."""


def on_files(files, config):
    """Add the pages that are not in docs/, and the files of the checkout that pages link to."""
    for source, target in links.PAGES.items():
        if target in GENERATED:
            content = GENERATED[target](ROOT)
        elif source.startswith("docs/"):
            continue
        else:
            content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=content))
    linked = set()
    for file in files.documentation_pages():
        source = links.source_of(file.src_uri)
        linked |= links.files_of(file.content_string, source, ROOT)
    for name in sorted(linked):
        files.append(File.generated(config, links.FILES + name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Point the links of a page to the pages of the site."""
    return links.rewritten(markdown, links.source_of(page.file.src_uri), ROOT)
