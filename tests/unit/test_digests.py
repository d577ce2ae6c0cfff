"""Digests: the digest of a script covers every module that it imports, and no other module."""

import ast
import hashlib
import io
import json
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import SCRIPTS

from skymill.engine import digests
from skymill.engine.digests import (
    bare_code,
    code_digest,
    document_digest,
    file_sha256,
    large_file_digest,
    ordered_digest,
)

FILES = {
    "make.py": "from skymill.job import run\ndef main():\n    from skymill.sky import stars\n",
    "other.py": "import skymill.job\n",
    "skymill/__init__.py": "",
    "skymill/job.py": "import json\nimport numpy\n",
    "skymill/errors.py": "",
    "skymill/unrelated.py": "import skymill.job\n",
    "skymill/sky/__init__.py": "",
    "skymill/sky/stars.py": "from .planets import N\nfrom . import moons\nimport skymill.deep\n",
    "skymill/sky/planets.py": "N = 8\nfrom ..errors import Oops\n",
    "skymill/sky/moons.py": "",
    "skymill/sky/comets.py": "",
    "skymill/deep.py": "def late():\n    if True:\n        import skymill.deeper as d\n",
    "skymill/deeper.py": "",
}
COVERED = {"make.py", *FILES} - {"other.py", "skymill/unrelated.py", "skymill/sky/comets.py"}


@pytest.fixture
def scripts(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    yield tmp_path
    digests._read_source.cache_clear()
    digests._files_of.cache_clear()


def digest_of(script):
    """Return the digest that a new process computes: one process reads each file only once."""
    digests._read_source.cache_clear()
    return code_digest(script)


@pytest.mark.parametrize("name", FILES)
def test_a_change_in_an_imported_module_changes_the_digest_and_no_other_does(scripts, name):
    before = digest_of(scripts / "make.py")
    (scripts / name).write_text(FILES[name] + "CHANGED = True\n")
    assert (digest_of(scripts / "make.py") != before) == (name in COVERED)


@pytest.mark.parametrize("name", FILES)
def test_a_comment_a_docstring_and_blank_lines_do_not_change_the_digest(scripts, name):
    before = digest_of(scripts / "make.py")
    (scripts / name).write_text(f'"""What it is."""\n\n{FILES[name]}\n# changed\n\n')
    assert digest_of(scripts / "make.py") == before


def test_equal_code_elsewhere_has_the_same_digest(scripts, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name, text in FILES.items():
        path = other / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert code_digest(other / "make.py") == code_digest(scripts / "make.py")


def test_a_new_import_is_seen_by_a_new_process(scripts):
    before = digest_of(scripts / "other.py")
    (scripts / "skymill/job.py").write_text("import skymill.sky.comets\n")
    middle = digest_of(scripts / "other.py")
    (scripts / "skymill/sky/comets.py").write_text("COUNT = 1\n")
    after = digest_of(scripts / "other.py")
    assert len({before, middle, after}) == 3


def test_code_that_moves_to_another_module_changes_the_digest(scripts):
    before = digest_of(scripts / "make.py")
    moved = FILES["skymill/sky/planets.py"]
    (scripts / "skymill/sky/moons.py").write_text(moved)
    (scripts / "skymill/sky/planets.py").write_text("")
    assert digest_of(scripts / "make.py") != before


def test_a_missing_script_is_an_error(scripts):
    with pytest.raises(FileNotFoundError):
        code_digest(scripts / "missing.py")


# --- Code without comments, docstrings and blank lines -------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("# all there is\n", ""),
        ('"""All there is."""\n', ""),
        ("x = 1\n", "x = 1"),
        ("x = 1  # why\n", "x = 1"),
        ("x = 1   \n\t\n\n", "x = 1"),
        ("# before\n\nx = 1\n\n# between\ny = 2\n# after", "x = 1\ny = 2"),
        ('"""What\n\nit is."""\nx = 1\n', "x = 1"),
        ('"""One."""; x = 1\n', "; x = 1"),
        ("def f():\n    'One.'\n    return 1\n", "def f():\n    return 1"),
        (
            "def f():\n    '''One.\n\n    Two. # 3\n    '''  # four\n    return 1\n",
            "def f():\n    return 1",
        ),
        ("async def f():\n    r'''One.'''\n    return 1\n", "async def f():\n    return 1"),
        ("class A:\n    '''One.'''\n\n    x = 1\n", "class A:\n    x = 1"),
        (
            "class A:\n  def f(self):\n    'Ö'\n    return 'ö'",
            "class A:\n  def f(self):\n    return 'ö'",
        ),
        ("if x:\n    'note'\n    y = 1\n", "if x:\n    y = 1"),
    ],
)
def test_comments_docstrings_and_blank_lines_are_cut(text, expected):
    assert bare_code(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "x = '#'",
        'x = "# no comment"',
        "x = 'it''s #1'",
        "x = '\\'#'",
        "x = r'\\d#'; y = r'\\\\'",
        "x = b'#'; y = rb'#'; z = Rb'#'",
        "x = f'{y} # {z}'",
        "x = f'{y!r:#>{z}}'",
        "x = f\"{y['#']}\"",
        "x = f'''{y}\n\n# {z}\n'''",
        "x = '''one\n\n   \n  two   \n# three\n'''",
        "x = \"\"\"one\n\n''' # '''\n\"\"\"",
        "x = ('one'\n     '# two')",
        "x = '''one'''  '''\n\n'''",
        "x = '''\n\n''' + '''\n\n'''",
        "x = 'one \\\n# two'",
        "x = 1 \\\n    + 2",
        "x = ''",
        "x = ''''''",
        "def f(a='#', b=\"#\"):\n    return a",
        "x = f'''{\n    y  \n}'''",
        # Strings that look like docstrings at the first glance.
        "x: 'int'",
        "x = {y:\n'one'\n}",
        "x = y[\n:\n'one'\n]",
        "x = lambda: \\\n'one'",
        "def f():\n    'one'.strip()",
        "def f():\n    'one', 2",
        "('one' 'two')\nx = 1",
        "class A: 'One.'",
        "def ζ(): 'ö'; return 1",
    ],
)
def test_code_keeps_every_character_of_its_strings(text):
    assert bare_code(text) == text
    assert bare_code(f"{text}  # comment\n\n") == text


