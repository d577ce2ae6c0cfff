"""The page of the commands: from the command line itself, and from the Makefile."""

import re
import sys
from pathlib import Path

INTRODUCTION = """# Commands

This page is generated from the commands themselves.

## make

| command | what it does |
|---|---|
"""


def page(root: Path) -> str:
    """Return the page in Markdown."""
    sys.path.insert(0, str(root / "workflow" / "scripts"))
    import typer

    from skymill.command.app import app

    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## (.+)$", makefile, re.MULTILINE)
    parts = [INTRODUCTION, *(f"| `make {name}` | {text} |\n" for name, text in targets)]
    group = typer.main.get_command(app)
    parts.append(f"\n## skymill\n\n{group.help}\n\n")
    for name, command in group.commands.items():
        parts += _described(name, command)
    return "".join(parts)


def _described(name: str, command) -> list[str]:
    """Return the text of one command: how it is called, and its arguments and options."""
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    usage = ["skymill", name, *(_argument(one) for one in arguments)]
    usage += ["[OPTIONS]"] if options else []
    rows = [f"| `{_argument(one)}` | {one.help or ''} | {_default(one)} |\n" for one in arguments]
    rows += [
        f"| `{', '.join(one.opts)}` | {one.help or ''} | {_default(one)} |\n" for one in options
    ]
    table = ["| argument | meaning | default |\n|---|---|---|\n", *rows, "\n"] if rows else []
    return [f"### skymill {name}\n\n{command.help}\n\n```\n{' '.join(usage)}\n```\n\n", *table]


def _argument(parameter) -> str:
    name = (parameter.metavar or parameter.name.upper()).strip("[]")
    return name if parameter.required else f"[{name}]"


def _default(parameter) -> str:
    return "" if parameter.default in (None, False) else f"`{parameter.default}`"
