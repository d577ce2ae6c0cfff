"""Data sets on Kaggle, through the library on which Kaggle's official client is built.

The library sends the requests to Kaggle's servers. raw/http.py reads the body as for any other
address, so timeouts, resuming and checks are the same. The package `kaggle` itself is not imported:
on import it authenticates without a timeout, makes a folder in the user's home, prints, and ends
the process.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skymill.engine.secrets import keep_secret
from skymill.raw.credentials import HOW_TO, Credentials, find_credentials
from skymill.raw.http import AddressFailedError, NotThereError, connecting, leave_part
from skymill.raw.registry import Source


class DataSet:
    """The zip of a Kaggle data set's pinned version, as an address to download from.

    Parameters
    ----------
    source
        The registry's entry.
    credentials
        The credentials that are sent to Kaggle.
    """

    def __init__(self, source: Source, credentials: Credentials):
        self.name = _name(source)
        self._source = source
        self._credentials = credentials
        self._is_known = False

    def get(self, headers: dict[str, str], timeout: float):
        """Request the data set from Kaggle; return the response after the redirect.

        The headers, with the range of bytes, are sent too. The range only matters to the server to
        which Kaggle redirects.

        Raises
        ------
        AddressFailedError
            When Kaggle refuses the credentials, denies access, or does not have the data set.
        """
        from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest
        from requests import HTTPError

        owner, _, name = self._source.kaggle.partition("/")
        request = ApiDownloadDatasetRequest()
        request.owner_slug, request.dataset_slug = owner, name
        request.dataset_version_number = self._source.version
        try:
            with _talking():
                token = self._token(timeout)
                with _client(self._credentials, token, timeout, headers) as client:
                    return client.datasets.dataset_api_client.download_dataset(request)
        except HTTPError as error:
            return self._judged(error)

    def _token(self, timeout: float) -> str | None:
        """Return the token to send, after a check that Kaggle accepts it; None for a legacy key."""
        from requests import HTTPError

        if self._credentials.token is None and not self._credentials.is_login:
            return None
        try:
            token = self._credentials.token or self._token_of_login(timeout)
            if token and not self._is_known:
                self._is_known = self._is_active(token, timeout)
        except HTTPError as error:
            status = error.response.status_code if error.response is not None else None
            if status in (400, 401, 403, 404):
                raise self._refused(status) from None
            raise
        if not self._is_known:
            raise self._refused(None)
        return token

    def _is_active(self, token: str, timeout: float) -> bool:
        """Return whether a token is neither expired nor revoked; Kaggle is asked."""
        from kagglesdk.security.types.oauth_service import IntrospectTokenRequest

        request = IntrospectTokenRequest()
        request.token = token
        with _client(self._credentials, token, timeout) as client:
            return client.security.oauth_client.introspect_token(request).active

    def _token_of_login(self, timeout: float) -> str | None:
        """Return the token of a login in the browser, renewed if necessary."""
        from kagglesdk.kaggle_creds import KaggleCredentials

        with _client(self._credentials, None, timeout) as client:
            login = KaggleCredentials.load(client, self._credentials.place)
            token = login and login.get_access_token()
        keep_secret(token)
        return token

    def _judged(self, error):
        """Return the response of an error that another try may change; raise all other errors."""
        response = error.response
        if response is None or response.ok:
            raise AddressFailedError("Kaggle answered with an unknown error")
        status = response.status_code
        if status == 401:
            raise self._refused(status)
        if status == 403:
            raise AddressFailedError(
                "Kaggle denied access (403): the terms of the data set are not accepted, or the "
                f"credentials in {self._credentials.place} are not valid. Sign in on "
                f"{self._source.page} and accept the terms there; or {HOW_TO}"
            )
        if status == 404:
            raise AddressFailedError(
                f"Kaggle has no version {self._source.version} of this data set (404), or does not "
                f"show it to the owner of the credentials in {self._credentials.place}",
                NotThereError,
            )
        return response

    def _refused(self, status: int | None) -> AddressFailedError:
        code = f" ({status})" if status else ""
        return AddressFailedError(
            f"Kaggle refused the credentials in {self._credentials.place}{code}: they are "
            f"mistyped, expired or revoked. To authenticate, {HOW_TO}"
        )


def _name(source: Source) -> str:
    return f"{source.kaggle_page} (version {source.version})"


def kaggle_address(source: Source) -> DataSet | None:
    """Return the address of a Kaggle data set, None without credentials.

    Raises
    ------
    SkymillError
        When the credentials cannot be read, or have invalid characters.
    """
    credentials = find_credentials()
    return credentials and DataSet(source, credentials)


@contextmanager
def _talking() -> Iterator[None]:
    """Hide all texts of the library, because they may contain the credentials."""
    import requests

    try:
        with connecting():
            yield
    except (
        AddressFailedError,
        MemoryError,
        requests.RequestException,
        ConnectionError,
        TimeoutError,
    ):
        raise  # in_plain_words has texts for these errors
    except Exception as error:  # noqa: BLE001 (an odd answer may raise any error in the library)
        raise AddressFailedError(
            f"Skymill does not understand Kaggle's answer ({type(error).__name__})"
        ) from None


@contextmanager
def _client(
    credentials: Credentials,
    token: str | None,
    timeout: float,
    headers: dict[str, str] | None = None,
):
    """Open the library's client, and add a timeout to its requests."""
    from kagglesdk.kaggle_client import KaggleClient
    from requests.adapters import HTTPAdapter

    class Limited(HTTPAdapter):
        def send(self, request, **given):
            return super().send(request, **{**given, "timeout": timeout})

    with KaggleClient(
        username=credentials.username,
        password=credentials.key,
        api_token=token,
        user_agent="skymill",
    ) as client:
        session = client.http_client()._session
        session.headers.update(headers or {})
        for scheme in ("https://", "http://"):
            session.mount(scheme, Limited())
        yield client


def adopt_part(source: Source, path: Path, folder: Path) -> None:
    """Prepare to resume, to `path`, an unfinished download of an earlier release in `folder`.

    The earlier release noted the version of the part. A part without a note is deleted.
    """
    left = folder / f"{source.kaggle.rpartition('/')[2]}.zip"
    marker = left.with_name(f"{left.name}.kaggle-partial")
    if not left.exists():
        return
    try:
        known = json.loads(marker.read_text())
        validator, total = known["validator"], known["size"]
    except (OSError, ValueError, KeyError, TypeError):  # missing or cut short
        left.unlink()
    else:
        leave_part(left, path, _name(source), validator, total)
    marker.unlink(missing_ok=True)
