"""One file over HTTP, resumed after any interruption.

What has arrived stands in `X.part`, and `X.part.json` says which version of which address it
belongs to. Both lie outside Snakemake's outputs, so they survive a failed or killed job.
"""

import contextlib
import email.utils
import hashlib
import json
import logging
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.engine.space import require_space
from skymill.raw.file_types import require_kind

logger = logging.getLogger(__name__)

CHUNK_BYTES = 2**18
HEAD_BYTES = 2**12
"""How much has to arrive before the content is compared with what it should be."""

LONGEST_PAUSE = 60.0
"""Seconds between two tries, unless the server asks for more."""

LONGEST_RETRY_AFTER = 900.0
"""Seconds that a server may ask to wait; beyond them the run ends and says so."""

RETRIED = {408, 425, 429, 500, 502, 503, 504}
"""Answers that another try may change; others are final for their address."""

NOT_THERE = {404, 410}
"""Answers of a server that has no such file."""


@dataclass(frozen=True)
class Patience:
    """How long a download goes on trying.

    `attempts` counts tries without a single new byte; `timeout` is the silence in seconds after
    which a connection is given up.
    """

    attempts: int = 6
    timeout: float = 60.0
    first_pause: float = 1.0


PATIENCE = Patience()


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is fetched; None is unknown.

    `algorithm` and `checksum` as hashlib names and writes them, `kind` see kinds.KINDS,
    `disk_bytes` is about what the file takes, for when the server does not say.
    """

    kind: str
    size: int | None = None
    algorithm: str = "sha256"
    checksum: str | None = None
    disk_bytes: int = 0


class NotThereError(SkymillError):
    """No address has the file: each server answered that there is none."""


class _AddressFailedError(Exception):
    """The address does not give the file; another may. `missing`: it has no such file."""

    def __init__(self, why: str, *, missing: bool = False) -> None:
        super().__init__(why)
        self.missing = missing


class _TryAgainError(Exception):
    """A try failed; `pause` is what the server asked for, in seconds."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


