"""The user's credentials for Kaggle, from the places where Kaggle's client looks for them.

Credentials are never shown: each is kept as a secret, and errors name only its place.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.engine.secrets import keep_secret

HOW_TO = (
    "make a token on https://www.kaggle.com/settings and set KAGGLE_API_TOKEN, or write it to "
    "~/.kaggle/access_token; or set KAGGLE_USERNAME and KAGGLE_KEY, or keep ~/.kaggle/kaggle.json"
)
"""How a user gets credentials, as part of a sentence."""


@dataclass(frozen=True)
class Credentials:
    """The credentials that are sent to Kaggle.

    Attributes
    ----------
    place
        Where the credentials were found, for messages.
    token
        An access token, if one was found.
    username, key
        A legacy API key and its owner, if they were found.
    is_login
        Whether there is a login in the browser (`kaggle auth login`). Kaggle's client reads and
        renews the login.
    """

    place: str
    token: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    is_login: bool = False


def find_credentials() -> Credentials | None:
    """Return the first credentials in the order of Kaggle's client, or None.

    White space around credentials is removed: files end with a line feed, and variables that were
    set from a file may end with a carriage return.

    Raises
    ------
    SkymillError
        When the credentials cannot be read, or contain a character that no credentials have.
    """
    return next((found for found in _all_credentials() if found), None)


def _all_credentials() -> Iterator[Credentials | None]:
    """Yield the credentials in each place, or None."""
    variable = os.environ.get("KAGGLE_API_TOKEN", "").strip()
    # For a token that is too long for a file name, Path.is_file would raise an error that shows
    # the token.
    if os.path.isfile(variable):  # noqa: PTH113
        yield _token(_read(Path(variable)), "the file that KAGGLE_API_TOKEN names")
    else:
        yield _token(variable, "KAGGLE_API_TOKEN")
    folder = Path("~/.kaggle").expanduser()
    for path in (folder / "access_token", folder / "access_token.txt"):
        yield _token(_read(path), str(path))
    yield _legacy_key()
    login = folder / "credentials.json"
    known = _read_json(login)
    for name in ("refresh_token", "access_token"):
        keep_secret(_text(known.get(name)))
    if known.get("refresh_token"):
        yield Credentials(str(login), is_login=True)


def _token(text: str | None, place: str) -> Credentials | None:
    token = _clean(text, place)
    return Credentials(place, token=token) if token else None


def _legacy_key() -> Credentials | None:
    """Return a user's name and key. Each variable takes precedence over its entry in the file."""
    path = _config_folder() / "kaggle.json"
    known = _read_json(path)
    values, places = {}, []
    for name in ("username", "key"):
        variable = f"KAGGLE_{name.upper()}"
        place = variable if os.environ.get(variable) else str(path)
        text = os.environ.get(variable) or _text(known.get(name))
        values[name] = _clean(text, place, secret=name == "key")
        places.append(place)
    if not (values["username"] and values["key"]):
        return None
    return Credentials(" and ".join(dict.fromkeys(places)), **values)


def _config_folder() -> Path:
    """Return the folder of kaggle.json, as Kaggle's client finds it."""
    if named := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(named)
    own = Path("~/.kaggle").expanduser()
    if own.exists():
        return own
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / "kaggle"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _clean(text: str | None, place: str, *, secret: bool = True) -> str | None:
    """Return credentials without white space around them, or None for an empty text."""
    text = (text or "").strip().strip("\ufeff\0").strip()
    if not text:
        return None
    if secret:
        keep_secret(text)
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise SkymillError(
            f"the text in {place} for Kaggle has a space, a line break, or a letter that no "
            "credentials have. Copy the text again, alone on one line."
        )
    return text


def _read(path: Path) -> str | None:
    """Return the text of a file, or None without the file. Windows editors may write UTF-16."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise SkymillError(f"{path} cannot be read: {error.strerror}.") from None
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return content.decode(encoding, errors="replace")


def _read_json(path: Path) -> dict:
    """Return the object in a JSON file; like Kaggle's client, an empty one without the file."""
    text = _read(path)
    if not text or not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise SkymillError(
            f"{path} is not JSON. Download it again from https://www.kaggle.com/settings."
        ) from None
    return found if isinstance(found, dict) else {}
