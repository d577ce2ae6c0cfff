"""Secrets that this process has read, and texts without them.

Whatever reads a password or a token keeps it here first. What a job logs or prints goes through
`redacted`.
"""

import logging
import urllib.parse

SHORTEST = 4
"""Characters of the shortest secret that is looked for: a shorter one is a part of usual words."""

HIDDEN = "[secret]"

_secrets: set[str] = set()


def keep_secret(text: str | None) -> None:
    """Have `redacted` remove a text, also as Python shows it and as an address has it."""
    for part in {text, *text.split()} if text else ():
        for form in (part, repr(part)[1:-1], urllib.parse.quote(part, safe="")):
            if len(form.strip()) >= SHORTEST:
                _secrets.add(form.strip())


def redacted(text: str) -> str:
    """Return a text without the secrets that are known by now."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


class RedactedFormatter(logging.Formatter):
    """Formats log records, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return redacted(super().format(record))


def without_password(address: str, *, has_path: bool = True) -> str:
    """Return a web address without the user and password that it may hold; keep them secret.

    Behind a host without a path, as a proxy is, no @ can be: there a password may have a slash.
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
