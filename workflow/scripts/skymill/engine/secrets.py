"""Secrets that this process has read, and their removal from texts.

Code that reads a password or a token first calls `keep_secret`. All texts that a job logs or prints
go through `redacted`.
"""

import logging
import urllib.parse

SHORTEST = 4
"""Characters of the shortest secret that is removed: shorter texts are parts of usual words."""

HIDDEN = "[secret]"

_secrets: set[str] = set()


def keep_secret(text: str | None) -> None:
    """Make `redacted` remove a text, also in the forms of Python's repr and of web addresses."""
    for part in {text, *text.split()} if text else ():
        for form in (part, repr(part)[1:-1], urllib.parse.quote(part, safe="")):
            if len(form.strip()) >= SHORTEST:
                _secrets.add(form.strip())


def redacted(text: str) -> str:
    """Return a text without the secrets that are known so far."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


class RedactedFormatter(logging.Formatter):
    """Formats log records, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return redacted(super().format(record))


def without_password(address: str, *, has_path: bool = True) -> str:
    """Return a web address without its user and password, if any; keep the password secret.

    The address of a proxy has no path, so all text before the last @ is the user and password. Such
    a password may contain a slash.
    """
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/") if has_path else (rest, "", "")
    user, at, host = host.rpartition("@")
    if not at:
        return address
    password = user.partition(":")[2] or user
    keep_secret(password)
    keep_secret(urllib.parse.unquote(password))
    return f"{scheme}{mark}{host}{slash}{path}"
