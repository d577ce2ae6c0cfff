"""Scripts and package: everything imports, rules and scripts belong together."""

import ast
import importlib.util
import inspect
import re
import subprocess
import sys

import pytest
from records import REPOSITORY, SCRIPTS

SCRIPT_FILES = sorted(SCRIPTS.glob("*.py"))
MODULE_FILES = sorted((SCRIPTS / "skymill").rglob("*.py"))
# Rules that only name what they want of others.
TARGETS = {"read_nights"}
RULES = {
    name: body
    for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk"))
    for _, name, body in re.findall(
        r"^( *)rule (\w+):\n(.*?)(?=^(?!\1 ) *\S|\Z)", path.read_text(), re.MULTILINE | re.DOTALL
    )
    if name not in TARGETS
}
# An edit of their code must not fetch or unpack gigabytes again.
WITHOUT_CODE_DIGEST = {"retrieve", "unpack_sdo"}


def module_name(path):
    parts = path.relative_to(SCRIPTS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_there_are_scripts_modules_and_rules():
    assert len(SCRIPT_FILES) > 10
    assert len(MODULE_FILES) > 20
    assert len(RULES) > 10


@pytest.mark.parametrize("path", SCRIPT_FILES, ids=lambda path: path.stem)
def test_a_script_imports_without_snakemake_and_has_a_main(path):
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert list(inspect.signature(module.main).parameters) == ["snakemake"]
    assert module.__doc__


@pytest.mark.parametrize("path", SCRIPT_FILES, ids=lambda path: path.stem)
def test_every_import_in_a_script_exists(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("skymill"):
            module = importlib.import_module(node.module)
            missing = [
                alias.name
                for alias in node.names
                if not hasattr(module, alias.name)
                and not importlib.util.find_spec(f"{node.module}.{alias.name}")
            ]
            assert missing == [], node.module


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_runs_the_script_of_its_name(rule):
    assert re.findall(r'"\.\./scripts/(.+?)"', RULES[rule]) == [f"{rule}.py"]
    assert (SCRIPTS / f"{rule}.py").is_file()


@pytest.mark.parametrize("rule", RULES)
def test_the_code_digest_of_a_rule_is_of_its_own_script(rule):
    expected = [] if rule in WITHOUT_CODE_DIGEST else [f"{rule}.py"]
    assert re.findall(r'code_digest\("(.+?)"\)', RULES[rule]) == expected


SPREADS = {module_name(path): "map_pieces(" in path.read_text() for path in MODULE_FILES}


@pytest.mark.parametrize("path", SCRIPT_FILES, ids=lambda path: path.stem)
def test_a_script_starts_the_workers_of_the_module_that_spreads_its_work(path):
    text = path.read_text()
    imported = re.findall(r"^    from (skymill[\w.]+) import", text, re.MULTILINE)
    spread = [name for name in imported if SPREADS[name]]
    said = [f'start_workers("{name}", snakemake.threads)' for name in spread]
    first = ast.unparse(ast.parse(text).body[-2].body[0]).replace("'", '"')
    assert said in ([], [first])
    assert text.count("start_workers(") == len(said)


def test_every_script_has_a_rule():
    assert sorted(RULES) == [path.stem for path in SCRIPT_FILES]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_docstring_a_log_and_an_environment(rule):
    assert RULES[rule].lstrip().startswith('"""')
    for part in ("log:", "conda:", "output:"):
        assert f"    {part}\n" in RULES[rule]
    assert f'"logs/{rule}' in RULES[rule]


def test_every_module_imports_alone():
    # One process for all: before each import the package is forgotten, heavy libraries stay.
    program = (
        "import sys, importlib\n"
        "for name in sys.argv[1:]:\n"
        "    for loaded in [n for n in sys.modules if n.split('.')[0] == 'skymill']:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    names = [module_name(path) for path in MODULE_FILES]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", MODULE_FILES, ids=module_name)
def test_no_module_of_the_package_knows_snakemake(path):
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert "snakemake" not in names | imported