def download(
    addresses: list[str],
    path: Path,
    expected: Expected,
    *,
    patience: Patience = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Fetch a file to `path` from the first address that has it, and return its checksum.

    Parameters
    ----------
    addresses
        http or https; tried in order.
    path
        Where the complete, checked file is moved to; `path.part` beside it is gone on with.
    expected
        What the file must be; its checksum is returned by `expected.algorithm`.
    patience, sleep
        When a try is given up, and how the time between two is spent.

    Raises
    ------
    NotThereError
        When every address answers that there is no such file.
    SkymillError
        When no address gives the file; it names each with its reason.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    failures, missing = [], []
    for address in addresses:
        part = _Part(path, address, trusted=expected.checksum is not None)
        try:
            checksum = _try_address(part, expected, patience, sleep)
        except _AddressFailedError as error:
            logger.warning("%s: %s", address, error)
            failures.append(f"  {address}: {error}")
            missing.append(error.missing)
            continue
        part.finish()
        return checksum
    kind = NotThereError if all(missing) else SkymillError
    raise kind(f"{path.name} could not be fetched:\n" + "\n".join(failures))


def _try_address(part: "_Part", expected: Expected, patience: Patience, sleep: Callable) -> str:
    """Fetch a file from one address, with as many tries as patience allows."""
    import requests
    import urllib3

    fruitless = 0
    anew = False
    while True:
        before = part.size
        try:
            checksum = _fetch_rest(part, expected, patience.timeout)
            if expected.checksum is None or checksum == expected.checksum:
                return checksum
            why = f"its {expected.algorithm} is {checksum}, but {expected.checksum} was expected"
            part.discard()
            if anew or not before:
                raise _AddressFailedError(f"{why}; the file was changed there, or damaged")
            # What was gone on with may have been damaged here: once more from the beginning.
            logger.warning("%s: %s; fetching it anew", part.address, why)
            anew = True
            continue
        except _TryAgainError as error:
            why, pause = str(error), error.pause
        except (
            requests.ConnectionError,
            requests.Timeout,
            urllib3.exceptions.HTTPError,
            ConnectionError,
            TimeoutError,
        ) as error:
            why, pause = _in_plain_words(error, patience.timeout), None
        except requests.RequestException as error:
            raise _AddressFailedError(str(error)) from None
        fruitless = 0 if part.size > before else fruitless + 1
        if fruitless >= patience.attempts:
            raise _AddressFailedError(f"{why} (after {fruitless} tries without a byte)")
        if pause is None:
            pause = min(LONGEST_PAUSE, patience.first_pause * 2**fruitless)
            pause *= random.uniform(0.5, 1)
        elif pause > LONGEST_RETRY_AFTER:
            raise _AddressFailedError(f"{why}: the server asks to come back in {pause:,.0f} s")
        logger.warning(
            "%s: %s; going on at byte %s in %.0f s", part.address, why, f"{part.size:,}", pause
        )
        sleep(pause)


def _fetch_rest(part: "_Part", expected: Expected, timeout: float) -> str:
    """Fetch what is missing in one request and return the checksum of the whole."""
    import requests

    headers = {"Accept-Encoding": "identity", "User-Agent": "skymill", **part.range_headers()}
    with requests.get(part.address, headers=headers, stream=True, timeout=timeout) as response:
        total = _admit(response, part, expected)
        if total is not None and part.size == total:
            response.close()
        else:
            require_space(
                part.path.parent, (total or expected.disk_bytes) - part.size, part.final.name
            )
        return _receive(response, part, expected, total)


def _admit(response, part: "_Part", expected: Expected) -> int | None:
    """Check an answer's head, note what it is a version of, and return the file's size if told."""
    status = response.status_code
    if status == 416 and part.size:
        # What is asked for begins behind the end: the file is complete here, or is another one.
        told = response.headers.get("Content-Range", "").rpartition("/")[2]
        if told == str(part.size):
            return part.size
        part.discard()
        raise _TryAgainError("the part that was here does not fit the file", pause=0.0)
    if status in RETRIED:
        raise _TryAgainError(
            f"the server answered {status} {response.reason}", _retry_after(response)
        )
    if status not in (200, 206):
        why = f"the server answered {status} {response.reason}"
        raise _AddressFailedError(why, missing=status in NOT_THERE)
    length = response.headers.get("Content-Length")
    length = int(length) if length and length.isdigit() else None
    if status == 206:
        begin, told = _content_range(response)
        if begin != part.size or (told is not None and part.total not in (None, told)):
            part.discard()
            raise _TryAgainError("the server sent another piece than was asked for", pause=0.0)
        total = told
    else:
        if part.size:
            logger.info("%s: sent whole again, from the beginning", part.address)
        part.discard()
        total = length
    if expected.size is not None and total not in (None, expected.size):
        raise _AddressFailedError(
            f"it has {total:,} bytes, but {expected.size:,} are expected: {_what_came(response)}"
        )
    part.describe(response.headers, total)
    return total


def _what_came(response) -> str:
    kind = response.headers.get("Content-Type", "content of no stated type")
    return f"the server sent {kind}"


def _receive(response, part: "_Part", expected: Expected, total: int | None) -> str:
    """Append the body to the part, while another thread computes the checksum of all of it."""
    from tqdm import tqdm

    with _hashing(expected.algorithm) as digest:
        if part.size:
            with open(part.path, "rb") as stream:
                while piece := stream.read(CHUNK_BYTES):
                    digest.update(piece)
        bar = tqdm(
            desc=part.final.name,
            total=total,
            initial=part.size,
            unit="B",
            unit_scale=True,
            file=sys.stderr,
            disable=None,  # no bar unless a person is watching
            leave=False,
        )
        checked = part.size >= HEAD_BYTES
        complete = total is not None and part.size == total
        with bar, open(part.path, "ab", buffering=0) as stream:
            while not complete and (piece := response.raw.read(CHUNK_BYTES)):
                if not checked:
                    _refuse_other_kinds(part, piece, expected, response)
                    checked = True
                stream.write(piece)
                digest.update(piece)
                bar.update(len(piece))
        if total is not None and part.size != total:
            raise _TryAgainError(f"the connection ended at byte {part.size:,} of {total:,}")
        if not part.size:
            raise _TryAgainError("the server sent nothing")
    if expected.size is not None and part.size != expected.size:
        size = part.size
        part.discard()
        raise _AddressFailedError(f"it has {size:,} bytes, but {expected.size:,} are expected")
    return digest.hexdigest()


def _refuse_other_kinds(part: "_Part", piece: bytes, expected: Expected, response) -> None:
    head = part.path.read_bytes() if part.size else b""
    try:
        require_kind((head + piece)[:HEAD_BYTES], expected.kind, part.final.name)
    except SkymillError as error:
        part.discard()
        if head:
            raise _TryAgainError("the part that was here is damaged", pause=0.0) from None
        raise _AddressFailedError(
            f"{error} (status {response.status_code}, {_what_came(response)})"
        ) from None


class _Digest:
    """A checksum that is computed in a thread of its own: hashlib lets others run meanwhile."""

    def __init__(self, algorithm: str) -> None:
        self._digest = hashlib.new(algorithm)
        self._pieces = queue.Queue(maxsize=16)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._digest.update(piece)

    def update(self, piece: bytes) -> None:
        self._pieces.put(piece)

    def finish(self) -> None:
        self._pieces.put(None)
        self._thread.join()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


@contextlib.contextmanager
def _hashing(algorithm: str) -> Iterator[_Digest]:
    digest = _Digest(algorithm)
    try:
        yield digest
    finally:
        digest.finish()


class _Part:
    """What has arrived of a file, and which version of it that is."""

    def __init__(self, final: Path, address: str, *, trusted: bool) -> None:
        self.final = final
        self.address = address
        self.path = final.with_name(final.name + ".part")
        self._note = final.with_name(final.name + ".part.json")
        self._trusted = trusted
        known = self._read_note()
        self.validator, self.total = known.get("validator"), known.get("total")
        # Without a validator the server cannot tell whether the file is still the same one; then
        # only a known checksum can show that the halves belong together.
        if known.get("address") != address or not (self.validator or trusted):
            self.discard()

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _read_note(self) -> dict:
        try:
            known = json.loads(self._note.read_text())
        except (OSError, ValueError):  # none, or cut off when the machine stopped
            return {}
        return known if isinstance(known, dict) else {}

    def range_headers(self) -> dict[str, str]:
        if not self.size:
            return {}
        headers = {"Range": f"bytes={self.size}-"}
        if self.validator:
            headers["If-Range"] = self.validator
        return headers

    def describe(self, headers, total: int | None) -> None:
        etag = headers.get("ETag")
        if etag and etag.startswith("W/"):
            etag = None  # weak: says the same of files that differ in bytes
        self.validator, self.total = etag or headers.get("Last-Modified"), total
        note = {"address": self.address, "validator": self.validator, "total": total}
        self._note.write_text(json.dumps(note))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self.validator = self.total = None

    def finish(self) -> None:
        self.path.replace(self.final)
        self._note.unlink(missing_ok=True)


def _content_range(response) -> tuple[int | None, int | None]:
    """Return the first byte and the total of a `Content-Range: bytes 5-9/10`."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    begin = span.partition("-")[0]
    if unit != "bytes" or not begin.isdigit():
        return None, None
    return int(begin), int(total) if total.isdigit() else None


def _retry_after(response) -> float | None:
    """Return the seconds that a `Retry-After` asks for, given as such or as a date."""
    told = response.headers.get("Retry-After")
    if told is None:
        return None
    if told.strip().isdigit():
        return float(told)
    try:
        moment = email.utils.parsedate_to_datetime(told)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())


def _in_plain_words(error: Exception, timeout: float) -> str:
    import requests
    import urllib3

    silent = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    if isinstance(error, silent):
        return f"silence for {timeout:g} s"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection broke"
    # The error wraps another one that wraps what happened, behind the name of an object.
    reason = str(getattr(error.args[0] if error.args else error, "reason", error))
    return f"no connection ({reason.rpartition('): ')[2]})"
