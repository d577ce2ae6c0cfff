"""Network errors in plain words.

The texts of `requests` and `urllib3` are not shown. They contain whole addresses and headers, which
may contain passwords or tokens.
"""

import os
import socket
import ssl

from skymill.engine.secrets import without_password

_PROXIES = ("https_proxy", "http_proxy", "all_proxy")


def in_plain_words(error: Exception, timeout: float) -> tuple[str, bool]:
    """Return what happened, and whether another try may succeed.

    Parameters
    ----------
    error
        The error of `requests`, `urllib3` or the system.
    timeout
        The seconds without a byte after which a connection is closed.
    """
    import requests
    import urllib3

    chain = list(_causes(error))
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in chain):
        return _untrusted(chain), False
    if any(
        isinstance(one, (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError))
        for one in chain
    ):
        return _proxy_failed(chain)
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return f"the proxy ({_proxies()}) has no address", False
    if any(isinstance(one, urllib3.exceptions.NameResolutionError) for one in chain):
        return (
            f"no connection (the server's name is unknown here: {_system_text(chain)}). Check the "
            "network, and whether it needs a proxy"
        ), True
    # Before the timeouts: in urllib3, this error is a kind of timeout.
    if any(isinstance(one, urllib3.exceptions.NewConnectionError) for one in chain):
        return f"no connection ({_system_text(chain)})", True
    silent = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    if any(isinstance(one, silent) for one in chain):
        return f"silence for {timeout:g} s", True
    broken = (urllib3.exceptions.ProtocolError, requests.exceptions.ChunkedEncodingError)
    if any(isinstance(one, broken) for one in chain):
        return "the connection broke", True
    if found := next((one for one in chain if isinstance(one, ssl.SSLError)), None):
        return f"no encrypted connection ({found.reason or found.strerror})", True
    passing = (requests.ConnectionError, urllib3.exceptions.HTTPError, ConnectionError)
    if isinstance(error, passing) and not isinstance(error, urllib3.exceptions.LocationValueError):
        return f"no connection ({_system_text(chain)})", True
    said = _REFUSED.get(type(error).__name__, f"the request failed ({type(error).__name__})")
    return said.format(proxy=f"the proxy ({_proxies()})"), False


_REFUSED = {
    "TooManyRedirects": "the server redirects from address to address without end",
    "InvalidURL": "the address, or {proxy}, is not valid",
    "InvalidSchema": "the address, or {proxy}, does not begin with http or https",
    "MissingSchema": "the address does not begin with http or https",
    "InvalidHeader": "the credentials have an invalid character",
    "JSONDecodeError": "another server answered, and the answer is not JSON",
}
"""Texts for errors without a connection, by the name of the error's class."""


def _causes(error: BaseException):
    """Yield an error, and all errors that caused it or that it wraps."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [getattr(one, "reason", None), getattr(one, "original_error", None), *one.args]
        waiting += [
            cause
            for cause in (*inner, one.__cause__, one.__context__)
            if isinstance(cause, BaseException)
        ]


def _system_text(chain: list[BaseException]) -> str:
    """Return the system's text for the failure, such as `Connection refused`."""
    for one in chain:
        if isinstance(one, (socket.gaierror, socket.herror)) and one.strerror:
            return one.strerror
    texts = [one.strerror for one in chain if isinstance(one, OSError) and one.strerror]
    return texts[-1] if texts else "the server does not answer"


def _untrusted(chain: list[BaseException]) -> str:
    found = next(one for one in chain if isinstance(one, ssl.SSLCertVerificationError))
    return (
        f"the server's certificate is not trusted ({found.verify_message}). If your network has "
        "its own certificate authority, set REQUESTS_CA_BUNDLE to the file of its certificate"
    )


def _proxy_failed(chain: list[BaseException]) -> tuple[str, bool]:
    for one in chain:
        # http.client gives the code only in the text: "Tunnel connection failed: 407 Proxy ...".
        _, mark, answer = str(one).partition("Tunnel connection failed: ")
        if mark and answer[:3].isdecimal():
            code = int(answer[:3])
            if code == 407:
                return f"the proxy ({_proxies()}) needs another user and password (407)", False
            return f"the proxy ({_proxies()}) answered {code}", code >= 500
    return f"no connection to the proxy ({_proxies()}): {_system_text(chain)}", True


def _proxies() -> str:
    """Return the proxies in the environment variables, without passwords."""
    found = {}
    for name in _PROXIES:
        value = os.environ.get(name) or os.environ.get(name.upper())
        if value:
            found[name] = without_password(
                value if "://" in value else f"http://{value}", has_path=False
            )
    return ", ".join(f"{name}={value}" for name, value in found.items()) or "of this system"


def keep_proxy_passwords() -> None:
    """Keep the passwords of the proxies in the environment variables secret."""
    _proxies()
