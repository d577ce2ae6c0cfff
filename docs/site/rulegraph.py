#!/usr/bin/env python3
"""Colour Snakemake's graph of rules by branch: dot from stdin to dot on stdout.

    snakemake --rulegraph | docs/site/rulegraph.py | tred | dot -Tsvg > docs/images/rulegraph.svg

`make pictures` does this. The colours can be read on a light and on a dark page: the paper is
transparent, boxes are light with dark letters, and lines are grey.
"""

import re
import sys
from pathlib import Path

RULES = Path(__file__).resolve().parents[2] / "workflow" / "rules"

COLOURS = {
    "magnetic": "#9fc9f3",
    "sdo": "#f7d08a",
    "swan_sf": "#f3a9a0",
    "aligned": "#a9dcb5",
    "stealth": "#dddddd",
    "ztf": "#e3b7ec",
}
"""Colours of the branches, by the rules file or a word of the rule's name; others are white."""

WORDS = {**{branch: branch for branch in COLOURS}, "night": "ztf"}
"""Branches by a word in the names of rules that are in other files."""

OTHERS = "#ffffff"

HEAD = """digraph rules {
  graph [bgcolor=transparent, nodesep=0.12, ranksep=0.25, margin=0]
  node [shape=box, style="rounded,filled", fontname="Helvetica,Arial,sans-serif", fontsize=13,
        fontcolor="#111111", color="#666666", margin="0.1,0.05", height=0.3]
  edge [color="#808080", arrowsize=0.6]
"""

NODE = re.compile(r'^\s*(\d+)\[label = "([^"\\]+)', re.MULTILINE)
EDGE = re.compile(r"^\s*(\d+) -> (\d+)", re.MULTILINE)


def coloured(graph: str) -> str:
    """Return the graph with the rules of each branch in its colour, without the rule `all`."""
    branches = dict(_branches())
    names = {number: name for number, name in NODE.findall(graph) if name != "all"}
    lines = [HEAD]
    for name in sorted(names.values()):
        branch = branches.get(name) or next((WORDS[word] for word in WORDS if word in name), None)
        lines.append(f'  {name} [fillcolor="{COLOURS.get(branch, OTHERS)}"]\n')
    edges = {(names[a], names[b]) for a, b in EDGE.findall(graph) if a in names and b in names}
    lines += [f"  {first} -> {second}\n" for first, second in sorted(edges)]
    return "".join([*lines, "}\n"])


def _branches():
    """Yield each rule with its branch."""
    for branch in COLOURS:
        text = (RULES / f"{branch}.smk").read_text(encoding="utf-8")
        for name in re.findall(r"^ *rule (\w+):", text, re.MULTILINE):
            yield name, branch


if __name__ == "__main__":
    sys.stdout.write(coloured(sys.stdin.read()))