def test_a_string_that_is_an_expression_in_the_middle_is_code():
    assert bare_code("x = 1\n'note'\n") == "x = 1\n'note'"
    assert bare_code("f'no docstring'\nx = 1") == "f'no docstring'\nx = 1"
    assert bare_code("b'no docstring'\nx = 1") == "b'no docstring'\nx = 1"


@pytest.mark.parametrize(
    "text", ["x = 1\ny = 2\n", '"""A\n\nb."""\nx = 1\n', "x = '''a\n\nb'''\n# c\n"]
)
def test_line_ends_of_windows_change_nothing(text):
    assert bare_code(text.replace("\n", "\r\n")) == bare_code(text)


STATEMENTS = (
    "a = 1",
    "a = 2",
    "b = '#'",
    'c = "it\'s"',
    "d = f'{a!r:#x} # {b}'",
    'e = """one\n\n  # two  \n"""',
    'e = """one\n  # two  \n"""',
    "f = r'\\\\'",
    "f = b'#'",
    "if a:\n    h = [\n        1,\n        2,\n    ]",
    "def i(x):\n    return x",
    "class J:\n    k = 1",
    "l = ('one'\n     '# two')",
    "m = 1 \\\n    + 2",
    "'note'",
)
NOISE = ("", "   ", "\t", "# comment", "# it's \"quoted", "        # deep", '# """', "#")
DOCSTRINGS = (
    "",
    '"""One."""\n',
    '"""Two # 2\n\nlines: \'\'\'."""\n',
    "'one'\n",
    "r'''\\d'''\n",
    '"""ö"""  # why\n',
)
programs = st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=6).filter(
    lambda statements: statements[0] != "'note'"
)


@given(programs, st.sampled_from(DOCSTRINGS), st.data())
def test_comments_and_blank_lines_between_statements_change_nothing(statements, docstring, data):
    noise = st.lists(st.sampled_from(NOISE), max_size=3)
    behind = st.sampled_from(("", "  ", "  # why", "# it's"))
    lines = [*data.draw(noise)]
    if docstring:
        lines.append(docstring)
    for statement in statements:
        lines += [statement + data.draw(behind), *data.draw(noise)]
    assert bare_code("\n".join(lines)) == "\n".join(statements)


