"""Scripts and modules can be imported, and rules and scripts belong together."""

import ast
import importlib.util
import re
import subprocess
import sys

from records import REPOSITORY, SCRIPTS

SCRIPT_FILES = sorted(SCRIPTS.glob("*.py"))
MODULE_FILES = sorted((SCRIPTS / "skymill").rglob("*.py"))
RULES = {
    name: body
    for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk"))
    for _, name, body in re.findall(
        r"^( *)rule (\w+):\n(.*?)(?=^(?!\1 ) *\S|\Z)", path.read_text(), re.MULTILINE | re.DOTALL
    )
    if "script:" in body  # other rules only name targets
}
# After an edit of their code, rules must not fetch or unpack gigabytes again.
WITHOUT_CODE_DIGEST = {"retrieve", "unpack_sdo"}


def module_name(path):
    parts = path.relative_to(SCRIPTS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_there_are_scripts_modules_and_rules():
    assert len(SCRIPT_FILES) > 10
    assert len(MODULE_FILES) > 20
    assert len(RULES) > 10


def test_a_script_is_a_job_with_a_docstring_and_imports_inside():
    for path in SCRIPT_FILES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        _, imported, *helpers, job = tree.body
        # A job that cannot import the package's modules says so in its log.
        assert ast.unparse(imported) == "from skymill.engine.job import job", path
        assert all(isinstance(helper, ast.FunctionDef) for helper in helpers), path
        assert isinstance(job, ast.With), path
        assert re.fullmatch(r"job\(snakemake.*\) as run", ast.unparse(job.items[0])), path


def test_every_import_in_a_script_exists():
    for path in SCRIPT_FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("skymill"):
                module = importlib.import_module(node.module)
                missing = [
                    alias.name
                    for alias in node.names
                    if not hasattr(module, alias.name)
                    and not importlib.util.find_spec(f"{node.module}.{alias.name}")
                ]
                assert missing == [], (path, node.module)


def test_a_rule_runs_the_script_of_its_name():
    for rule in RULES:
        assert re.findall(r'"\.\./scripts/(.+?)"', RULES[rule]) == [f"{rule}.py"], rule
        assert (SCRIPTS / f"{rule}.py").is_file()


def test_the_code_digest_of_a_rule_is_of_its_own_script():
    for rule in RULES:
        expected = [] if rule in WITHOUT_CODE_DIGEST else [f"{rule}.py"]
        assert re.findall(r'\*\*(?:stage|simulation)\(\s*"(.+?)"', RULES[rule]) == expected, rule


def test_a_script_reads_only_the_settings_that_its_rule_names():
    for rule in [name for name in RULES if "settings_of=" not in RULES[name]]:
        call = re.search(r"\*\*(?:stage|simulation)\((.*?)\),\n", RULES[rule], re.DOTALL)
        named = set(re.findall(r'"([\w.]+)"', call[1])) if call else set()
        read = re.findall(r'\brun\.settings\["([\w.]+)"\]', (SCRIPTS / f"{rule}.py").read_text())
        assert {*read} <= named, rule


SPREADS = {module_name(path): "map_pieces(" in path.read_text() for path in MODULE_FILES}


def test_a_script_starts_workers_for_the_module_that_distributes_its_work():
    for path in SCRIPT_FILES:
        text = path.read_text()
        imported = re.findall(r"^    from (skymill[\w.]+) import", text, re.MULTILINE)
        started = re.findall(r'^with job\(snakemake, workers="(.+?)"\) as run:', text, re.M)
        assert started == [name for name in imported if SPREADS[name]], path


OWN_READERS = {
    "skymill.reader.found": "of a content whose checksum was compared",
    "skymill.reader.ztf": "of a content whose checksum was compared",
    "skymill.ztf.label_lists": "of a user's own file, with the checksums of its pages",
}


def test_parquet_is_read_with_the_checksums_of_its_pages():
    for path in (*MODULE_FILES, *SCRIPT_FILES):
        read = re.findall(r"\bpq\.(?:read_table|ParquetFile)\(|\bread_parquet\(", path.read_text())
        assert not read or module_name(path) in OWN_READERS, path


def test_every_script_has_a_rule():
    assert sorted(RULES) == [path.stem for path in SCRIPT_FILES]


def test_a_rule_has_a_docstring_a_log_and_an_environment():
    for rule in RULES:
        assert RULES[rule].lstrip().startswith('"""'), rule
        for part in ("log:", "conda:", "output:"):
            assert f"    {part}\n" in RULES[rule], rule
        assert f'f"{{LOGS}}/{rule}' in RULES[rule], rule


def test_every_module_imports_alone():
    # One process for all imports. It unloads the package before each one, but not heavy libraries.
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


def test_no_module_of_the_package_imports_snakemake():
    for path in MODULE_FILES:
        tree = ast.parse(path.read_text())
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
        assert "snakemake" not in imported, path


ROOMS = ("engine", "raw", "alerts", "ztf", "magnetic", "sdo", "swan_sf", "stealth", "simulate")
MAY_IMPORT = {
    "engine": set(),
    "alerts": {"engine"},
    "stealth": {"engine"},
    "swan_sf": {"engine", "magnetic"},
    "sdo": {"engine", "raw"},
}


def test_a_subpackage_imports_only_the_subpackages_below_it():
    for path in MODULE_FILES:
        room = module_name(path).split(".")[1:2]
        if not room or room[0] not in MAY_IMPORT:
            continue
        imported = set(re.findall(r"^ *from skymill\.(\w+)", path.read_text(), re.MULTILINE))
        assert imported & {*ROOMS} <= {room[0], *MAY_IMPORT[room[0]]}, path
