"""Secrets are found where Kaggle's client finds them, stripped, and never shown."""

import json
import urllib.parse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.engine import secrets
from skymill.engine.errors import SkymillError
from skymill.engine.secrets import SHORTEST, keep_secret, redacted, without_password
from skymill.raw.credentials import find_credentials

TOKEN = "KGAT_planted0123456789abcdef"
VARIABLES = ("API_TOKEN", "USERNAME", "KEY", "CONFIG_DIR")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Return a home folder without credentials, in an environment without credentials."""
    monkeypatch.setattr(secrets, "_secrets", set())
    for name in VARIABLES:
        monkeypatch.delenv(f"KAGGLE_{name}", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


@given(st.text(min_size=SHORTEST).filter(lambda text: len(text.strip()) >= SHORTEST))
def test_a_secret_is_removed_from_texts_plain_or_encoded(text):
    keep_secret(text)
    for shown in (f"a {text} b", f"a {text!r} b", f"http://{urllib.parse.quote(text, safe='')}@h"):
        assert "[secret]" in redacted(shown)
    assert text.strip() not in redacted(f"a{text}b") or text.strip() in "[secret]"


def test_an_empty_text_is_no_secret_and_short_words_are_kept():
    for text in (None, "", " ", "a", "the"):
        keep_secret(text)
    assert redacted("the file a is gone") == "the file a is gone"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:p%40ss-word@host:1/x@y", "https://host:1/x@y"),
        ("https://token-0123@host/x", "https://host/x"),
        ("https://host/@x?y=z", "https://host/@x?y=z"),
        ("host/x", "host/x"),
    ],
)
def test_an_address_is_shown_without_its_password(address, shown):
    assert without_password(address) == shown
    assert redacted("p%40ss-word p@ss-word token-0123").count("p@ss") == ("p%40" not in address)


def test_without_credentials_no_credentials_are_found():
    assert find_credentials() is None


BLANKS = ["", "\r", "\n", "\r\n", " \t\n"]


@pytest.mark.parametrize("around", BLANKS)
def test_blanks_around_a_token_are_removed(monkeypatch, around):
    monkeypatch.setenv("KAGGLE_API_TOKEN", f"{around}{TOKEN}{around}")
    assert find_credentials().token == TOKEN
    assert TOKEN not in redacted(f"Bearer {TOKEN}")


@pytest.mark.parametrize("around", BLANKS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["access_token", "access_token.txt", "named"])
def test_a_token_is_read_from_a_file(home, monkeypatch, name, encoding, around):
    path = home / ".kaggle" / name
    write(path, f"{TOKEN}{around}".encode(encoding))
    if name == "named":
        monkeypatch.setenv("KAGGLE_API_TOKEN", str(path))
    assert find_credentials().token == TOKEN
    assert TOKEN not in redacted(TOKEN)


@pytest.mark.parametrize("folder", [".kaggle", ".config/kaggle", "xdg/kaggle", "own"])
def test_a_legacy_key_is_read_where_the_client_keeps_it(home, monkeypatch, folder):
    if folder.startswith("xdg"):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    if folder == "own":
        monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home / folder))
    write(home / folder / "kaggle.json", json.dumps({"username": "me", "key": f"{TOKEN}\n"}))
    found = find_credentials()
    assert (found.username, found.key, found.token) == ("me", TOKEN, None)
    assert redacted(f"me {TOKEN}") == "me [secret]"


def test_variables_precede_files_and_tokens_precede_keys(home, monkeypatch):
    write(home / ".kaggle" / "kaggle.json", json.dumps({"username": "me", "key": "0123456789"}))
    monkeypatch.setenv("KAGGLE_KEY", TOKEN)
    found = find_credentials()
    assert (found.username, found.key) == ("me", TOKEN)
    assert "KAGGLE_KEY" in found.place
    write(home / ".kaggle" / "access_token", "KGAT_file")
    assert find_credentials().token == "KGAT_file"
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_variable")
    assert find_credentials().token == "KGAT_variable"


def test_a_login_is_used_last(home):
    content = {"refresh_token": TOKEN, "access_token": "KGAT_short_lived", "username": "me"}
    write(home / ".kaggle" / "credentials.json", json.dumps(content))
    assert find_credentials().is_login
    assert redacted(f"{TOKEN} KGAT_short_lived") == "[secret] [secret]"


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"username": 7, "key": null}'])
def test_a_file_without_a_key_is_reported_or_skipped(home, content):
    write(home / ".kaggle" / "kaggle.json", content)
    if content == "{":
        with pytest.raises(SkymillError, match="is not JSON"):
            find_credentials()
    else:
        assert find_credentials() is None


@pytest.mark.parametrize("odd", ["a b", "a\nb", "a\0b", "a\u2019b", "a\x7fb", "\N{MICRO SIGN}b"])
@pytest.mark.parametrize("place", ["access_token", "kaggle.json"])
def test_invalid_credentials_are_refused_and_only_their_place_is_named(home, place, odd):
    secret = f"{TOKEN}{odd}"
    content = {"username": "me", "key": secret}
    write(home / ".kaggle" / place, secret if place == "access_token" else json.dumps(content))
    with pytest.raises(SkymillError) as caught:
        find_credentials()
    assert place in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_the_repr_of_credentials_hides_them():
    from skymill.raw.credentials import Credentials

    assert TOKEN not in repr(Credentials("here", token=TOKEN, username=TOKEN, key=TOKEN))
