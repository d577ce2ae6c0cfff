#!/usr/bin/env python3
"""Run the commands in README.md and its pages, in the environment of `make setup`.

    .ci/readme.py [--list]

Commands are the lines of shell blocks, and code in the text that begins like a command. Each
command is run exactly as it is written, unless it is in one of the tables below. Python blocks are
run one after the other, as one script. Run this file in a clean clone, because commands write to
data/, trial/ and other folders.
"""

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PAGES = (
    "README.md",
    "docs/running.md",
    "docs/python.md",
    "docs/real-data.md",
    "docs/leaks.md",
    "docs/troubleshooting.md",
)
"""Pages whose commands are run, in this order. tests/unit/test_pages.py checks the recipes."""

ELSEWHERE = {
    "make": "a mention, not a command",
    "skymill": "a mention, not a command",
    "git clone ADDRESS skymill": "this is the clone",
    "cd skymill": "this is the clone",
    "make demo": ".ci/run has already run it",
    "make docs": ".ci/run runs it later",
    "make test-extra": "takes a quarter of an hour, and installs other environments",
    "make clean": "would delete the environment of the commands below",
    "make baseline": "has its own tests",
    "skymill score predictions.csv": "needs predictions: has its own tests",
    "make setup": "part of make demo",
    "pip install": "a mention, not a command",
    "skymill diff data trial": "needs trial, which is only planned: tests/workflow/test_loading.py",
    "snakemake data/raw/solar_flare_2020/test_4_5_data.json": (
        "needs a network and gigabytes: tests/workflow/test_archive.py"
    ),
}
"""Commands that are not run here, and why."""

PLANNED = {
    "snakemake --config results=trial seed=7": "would make all products a second time",
    "snakemake --config results=trial": "would make all products a second time",
    "snakemake --directory other": "would make all products a third time",
    "snakemake --configfile config/published.yaml": "tests/workflow/test_recovery.py runs it",
}
"""Commands that are run with `-n`, and why."""

PREPARED = {"snakemake --directory other": "mkdir -p other"}
"""Commands to run before another command."""

COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:snakemake|skymill|python|make|pip)(?: .*)?")
"""The form of code in the text that is a command."""

BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """Return the commands of a page, each once, in order."""
    found = []
    for language, block in BLOCK.findall(text):
        if language == "sh":
            lines = block.replace("\\\n", " ").splitlines()
            found += [re.sub(r"(?:^|\s)#.*", "", line).strip() for line in lines]
    for code in re.findall(r"`([^`]+)`", BLOCK.sub("", text)):
        code = " ".join(code.split())
        if COMMAND.fullmatch(code):
            found.append(code)
    return [line for line in dict.fromkeys(found) if line]


def scripts(text: str) -> list[str]:
    """Return the Python blocks of a page, except blocks for a Snakefile."""
    blocks = [block for language, block in BLOCK.findall(text) if language == "python"]
    return [block for block in blocks if not re.search(r"^ *module ", block, re.MULTILINE)]


def run(command: str, name: str | None = None) -> bool:
    """Run a command in the activated environment, print the outcome, and return its success."""
    begun = time.monotonic()
    line = f"source .venv/bin/activate && {command}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    went = "ok" if done.returncode == 0 else "FAILED"
    say(f"{went:8}{time.monotonic() - begun:4.0f} s  {name or command}")
    if done.returncode:
        say(done.stdout[-5000:])
    return done.returncode == 0


def say(text: str) -> None:
    """Print a line without buffering, because a command takes minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the commands and the Python blocks; return the exit code."""
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES]
    found = list(dict.fromkeys(line for text in texts for line in commands(text)))
    if unknown := (ELSEWHERE.keys() | PLANNED.keys()) - {*found, "make setup"}:
        say(f"these commands are no longer on any page: {', '.join(sorted(unknown))}")
        return 1
    is_good = True
    for command in found:
        if command in ELSEWHERE:
            say(f"not run        {command} ({ELSEWHERE[command]})")
            continue
        is_planned = command in PLANNED
        if is_planned:
            say(f"with -n        {command} ({PLANNED[command]})")
        if "--list" in sys.argv:
            say(f"run            {command}")
            continue
        if command in PREPARED:
            is_good &= run(PREPARED[command])
        is_good &= run(f"{command} -n" if is_planned else command)
    if "--list" not in sys.argv:
        blocks = [block for text in texts for block in scripts(text)]
        code = "\n".join([*blocks, "assert series.shape == (60, 24)"])
        is_good &= run(f"python -c {shlex.quote(code)}", "the Python blocks")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
