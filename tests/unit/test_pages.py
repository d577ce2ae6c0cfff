"""The documentation: links have targets, generated pages are complete, quotations are exact."""

import ast
import re

import pytest
import yaml
from records import REPOSITORY

import commands_page
import links
import settings_page
import sources_page
from skymill.command.app import app
from skymill.command.sizes import _merged, sizes
from skymill.engine.yaml_files import read_yaml, require_schema, yaml_loader
from skymill.settings import in_force

SCHEMA_FILE = REPOSITORY / "workflow/schemas/config.schema.yaml"
SCHEMA = read_yaml(SCHEMA_FILE)
PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for place in ("", "docs", "config", "profiles", "benchmarks")
    for path in (REPOSITORY / place).glob("*.md")
)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def text_of(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


def anchors(name):
    """Return the anchors that GitHub makes from the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text_of(name)), re.MULTILINE)
    signs = re.compile(r"[^\w\- ]")
    return {f"#{signs.sub('', heading.strip().lower()).replace(' ', '-')}" for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_the_file_and_the_anchor_of_a_link_exist(name):
    for target, anchor in links.targets(text_of(name), name):
        assert (REPOSITORY / target).exists(), f"{name} links to {target}"
        if anchor:
            page = target if target.endswith(".md") else f"{target}/README.md"
            assert anchor in anchors(page), f"{name} links to {target}{anchor}"


def test_links_on_the_site_point_to_pages_of_the_site():
    text = (
        "[a](docs/recipes.md#slurm), [b](config/config.yaml), [c](LICENSE), [d](#x), [e](profiles/)"
    )
    assert links.rewritten(text, "README.md", REPOSITORY) == (
        "[a](recipes.md#slurm), [b](settings.md), [c](files/LICENSE), [d](#x), [e](clusters.md)"
    )
    text = "[a](../README.md), [b](https://a.org), `[c](d)`\n```\n[e](../f.md)\n```\n"
    expected = text.replace("../README.md", "index.md")
    assert links.rewritten(text, "docs/recipes.md", REPOSITORY) == expected


def test_every_setting_is_on_its_page_with_its_meaning():
    page = settings_page.page(REPOSITORY)
    for path in settings_page.keys(SCHEMA):
        heading = f"## {path[0]}\n" if len(path) == 1 else f"### `{'.'.join(path)}`\n"
        section = page.partition(heading)[2].partition("\n#")[0]
        assert len(section.strip()) > 10, ".".join(path)
    assert "- Default: `2020`" in page
    assert "- Allowed: `region`, `record`, `partition`" in page
    assert "Copies" not in page.partition("### `split.unit`")[2].partition("###")[0]


def test_every_command_and_option_is_on_its_page():
    page = commands_page.page(REPOSITORY)
    for command in app.registered_commands:
        assert f"### skymill {command.name or command.callback.__name__}\n" in page
    assert "`--repair`" in page
    assert "| `make demo` |" in page


def test_every_file_of_the_registry_is_on_its_page():
    page = sources_page.page(REPOSITORY)
    registry = read_yaml(REPOSITORY / "config/sources.yaml")["collections"]
    for collection in registry.values():
        assert collection["citation"] in page
        assert all(f"| `{file}` |" in page for file in collection["files"])


def test_the_graph_has_only_rules_of_the_workflow():
    graph = text_of("docs/images/rulegraph.svg")
    named = set(re.findall(r"<title>(\w+)</title>", graph)) - {"rules"}
    rules = {
        name
        for path in (REPOSITORY / "workflow" / "rules").glob("*.smk")
        for name in re.findall(r"^ *rule (\w+):", path.read_text(), re.MULTILINE)
    }
    assert len(named) > 50
    assert named <= rules, "run `make pictures`"


def test_pictures_are_small():
    pictures = [path for path in (REPOSITORY / "docs/images").iterdir() if path.is_file()]
    assert pictures
    assert all(path.stat().st_size < 200_000 for path in pictures)


def messages():
    """Return every text of the package, with `...` for inserted values."""
    for path in (REPOSITORY / "workflow/scripts/skymill").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (getattr(part, "value", None) for part in node.values)
                yield "".join(part if isinstance(part, str) else "..." for part in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"%[sd]", "...", node.value)


FOREIGN = {"Additional properties are not allowed": "jsonschema"}


def test_messages_on_the_troubleshooting_page_are_in_the_code():
    quoted = re.findall(r"^### `(.+)`$", text_of("docs/troubleshooting.md"), re.MULTILINE)
    assert len(quoted) > 20
    known = list(messages())
    for message in quoted:
        pieces = [re.escape(piece) for piece in message.split("...")]
        pattern = re.compile(".*".join(pieces))
        assert message in FOREIGN or any(map(pattern.search, known)), message


@pytest.mark.parametrize("page", ["recipes", "configuration", "real-data", "python"])
def test_settings_of_a_page_are_valid(page):
    blocks = FENCE.findall(text_of(f"docs/{page}.md"))
    for block in [block for language, block in blocks if language == "yaml"]:
        config = _merged(
            read_yaml(REPOSITORY / "config/config.yaml"), yaml.load(block, yaml_loader())
        )
        require_schema(in_force(config), SCHEMA_FILE, "config")


def test_the_table_of_real_data_agrees_with_skymill_sizes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.yaml").write_text("ztf: {nights: [20180601]}")
    printed = {
        line.split()[0]: line
        for line in sizes(tmp_path / "one.yaml", mbit=100, cores=2).splitlines()[1:6]
    }
    table = text_of("README.md").partition("| source | branch |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]
    assert len(rows) == 6
    for source, branch in (("IEEE", "magnetic"), ("SDOBenchmark", "sdo"), ("SWAN-SF", "aligned")):
        row = next(row for row in rows if row[0].startswith(source))
        minutes = re.findall(r"about ([\d.]+) minutes", printed[branch])
        assert float(row[2]) == float(re.search(r"([\d.]+) GB", printed[branch])[1])
        assert [float(number) for number in row[4].split(" + ")] == [
            round(float(minute)) for minute in minutes
        ]
        assert row[5] == "no"
        assert "none" in printed[branch]
    assert rows[-1][5] == "Kaggle"
    assert "Kaggle" in printed["stealth"]
    night = float(rows[3][2].split()[0]) + float(rows[4][2])
    assert night == float(re.search(r"([\d.]+) GB", printed["ztf"])[1])


def test_the_glossary_is_sorted():
    words = re.findall(r"^\| (\w[\w ]*) \|", text_of("docs/glossary.md"), re.MULTILINE)[1:]
    assert words == sorted(words)
    assert len(words) >= 12
