"""The folder of a section of the report: a page for each part, and a list of the parts."""

from pathlib import Path

from skymill.engine.products import (
    Product,
    describe_file,
    new_directory,
    read_json,
    require_content,
    write_json,
)
from skymill.report.page import body_of, part_page
from skymill.report.parts import Part, Section

CONTENTS = "section.json"
"""The file that lists the parts of a section in order."""


def write_section(section: Section, folder: Path) -> list[dict]:
    """Write a section and return the entries of its files for the manifest.

    The name of each page begins with its number, so the names sort in the order of the section.
    """
    entries = []
    with new_directory(folder) as temporary:
        listed = []
        for number, part in enumerate(section.parts, start=1):
            page = temporary / f"{number:02d}_{part.name}.html"
            page.write_text(part_page(part, section.title), encoding="utf-8")
            entries.append(describe_file(page, 0))
            listed.append(
                {
                    "page": page.name,
                    "name": part.name,
                    "title": part.title,
                    "caption": part.caption,
                    "is_folded": part.is_folded,
                }
            )
        contents = temporary / CONTENTS
        write_json(
            contents,
            {
                "name": section.name,
                "title": section.title,
                "introduction": section.introduction,
                "parts": listed,
            },
        )
        entries.append(describe_file(contents, 0))
    return entries


def read_section(folder: Product) -> Section:
    """Read a section that write_section has written.

    Raises
    ------
    SkymillError
        If a file differs from its entry in the manifest. The message names the file.
    """
    for path, entry in zip(folder.files(), folder.entries, strict=True):
        require_content(path, entry["sha256"])
    listed = read_json(folder.path / CONTENTS)
    parts = []
    for part in listed.pop("parts"):
        page = (folder.path / part.pop("page")).read_text(encoding="utf-8")
        parts.append(Part(**part, body=body_of(page)))
    return Section(**listed, parts=tuple(parts))
