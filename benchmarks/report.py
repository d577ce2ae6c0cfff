"""The benchmarks' report: machine, sections and verdicts, as Markdown and JSON."""

import importlib.metadata
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

from measure import Section, markdown_table

LIBRARIES = ("numpy", "pandas", "pyarrow", "orjson", "numba", "scipy", "dask", "snakemake")

VERDICTS = {True: "holds", False: "FALLS SHORT", None: ""}


def machine() -> dict[str, str]:
    """Return the conditions of the figures: processor, cores, memory, versions."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def as_markdown(title: str, sections: list[Section], facts: dict[str, str]) -> str:
    """Return the report: all figures in one table, then an explanation of each."""
    lines = [
        [row.what, row.measured, row.claim, VERDICTS[row.holds]]
        for section in sections
        for row in section.rows
    ]
    parts = [f"# {title}", markdown_table(["figure", "measured", "claim", ""], lines)]
    for section in sections:
        parts += [f"## {section.title}", *section.notes, *section.tables]
    parts += ["## Machine", markdown_table(["", ""], [list(fact) for fact in facts.items()])]
    return "\n\n".join(parts) + "\n"


def write(folder: Path, name: str, title: str, sections: list[Section]) -> str:
    """Write `name`.md and `name`.json into a folder and return the Markdown."""
    facts = machine()
    text = as_markdown(title, sections, facts)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text)
    document = {"machine": facts, "sections": [asdict(section) for section in sections]}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
    return text