@given(programs, programs)
def test_other_statements_change_the_code(one, other):
    assert (bare_code("\n".join(one)) == bare_code("\n".join(other))) == (one == other)


WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NO_CODE = {
    getattr(tokenize, name)
    for name in ("COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENCODING", "ENDMARKER")
}


def tokens_of(text, without=()):
    """Return text and column of the tokens of Python source that count, except at `without`."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [
        (token.string, token.start[1])
        for token in tokens
        if token.type not in NO_CODE and token.start not in without
    ]


def test_every_token_of_the_package_is_kept_except_docstrings():
    for path in SCRIPTS.rglob("*.py"):
        text = path.read_text()
        docstrings = {
            (node.body[0].lineno, node.body[0].col_offset)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node) is not None
        }
        assert tokens_of(bare_code(text)) == tokens_of(text, docstrings), path


# --- Imports -------------------------------------------------------------------------------------


def imports_of(text, path=Path("skymill/deep/here.py")):
    """Return the modules of the package that Python's parser finds in imports."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.parts[: -node.level] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            names.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return frozenset().union(*(digests._files_of(name, SCRIPTS) for name in names))


def test_the_imports_of_the_package_are_those_that_the_parser_finds():
    for path in SCRIPTS.rglob("*.py"):
        expected = imports_of(path.read_text(), path.relative_to(SCRIPTS))
        assert digests._read_source(path, SCRIPTS).imports == expected, path


IMPORTS = (
    "import skymill.paths",
    "import json, skymill.paths as p, skymill.made",
    "import skymill.paths; import skymill.made",
    "from skymill import paths, made as m",
    "from skymill import (\n    paths,  # why\n    made as m,\n)",
    "from skymill import (paths, made,)",
    "from skymill.engine import \\\n    digests, \\\n    words",
    "from skymill \\\n  import paths",
    "from .. import paths",
    "from ..engine.digests import bare_code",
    "from..engine import digests",
    "from ..paths import *",
    "if x: import skymill.paths",
    "if x: from skymill import paths; import skymill.made",
    "def f():\n    import skymill.paths\n    return 1",
    "def f():\n    yield from x; import skymill.paths",
    "x = 'import skymill.paths'",
    "x = 1  # import skymill.paths",
    '"""\nimport skymill.paths\n"""',
    "raise A from b\nimport skymill.made",
    "important = reimport = 1",
)


@given(st.lists(st.sampled_from(IMPORTS), max_size=5))
def test_imports_of_every_form_are_found(statements):
    text = "\n".join(statements)
    code, _ = digests._code_and_strings(text)
    path = SCRIPTS / "skymill/deep/here.py"
    assert digests._imported_modules(code, path, SCRIPTS) == imports_of(text)


# --- Files, settings and lists -------------------------------------------------------------------


def test_the_digest_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "empty").startswith("e3b0c44298fc1c14")
    assert file_sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_large_file_has_the_digest_of_its_content(tmp_path, algorithm):
    content = bytes(range(256)) * 5000
    (tmp_path / "large").write_bytes(content)
    expected = hashlib.new(algorithm, content).hexdigest()
    assert large_file_digest(tmp_path / "large", algorithm) == expected


SETTINGS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=5), SETTINGS))
def test_the_order_of_settings_does_not_change_the_digest(found):
    assert document_digest(dict(reversed(found.items()))) == document_digest(found)


@given(st.lists(st.dictionaries(st.text(max_size=3), SETTINGS), min_size=2, max_size=2))
def test_other_settings_have_another_digest(pair):
    one, other = pair
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (document_digest(one) == document_digest(other)) == same


def test_the_digest_of_a_list_of_texts_is_that_of_its_lines():
    assert ordered_digest(["ZTF1,2", "ö"]) == hashlib.sha256("ZTF1,2\nö\n".encode()).hexdigest()
    assert ordered_digest(iter([])) == hashlib.sha256(b"").hexdigest()


@given(*(st.lists(st.text("ab,", max_size=3), max_size=4),) * 2)
def test_other_texts_or_another_order_change_the_digest(one, other):
    assert (ordered_digest(one) == ordered_digest(other)) == (one == other)
