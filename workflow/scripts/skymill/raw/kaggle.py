"""Data sets from Kaggle, through its official client.

Credentials are the client's own business: it reads them from where Kaggle documents them, and
nothing here looks at, keeps or prints them.
"""

import contextlib
import io
import logging
import sys
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.engine.space import require_space
from skymill.raw.registry import Source

logger = logging.getLogger(__name__)


def download_dataset(source: Source, folder: Path) -> Path:
    """Download a Kaggle data set's zip into a folder and return its path.

    A download that was interrupted, also by an earlier run, is gone on with by the client.

    Raises
    ------
    SkymillError
        When credentials are missing or refused, the terms are not accepted, or the download
        fails; it says how to authenticate and where to put the file otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = source.kaggle.rpartition("/")[2]
    require_space(folder, source.disk_bytes, name)
    handle = f"{source.kaggle}/{source.version}"
    # Importing the client authenticates: it may ask the network, print to stdout, and exit.
    with contextlib.redirect_stdout(io.StringIO()):
        from kaggle.api.kaggle_api_extended import KaggleApi
        from requests import HTTPError, RequestException

        api = KaggleApi()
        try:
            api.authenticate()
        except SystemExit:
            raise _refused(source, "Kaggle found no credentials") from None
        try:
            # The client's own bar tells speed and time left; nobody watches a log.
            api.dataset_download_files(handle, path=str(folder), quiet=not sys.stderr.isatty())
        except HTTPError as error:
            raise _explained(source, error) from None
        except RequestException as error:
            raise SkymillError(
                f"{source.kaggle}: the download from Kaggle failed ({type(error).__name__}). What "
                "has arrived is kept: run again to go on."
            ) from None
        except ValueError as error:
            raise SkymillError(f"{source.kaggle}: {error}. Run again.") from None
    return folder / f"{name}.zip"


def _explained(source: Source, error) -> SkymillError:
    status = error.response.status_code if error.response is not None else None
    if status == 401:
        return _refused(source, "Kaggle refused the credentials (401)")
    if status == 403:
        return _refused(
            source,
            "Kaggle denied access (403): the terms of the data set are not accepted, or the "
            "credentials are not valid",
        )
    if status == 404:
        return _refused(source, f"Kaggle has no version {source.version} of this data set (404)")
    return SkymillError(
        f"{source.kaggle}: Kaggle answered {status}. What has arrived is kept: run again to go on."
    )


def _refused(source: Source, why: str) -> SkymillError:
    return SkymillError(
        f"{source.kaggle}: {why}. The data set's page is {source.page}; sign in and accept its "
        "terms there. To authenticate, make a token on https://www.kaggle.com/settings and set "
        "KAGGLE_API_TOKEN, or write it to ~/.kaggle/access_token; or set KAGGLE_USERNAME and "
        "KAGGLE_KEY, or keep ~/.kaggle/kaggle.json. Or download it by hand and put it at "
        f"data/raw/{source.file}. Then run again."
    )
