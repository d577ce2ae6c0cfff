"""Digests: a script's covers every module that it imports, and no other."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill import digests
from skymill.digests import code_digest, file_sha256, settings_digest

FILES = {
    "make.py": "from skymill.job import run\ndef main():\n    from skymill.sky import stars\n",
    "other.py": "import skymill.job\n",
    "skymill/__init__.py": "",
    "skymill/job.py": "import json\nimport numpy\n",
    "skymill/errors.py": "",
    "skymill/unrelated.py": "import skymill.job\n",
    "skymill/sky/__init__.py": "",
    "skymill/sky/stars.py": "from .planets import COUNT\nfrom . import moons\nimport skymill.deep",
    "skymill/sky/planets.py": "COUNT = 8\nfrom ..errors import Oops\n",
    "skymill/sky/moons.py": "",
    "skymill/sky/comets.py": "",
    "skymill/deep.py": "def late():\n    if True:\n        import skymill.deeper as d\n",
    "skymill/deeper.py": "",
}
COVERED = {"make.py", *FILES} - {"other.py", "skymill/unrelated.py", "skymill/sky/comets.py"}


@pytest.fixture
def scripts(tmp_path):
    digests._imported_modules.cache_clear()
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    yield tmp_path
    digests._imported_modules.cache_clear()


@pytest.mark.parametrize("name", FILES)
def test_a_change_in_an_imported_module_changes_the_digest_and_no_other_does(scripts, name):
    before = code_digest(scripts / "make.py")
    (scripts / name).write_text(FILES[name] + "# changed\n")
    assert (code_digest(scripts / "make.py") != before) == (name in COVERED)


def test_equal_code_elsewhere_has_the_same_digest(scripts, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name, text in FILES.items():
        path = other / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert code_digest(other / "make.py") == code_digest(scripts / "make.py")


def test_a_new_import_is_seen_by_a_new_process(scripts):
    before = code_digest(scripts / "other.py")
    (scripts / "skymill/job.py").write_text("import skymill.sky.comets\n")
    digests._imported_modules.cache_clear()
    middle = code_digest(scripts / "other.py")
    (scripts / "skymill/sky/comets.py").write_text("COUNT = 1\n")
    after = code_digest(scripts / "other.py")
    assert len({before, middle, after}) == 3


def test_a_missing_script_is_an_error(scripts):
    with pytest.raises(FileNotFoundError):
        code_digest(scripts / "missing.py")


def test_a_file_digest_is_its_sha256(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "empty").startswith("e3b0c44298fc1c14")
    assert file_sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")


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
def test_the_order_of_settings_is_no_change(found):
    assert settings_digest(dict(reversed(found.items()))) == settings_digest(found)


@given(st.lists(st.dictionaries(st.text(max_size=3), SETTINGS), min_size=2, max_size=2))
def test_other_settings_have_another_digest(pair):
    one, other = pair
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (settings_digest(one) == settings_digest(other)) == same
